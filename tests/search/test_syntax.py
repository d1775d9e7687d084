"""The language: what each form means, and where an error points."""

import math
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flower.errors import Invalid, SearchError
from flower.search.syntax import MAX_DEPTH, parse
from flower.search.tree import EVERYTHING, And, Node, Not, Or, Term
from search_strategies import hostile


def free(word: str) -> Term:
    return Term("", "contains", word)


def local(*when: int) -> float:
    return datetime(*when).timestamp()  # type: ignore[arg-type]


A, B, C, D = map(free, ("abc", "bcd", "cde", "def"))

MEANINGS: list[tuple[str | None, Node]] = [
    # nothing asked for
    (None, EVERYTHING),
    ("", EVERYTHING),
    (" \t\n", EVERYTHING),
    # blank, AND, OR, groups
    ("abc", A),
    ("abc bcd", And((A, B))),
    ("abc AND bcd", And((A, B))),
    ("abc OR bcd", Or((A, B))),
    ("abc bcd OR cde def", Or((And((A, B)), And((C, D))))),
    ("abc AND (bcd OR cde)", And((A, Or((B, C))))),
    ("abc(bcd OR cde)def", And((A, Or((B, C)), D))),
    ("((abc))", A),
    ("(abc OR bcd) OR cde", Or((A, B, C))),
    ("abc abc", A),
    # operators are upper case, and no operators in quotes
    ("abc and bcd", And((A, free("and"), B))),
    ("or not", And((free("or"), free("not")))),
    ('"AND" "NOT"', And((free("AND"), free("NOT")))),
    ("android", free("android")),
    # phrases
    ('"abc  bcd"', free("abc  bcd")),
    (r'"say \"hi\" c:\\temp"', free(r'say "hi" c:\temp')),
    (r"\"abc", free('"abc')),
    (r"c:\temp", free(r"c:\temp")),
    ('a"b c"d', free("ab cd")),
    ('"(abc)"', free("(abc)")),
    # fields
    ("name:billing", Term("name", "contains", "billing")),
    ("NAME:Billing", Term("name", "contains", "Billing")),
    ("worker:celery@w1", Term("worker", "contains", "celery@w1")),
    ('args:"a b"', Term("args", "contains", "a b")),
    ("kwargs:ORD-17", Term("kwargs", "contains", "ORD-17")),
    ("result:None", Term("result", "contains", "None")),
    ("state:failure", Term("state", "is", "failure")),
    ("state:x", Term("state", "is", "x")),
    ("name:-x", Term("name", "contains", "-x")),
    ("name:a:b", Term("name", "contains", "a:b")),
    ("exception:KeyError", Term("exception", "contains", "KeyError")),
    ("queue:mail", Term("queue", "contains", "mail")),
    ("root_id:5f1c", Term("root_id", "contains", "5f1c")),
    # aliases
    ("hostname:w1", Term("worker", "contains", "w1")),
    ("type:pay", Term("name", "contains", "pay")),
    ("id:5f1c", Term("uuid", "contains", "5f1c")),
    ("root:5f1c parent:5f1c", And((Term("root_id", "contains", "5f1c"), Term("parent_id", "contains", "5f1c")))),
    # pairs
    ("kwargs:key=value", Term("kwargs", "pair", ("key", "value"))),
    ('kwargs:"key = a value"', Term("kwargs", "pair", ("key", "a value"))),
    ("kwargs:key=a=b", Term("kwargs", "pair", ("key", "a=b"))),
    ("kwargs:key=", Term("kwargs", "pair", ("key", ""))),
    # what is no qualifier is text
    ("http://example.com", free("http://example.com")),
    ("unknown:field", free("unknown:field")),
    (":abc", free(":abc")),
    ('"name:billing"', free("name:billing")),
    # negation
    ("NOT abc", Not(A)),
    ("-abc", Not(A)),
    ("abc -bcd", And((A, Not(B)))),
    ("abc NOT bcd", And((A, Not(B)))),
    ("abc AND NOT bcd OR -cde", Or((And((A, Not(B))), Not(C)))),
    ("-(abc OR bcd)", Not(Or((A, B)))),
    ("NOT (abc bcd)", Not(And((A, B)))),
    ("-state:SUCCESS", Not(Term("state", "is", "SUCCESS"))),
    ('-"abc bcd"', Not(free("abc bcd"))),
    ("NOT NOT abc", Not(Not(A))),
    ("NOT -abc", Not(Not(A))),
    ("abc-bcd", free("abc-bcd")),
    ('"-abc"', free("-abc")),
    # short words are no error here
    ("a b", And((free("a"), free("b")))),
    # numbers and times, exact
    ("retries:3", Term("retries", "range", (3.0, 3.0))),
    ("runtime:2.5", Term("runtime", "range", (2.5, 2.5))),
    ("received:1700000000", Term("received", "range", (1.7e9, 1.7e9))),
]


@pytest.mark.parametrize(("query", "tree"), MEANINGS, ids=[repr(query) for query, _ in MEANINGS])
def test_a_query_means(query: str | None, tree: Node) -> None:
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", local(2026, 1, 1), local(2027, 1, 1)),
        ("2026-12", local(2026, 12, 1), local(2027, 1, 1)),
        ("2026-11-22", local(2026, 11, 22), local(2026, 11, 23)),
        ("2026-11-22T10:15", local(2026, 11, 22, 10, 15), local(2026, 11, 22, 10, 16)),
        ('"2026-11-22 10:15:59"', local(2026, 11, 22, 10, 15, 59), local(2026, 11, 22, 10, 16)),
        ("1970-01-01T00:00:05Z", 5.0, 6.0),
        ("1970-01-01T02:00+02:00", 0.0, 60.0),
    ],
)
def test_a_time_means_all_of_the_stretch_it_names(text: str, start: float, end: float) -> None:
    term = parse(f"received:{text}")
    assert isinstance(term, Term)
    assert term.value == (start, math.nextafter(end, 0.0))


ERRORS: list[tuple[str, str, int]] = [
    ('abc "bcd', "Unterminated quoted phrase", 4),
    ('name:"bcd', "Unterminated quoted phrase", 0),
    ('abc ""', "Empty search term", 4),
    ("abc )", "Unexpected ')'", 4),
    ("abc OR", "OR must be followed by a search term", 4),
    ("abc OR OR bcd", "OR must be followed by a search term", 4),
    ("(abc OR) bcd", "OR must be followed by a search term", 5),
    ("abc AND", "AND must be followed by a search term", 4),
    ("abc AND OR bcd", "AND must be followed by a search term", 4),
    ("abc NOT", "NOT must be followed by a search term", 4),
    ("abc -", "'-' must be followed by a search term", 4),
    ("abc - bcd", "'-' must be followed by a search term", 4),
    ("-OR abc", "'-' must be followed by a search term", 0),
    ("abc --all", "Unexpected '-'", 5),
    ("(" * (MAX_DEPTH + 1) + "abc", f"Query nesting exceeds {MAX_DEPTH} levels", MAX_DEPTH),
    ("abc ()", "Empty group", 4),
    ("abc (bcd", "Missing closing parenthesis", 4),
    ("OR abc", "Expected a search term", 0),
    ("AND", "Expected a search term", 0),
    (")", "Expected a search term", 0),
    ("abc (AND bcd)", "Expected a search term", 5),
    ("abc name:", "Search qualifier requires a value", 4),
    ('abc name:""', "Search qualifier requires a value", 4),
    ("abc retries:many", "'retries' takes a number", 12),
    ("runtime:nan", "'runtime' takes a number", 8),
    ("runtime:1e999", "'runtime' takes a number", 8),
    ("received:yesterday", "'received' takes a date or time", 9),
    ("received:2026-02-30", "'received' takes a date or time", 9),
    ("received:9999-12-31", "'received' takes a date or time", 9),
]


@pytest.mark.parametrize(("query", "message", "position"), ERRORS, ids=[query[:30] for query, _, _ in ERRORS])
def test_an_error_points_at_the_character(query: str, message: str, position: int) -> None:
    with pytest.raises(SearchError) as caught:
        parse(f"  {query} ")  # the position counts in the trimmed query
    assert caught.value.message == f"{message} at position {position}."
    assert caught.value.position == position


@pytest.mark.parametrize("query", [")", "abc --all", "retries:many", "name:", 'abc "bcd', "()"])
def test_an_error_says_what_would_be_right(query: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse(query)
    assert caught.value.hint or query == ")"
    assert isinstance(caught.value, Invalid | ValueError)


def test_the_limits() -> None:
    assert parse("x" * 2048) == free("x" * 2048)
    with pytest.raises(SearchError, match=r"\AQuery exceeds 2048 characters\.\Z") as caught:
        parse("x" * 2049)
    assert caught.value.position is None
    assert isinstance(parse(" ".join(f"w{n}" for n in range(128))), And)
    with pytest.raises(SearchError, match=r"\AQuery exceeds 128 tokens\.\Z"):
        parse(" ".join(f"w{n}" for n in range(129)))
    assert parse("(" * MAX_DEPTH + "abc" + ")" * MAX_DEPTH) == A


@given(
    hostile
    | st.text(max_size=60)
    | st.lists(
        st.sampled_from([*"()-:=\"\\ 'a", "AND ", " OR ", "NOT ", "name:", "retries:", "received:", "kwargs:", "2026"]),
        max_size=25,
    ).map("".join)
)
@example("received:" + "9" * 400)
@example("retries:" + "9" * 400)
@example("received:0001-01-01")
@example("received:0000")
def test_any_text_is_a_query_or_an_error_of_ours(query: str) -> None:
    position = _position_of_error(query)
    assert position is None or 0 <= position <= len(query.strip())


def _position_of_error(query: str) -> int | None:
    try:
        parse(query)
    except SearchError as error:
        return error.position
    return None
