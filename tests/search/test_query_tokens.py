"""Tests of `search.query_tokens`: spans for highlighting, and the terms of a facet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.search.query_tokens import extract_facet_terms, find_token_spans

QUERY_CHARACTERS = st.text(alphabet='abn:=<>,.-()" \\ÄORNOTstate', max_size=40)


def describe_spans(text: str) -> list[tuple[str, str, str, bool]]:
    return [(text[span.start : span.end], span.kind, span.field, span.negated) for span in find_token_spans(text)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", []),
        ("state:FAILURE", [("state:", "field", "state", False), ("FAILURE", "value", "state", False)]),
        ("-type:x", [("-type:", "field", "name", True), ("x", "value", "name", True)]),
        ('kwargs."k e".z:>=3', [('kwargs."k e".z:>=', "field", "kwargs", False), ("3", "value", "kwargs", False)]),
        ("id:=", [("id:=", "field", "uuid", False)]),
        ("is:failed", [("is:", "field", "is", False), ("failed", "value", "is", False)]),
        ("x OR (y)", [
            ("x", "text", "", False), ("OR", "operator", "", False), ("(", "parenthesis", "", False),
            ("y", "text", "", False), (")", "parenthesis", "", False),
        ]),
        ("- -x", [("-", "operator", "", False), ("-x", "text", "", True)]),
        ('"open', [('"open', "text", "", False)]),
        ("état:ü", [("état:ü", "text", "", False)]),
    ],
)  # fmt: skip
def test_spans(text: str, spans: list[tuple[str, str, str, bool]]) -> None:
    assert describe_spans(text) == spans


@given(QUERY_CHARACTERS)
def test_spans_cover_everything_but_white_space(text: str) -> None:
    position = 0
    for span in find_token_spans(text):
        assert text[position : span.start].strip() == ""
        assert span.start < span.end
        position = span.end
    assert text[position:].strip() == ""


@pytest.mark.parametrize(
    ("query", "field", "selected", "rest"),
    [
        ("", "state", (), ""),
        ("state:FAILURE,RETRY x", "state", ("FAILURE", "RETRY"), "x"),
        ("a OR b", "name", (), "(a OR b)"),
        ("-name:=x", "name", (), "-name:=x"),
        ("name:x", "name", (), "name:x"),
        ("(name:=x)", "name", (), "(name:=x)"),
        ('x queue:="a \\"b\\", c",d y', "queue", ('a "b", c', "d"), "x y"),
        ("x -has:queue", "queue", (None,), "x"),
        ("queue:=a -has:queue", "queue", ("a", None), ""),
        ('"a  b" state:X  c', "state", ("X",), '"a  b" c'),
        ("NOT state:X", "state", (), "NOT state:X"),
        ("NOT (a) state:X", "state", ("X",), "NOT (a)"),
    ],
)
def test_facet_terms(query: str, field: str, selected: tuple[str | None, ...], rest: str) -> None:
    terms = extract_facet_terms(query, field)
    assert (terms.selected, terms.rest) == (selected, rest)


@given(QUERY_CHARACTERS, st.sampled_from(["state", "name", "queue"]))
def test_facet_terms_accept_every_text(text: str, field: str) -> None:
    extract_facet_terms(text, field)
