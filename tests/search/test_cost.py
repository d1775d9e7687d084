"""Tests of the cost class of queries."""

import pytest

from flower.search.cost import query_cost
from flower.search.parser import parse_search


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "columns"),
        ("state:FAILURE,RETRY runtime:>2s", "columns"),
        ("is:slow", "columns"),
        ("has:traceback", "columns"),
        ("card", "text_index"),
        ("ab", "rows"),
        ("traceback:charge", "text_index"),
        ("ab state:FAILURE", "columns"),
        ("ab OR state:FAILURE", "rows"),
        ("-card", "rows"),
        ("-state:FAILURE", "columns"),
        ("clock:>5", "rows"),
        ("root_id:5f1c", "rows"),
        ("root_id:=5f1c", "columns"),
        ("kwargs.order_id:1", "text_index"),
        ("kwargs.a:1", "rows"),
        ("kwargs.a:abc", "text_index"),
        ("kwargs:a=abc", "text_index"),
        ("data.progress:1", "rows"),
    ],
)
def test_query_cost(query: str, expected: str) -> None:
    assert query_cost(parse_search(query)) == expected
