"""Tests of the parser of Python literals from untrusted text."""

from contextlib import suppress
from typing import Any

import pytest
from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st

from flower.search.python_literal import MAX_LITERAL_LENGTH, is_whole, parse_literal, parse_literal_strict
from tests.helpers.search_strategies import hostile, keywords, values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{'a': <object at 0x7f>}",
        "{'a': 1, ...}",
        "datetime.date(2026, 1, 1)",
        "[" * 60_000,
        "(" * 60_000,
        "-" * 60_000 + "1",
        "1" + "+1j" * 20_000,
        "[0]" * 20_000,
        "not " * 10_000 + "1",
        "9" * 5000,
        "'" + "x" * MAX_LITERAL_LENGTH + "'",
        "'\x00'",
        "'\ud800'",
        "{[]: 1}",
        r"'\d'",
        "__import__('os')",
    ],
    ids=lambda text: repr(text[:20]),
)
@pytest.mark.filterwarnings("error")
def test_other_text_is_rejected(text: str) -> None:
    for read in (parse_literal, parse_literal_strict):
        with pytest.raises(ValueError, match=r"not a literal|backslashes"):
            read(text)


@given(hostile | st.text())
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    for read in (parse_literal, parse_literal_strict):
        with suppress(ValueError):
            read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("()", ()),
        ("(1, 'a')", (1, "a")),
        ("{'a': [1.5, None, True]}", {"a": [1.5, None, True]}),
        ('["it\'s"]', ["it's"]),
    ],
)
def test_complete_literal_is_parsed(text: str, value: object) -> None:
    assert parse_literal(text) == parse_literal_strict(text) == value
    assert is_whole(parse_literal(text))


@pytest.mark.parametrize(
    "text",
    [
        "('a lon...',)",  # truncated by Celery
        "[1, [2, ...]]",
        "({'k': [...]},)",
        r"('C:\new',)",  # Celery does not escape backslashes
        "(b'00ff',)",  # bytes, which Celery shows as digits
    ],
)
def test_ambiguous_literal_is_rejected(text: str) -> None:
    parse_literal(text)
    with pytest.raises(ValueError, match=r"truncated|backslashes"):
        parse_literal_strict(text)


@given(st.lists(values, max_size=3).map(tuple) | keywords, st.sampled_from([None, 5, 20, 40, 1024]))
def test_saferepr_text_is_parsed_exactly_or_rejected(passed: Any, longest: int | None) -> None:
    try:
        value = parse_literal_strict(saferepr(passed, longest))
    except ValueError:
        return
    assert repr(value) == repr(passed)
