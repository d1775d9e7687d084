"""Tests of the parser: the tree of each construct, and the position of errors."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flower.errors import InvalidRequest, SearchError
from flower.search.parser import MAX_QUERY_DEPTH, parse_search
from flower.search.tree import EVERYTHING, And, Node, Not, Or, PathCondition, Term
from flower.search.wildcards import MAX_STARS
from tests.helpers.search_strategies import hostile


def free(word: str) -> Term:
    return Term("", "contains", word)


def local(*when: int) -> float:
    return datetime(*when).timestamp()  # type: ignore[arg-type]


def after(value: float) -> float:
    return math.nextafter(value, math.inf)


A, B, C, D = map(free, ("abc", "bcd", "cde", "def"))

MEANINGS: list[tuple[str | None, Node]] = [
    # empty query
    (None, EVERYTHING),
    ("", EVERYTHING),
    (" \t\n", EVERYTHING),
    # space, AND, OR, groups
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
    # operators are upper case and unquoted
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
    # text that is not a qualifier
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
    # short words are valid (Flower rejects them)
    ("a b", And((free("a"), free("b")))),
    # numbers and times, exact
    ("retries:3", Term("retries", "range", (3.0, 3.0))),
    ("runtime:2.5", Term("runtime", "range", (2.5, 2.5))),
    ("received:1700000000", Term("received", "range", (1.7e9, 1.7e9))),
    # lists, exact, wildcards
    ("state:FAILURE,RETRY", Or((Term("state", "is", "FAILURE"), Term("state", "is", "RETRY")))),
    ('state:"FAILURE,RETRY"', Term("state", "is", "FAILURE,RETRY")),
    ("-worker:a,b", Not(Or((Term("worker", "contains", "a"), Term("worker", "contains", "b"))))),
    ("args:a,b", Term("args", "contains", "a,b")),
    ("retries:1,>3", Or((Term("retries", "range", (1.0, 1.0)), Term("retries", "range", (after(3.0), None))))),
    ("name:=billing.charge", Term("name", "equals", "billing.charge")),
    ("name:=a,b", Or((Term("name", "equals", "a"), Term("name", "equals", "b")))),
    ("name:=a*", Term("name", "equals", "a*")),
    ('name:"=a"', Term("name", "contains", "=a")),
    ("kwargs:={}", Term("kwargs", "equals", "{}")),
    ("name:billing.*", Term("name", "like", "billing.*")),
    ("worker:mail-?", Term("worker", "like", "mail-?")),
    ('name:"a*"b*', Term("name", "like", r"a\*b*")),
    ('name:"a*"', Term("name", "contains", "a*")),
    ("args:a*", Term("args", "contains", "a*")),
    # comparisons and ranges
    ("retries:>3", Term("retries", "range", (after(3.0), None))),
    ("retries:>=3", Term("retries", "range", (3.0, None))),
    ("retries:<3", Term("retries", "range", (None, math.nextafter(3.0, 0.0)))),
    ("retries:<=3", Term("retries", "range", (None, 3.0))),
    ("retries:=3", Term("retries", "range", (3.0, 3.0))),
    ("runtime:100ms..2s", Term("runtime", "range", (0.1, 2.0))),
    ("runtime:1h30m..", Term("runtime", "range", (5400.0, None))),
    ("wait:..-2s", Term("wait", "range", (None, -2.0))),
    ("runtime:1d,1w", Or((Term("runtime", "range", (86400.0,) * 2), Term("runtime", "range", (604800.0,) * 2)))),
    ("name:<locals>", Term("name", "contains", "<locals>")),
    ("args:<Order", Term("args", "contains", "<Order")),
    # has, is
    ("has:traceback", Term("traceback", "present", "")),
    ("has:hostname", Term("worker", "present", "")),
    ("HAS:kwargs.a", Term("kwargs", "path", PathCondition(("a",), "present"))),
    ("is:failed", Term("state", "is", "FAILURE")),
    ("is:Slow", Term("runtime", "slow", "")),
    ("is:root", Not(Term("parent_id", "present", ""))),
    ('"is:failed"', free("is:failed")),
    # keys
    ("kwargs.customer.id:7731", Term("kwargs", "path", PathCondition(("customer", "id"), "is", "7731"))),
    ("args.0:ORD-17", Term("args", "path", PathCondition(("0",), "is", "ORD-17"))),
    ("kwargs.amount:>100", Term("kwargs", "path", PathCondition(("amount",), "range", (after(100.0), None)))),
    ("kwargs.amount:1..2", Term("kwargs", "path", PathCondition(("amount",), "range", (1.0, 2.0)))),
    ("kwargs.file:a..b", Term("kwargs", "path", PathCondition(("file",), "is", "a..b"))),
    ("result.status:o*", Term("result", "path", PathCondition(("status",), "like", "o*"))),
    ("data.progress.percent:50", Term("data", "path", PathCondition(("progress", "percent"), "is", "50"))),
    ('kwargs."a.b:c".d:"x y"', Term("kwargs", "path", PathCondition(("a.b:c", "d"), "is", "x y"))),
    ("name.x:y", free("name.x:y")),
    ("foo.bar:y", free("foo.bar:y")),
]


@pytest.mark.parametrize(("query", "tree"), MEANINGS, ids=[repr(query) for query, _ in MEANINGS])
def test_parse_search(query: str | None, tree: Node) -> None:
    assert parse_search(query) == tree


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
def test_time_means_a_complete_interval(text: str, start: float, end: float) -> None:
    term = parse_search(f"received:{text}")
    assert isinstance(term, Term)
    assert term.value == (start, math.nextafter(end, 0.0))


NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC).timestamp()
DAY = datetime(2026, 11, 22, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        (">-1h", after(NOW - 3600), None),
        (">=-90s", NOW - 90, None),
        ("<-1h30m", None, math.nextafter(NOW - 5400, 0.0)),
        ("-2h..-1h", NOW - 7200, NOW - 3600),
        ("-1h..now", NOW - 3600, NOW),
        ("..now", None, NOW),
        ("today", DAY, math.nextafter(DAY + 86400, 0.0)),
        ("Yesterday", DAY - 86400, math.nextafter(DAY, 0.0)),
        (">2026-11-20", DAY - 86400, None),
        (">=2026-11-20", DAY - 2 * 86400, None),
        ("<2026-11-20", None, math.nextafter(DAY - 2 * 86400, 0.0)),
        ("<=2026-11-20", None, math.nextafter(DAY - 86400, 0.0)),
        ("2026-11-20..2026-11-22", DAY - 2 * 86400, math.nextafter(DAY + 86400, 0.0)),
        ("2026-11-20..", DAY - 2 * 86400, None),
        ('>="2026-11-22 02:00+02:00"', DAY, None),
        ("yesterday..today", DAY - 86400, math.nextafter(DAY + 86400, 0.0)),
        ("tomorrow", DAY + 86400, math.nextafter(DAY + 2 * 86400, 0.0)),
        ("<+1h", None, math.nextafter(NOW + 3600, 0.0)),
        ("now..+2d", NOW, NOW + 2 * 86400),
    ],
)
def test_relative_times_and_days(text: str, low: float | None, high: float | None) -> None:
    assert parse_search(f"received:{text}", now=NOW, zone=UTC) == Term("received", "range", (low, high))


def test_length_of_a_day_follows_the_time_zone() -> None:
    """Clocks were set back in Berlin on this day."""
    term = parse_search("sent:2026-10-25", zone=ZoneInfo("Europe/Berlin"))
    assert isinstance(term, Term)
    assert isinstance(term.value, tuple)
    low, high = term.value
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert after(high) - low == 25 * 3600


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("has:trace", "did you mean traceback"),
        ("retreis:>3", "did you mean retries:"),
        ("is:fialed", "did you mean failed"),
        ("queue:>3", "fields with comparison: priority, retries"),
        ("received:-1h", "use '>-1h' for later times"),
        ("wait:5..1", "use 1..5"),
        ("has:name.x", "fields with keys: args, kwargs"),
    ],
)
def test_hint_of_an_error(query: str, words: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse_search(query)
    assert words in caught.value.hint


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
    ("(" * (MAX_QUERY_DEPTH + 1) + "abc", f"Query nesting exceeds {MAX_QUERY_DEPTH} levels", MAX_QUERY_DEPTH),
    ("abc ()", "Empty group", 4),
    ("abc (bcd", "Missing closing parenthesis", 4),
    ("OR abc", "Expected a search term", 0),
    ("AND", "Expected a search term", 0),
    (")", "Expected a search term", 0),
    ("abc (AND bcd)", "Expected a search term", 5),
    ("abc name:", "Search qualifier requires a value", 4),
    ('abc name:""', "Search qualifier requires a value", 4),
    ("abc retries:many", "Expected a number after 'retries:'", 12),
    ("retries:nan", "Expected a number after 'retries:'", 8),
    ("retries:1s", "Expected a number after 'retries:'", 8),
    ("runtime:nan", "Expected a duration after 'runtime:'", 8),
    ("runtime:1e999", "Expected a duration after 'runtime:'", 8),
    ("runtime:1.5x", "Expected a duration after 'runtime:'", 8),
    ("runtime:1s..2q", "Expected a duration after 'runtime:'", 12),
    ("received:someday", "Expected a date or time after 'received:'", 9),
    ("received:-1h", "'-1h' is a point in time and requires a comparison", 9),
    ("abc received:>-1x", "Expected a date or time after 'received:'", 14),
    ("wait:5..1", "The range ends before it begins", 5),
    ("wait:..", "A range requires a bound", 5),
    ("wait:>1..2", "'>' cannot be combined with '..'", 5),
    ("queue:>3", "'queue' does not support comparison", 6),
    ("exception:<x", "'exception' does not support comparison", 10),
    ("foo:>3", "Unknown field 'foo'", 0),
    ("state:a,,b", "Missing value", 8),
    ("state:a,", "Missing value", 8),
    ("name:=", "Missing value", 5),
    ("is:fialed", "Unknown condition 'fialed'", 3),
    ("is:failed,x", "Unknown condition 'x'", 10),
    ("has:trace", "Unknown field 'trace'", 4),
    ("has:name.x", "'name' has no keys", 9),
    ("has:", "Search qualifier requires a value", 0),
    ("kwargs..a:1", "Missing key", 7),
    ("kwargs.a:=1", "':=' cannot be used with keys", 9),
    ("kwargs.a:>x", "'x' is not a number", 10),
    ("name:" + "a*" * (MAX_STARS + 1), f"Too many wildcards (maximum {MAX_STARS} stars)", 5),
    ("received:2026-02-30", "Expected a date or time after 'received:'", 9),
    ("received:9999-12-31", "Expected a date or time after 'received:'", 9),
]


@pytest.mark.parametrize(("query", "message", "position"), ERRORS, ids=[query[:30] for query, _, _ in ERRORS])
def test_position_of_an_error(query: str, message: str, position: int) -> None:
    with pytest.raises(SearchError) as caught:
        parse_search(f"  {query} ")  # the position counts in the trimmed query
    assert caught.value.message == f"{message} at position {position}."
    assert caught.value.position == position


@pytest.mark.parametrize("query", [")", "abc --all", "retries:many", "name:", 'abc "bcd', "()"])
def test_errors_have_hints(query: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse_search(query)
    assert caught.value.hint or query == ")"
    assert isinstance(caught.value, InvalidRequest | ValueError)


@pytest.mark.parametrize("query", ["retries:many", "runtime:1.5x", "received:someday"])
def test_invalid_value_can_be_quoted(query: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse_search(query)
    assert caught.value.hint.endswith("; to search for the text, quote it")
    assert parse_search(f'"{query}"') == free(query)


def test_limits() -> None:
    assert parse_search("x" * 2048) == free("x" * 2048)
    with pytest.raises(SearchError, match=r"\AQuery exceeds 2048 characters\.\Z") as caught:
        parse_search("x" * 2049)
    assert caught.value.position is None
    assert isinstance(parse_search(" ".join(f"w{n}" for n in range(128))), And)
    with pytest.raises(SearchError, match=r"\AQuery exceeds 128 tokens\.\Z"):
        parse_search(" ".join(f"w{n}" for n in range(129)))
    with pytest.raises(SearchError, match=r"\AQuery exceeds 128 tokens\.\Z"):
        parse_search("uuid:" + ",".join(f"w{n}" for n in range(129)))
    assert parse_search("(" * MAX_QUERY_DEPTH + "abc" + ")" * MAX_QUERY_DEPTH) == A


@given(
    hostile
    | st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                *"()-:=\"\\ 'a",
                "AND ",
                " OR ",
                "NOT ",
                "name:",
                "retries:",
                "received:",
                "kwargs:",
                "2026",
                "kwargs.",
                "has:",
                "is:",
                "..",
                ",",
                ">",
                "<=",
                "*",
                "?",
                "-1h",
                "1.5s",
                "now",
                "failed",
            ]
        ),
        max_size=25,
    ).map("".join)
)
@example("received:" + "9" * 400)
@example("retries:" + "9" * 400)
@example("received:0001-01-01")
@example("received:0000")
def test_any_text_is_a_query_or_a_search_error(query: str) -> None:
    position = _position_of_error(query)
    assert position is None or 0 <= position <= len(query.strip())


def _position_of_error(query: str) -> int | None:
    try:
        parse_search(query)
    except SearchError as error:
        return error.position
    return None
