"""Tests of the formatter: tree → query → tree."""

import pytest
from hypothesis import assume, given

from flower.errors import InvalidRequest, SearchError
from flower.search.formatter import format_search
from flower.search.parser import parse_search
from flower.search.tree import EVERYTHING, And, Node, Not, Or, PathCondition, Term
from tests.helpers.search_strategies import writable_terms, writable_trees
from tests.search.test_parser import MEANINGS


@pytest.mark.parametrize("tree", [tree for _, tree in MEANINGS])
def test_formatted_tree_parses_to_the_tree(tree: Node) -> None:
    assert parse_search(format_search(tree)) == tree


@given(writable_terms())
def test_every_term_can_be_formatted(term: Term) -> None:
    assert parse_search(format_search(term)) == term


@given(writable_trees)
def test_round_trip(tree: Node) -> None:
    text = format_search(tree)
    try:
        again = parse_search(text)
    except SearchError as error:
        assume("exceeds" not in error.message)
        raise
    assert again == tree


def test_formatted_queries() -> None:
    tree = parse_search('name:billing AND NOT state:SUCCESS ("card declined" OR kwargs:"id=a b") received:2026-11-22')
    text = format_search(tree)
    assert text == 'name:billing -state:SUCCESS ("card declined" OR kwargs:"id=a b") received:2026-11-22'


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("runtime:>1.5s", "runtime:>1.5"),
        ("runtime:<100ms", "runtime:<0.1"),
        ("retries:>=3", "retries:>=3"),
        ("received:2026-11-20..2026-11-22", "received:2026-11-20..2026-11-22"),
        ("received:>2026-11-20", "received:>=2026-11-21"),
        ("received:<=2026-11", "received:<=2026-11"),
        ("name:billing.*", "name:billing.*"),
        ('name:"a b"*', 'name:"a b"*'),
        ('name:"a*b"', 'name:"a*b"'),
        ('name:="a b"', 'name:="a b"'),
        ("state:FAILURE,RETRY", "state:FAILURE OR state:RETRY"),
        ("has:traceback is:slow", "has:traceback is:slow"),
        ('kwargs."a.b".c:x', 'kwargs."a.b".c:x'),
        ("args.0:>100", "args.0:>100"),
        ("kwargs.n:1..1", "kwargs.n:1..1"),
        ("has:data.progress", "has:data.progress"),
    ],
)
def test_simplest_text_is_used(query: str, text: str) -> None:
    assert format_search(parse_search(query)) == text


@pytest.mark.parametrize(
    "tree",
    [
        Term("name", "equals", ""),
        Term("name", "like", "abc"),
        Term("retries", "range", (None, None)),
        Term("received", "range", (2.0, 1.0)),
        Term("retries", "range", (10**400, None)),
        Term("kwargs", "path", PathCondition(("",), "present")),
        Term("name", "is", "x"),
        Term("name", "contains", ""),
        Term("", "contains", ""),
        Term("kwargs", "contains", "a=b"),
        Not(EVERYTHING),
        And((EVERYTHING,)),
        Or(()),
    ],
)
def test_inexpressible_tree_is_rejected(tree: Node) -> None:
    with pytest.raises(InvalidRequest, match="Not expressible"):
        format_search(tree)
