"""Tests of `search.literal_tree`: the parser of literals that keeps the text of every leaf."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given

from flower.search.literal_tree import (
    MAX_LITERAL_DEPTH,
    LiteralNode,
    find_literal_node,
    leaf_text,
    parse_literal_tree,
)
from flower.search.python_literal import MAX_LITERAL_LENGTH
from tests.helpers.search_strategies import hostile, keywords, values


def to_value(node: LiteralNode) -> Any:
    """The Python value of a tree without objects."""
    match node.kind:
        case "dict":
            return {to_value(item.key): to_value(item.value) for item in node.items or () if item.key is not None}
        case "list" | "set":
            return [to_value(item.value) for item in node.items or ()]
        case "tuple":
            return tuple(to_value(item.value) for item in node.items or ())
        case "string":
            return node.value
    return node.text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(20.0, 'a\\'b', None)", ("20.0", "a'b", "None")),
        ("{'a': [1, {'b': True}], \"c\": 1e5}", {"a": ["1", {"b": "True"}], "c": "1e5"}),
        ("(1,)", ("1",)),
        ("()", ()),
        ("{}", {}),
        ("{1, 2}", ["1", "2"]),
        ("{1: 2}", {"1": "2"}),
        ("(Decimal('9.50'),)", ("Decimal('9.50')",)),
        ("[b'x', rb'y']", ["b'x'", "rb'y'"]),
        ("'\\x41\\u00e9\\n'", "Aé\n"),
        ("'\\xq'", "\\xq"),
        ("[1, ...]", ["1", "..."]),
        ("(<Order: <17>>, date(2026, 1, 2, tz=<UTC>))", ("<Order: <17>>", "date(2026, 1, 2, tz=<UTC>)")),
        ("-inf", "-inf"),
        ("  [ 1 , 0x1F ,-1.5e-3 ] ", ["1", "0x1F", "-1.5e-3"]),
        ("set()", "set()"),
    ],
)  # fmt: skip
def test_literal_is_parsed(text: str, value: Any) -> None:
    node = parse_literal_tree(text)
    assert node is not None
    assert to_value(node) == value


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "('cut...",
        "[1, 2",
        "{'a': 1, ",
        "*5000",
        "1 2",
        "1x",
        "[" * 5000,
        "'" + "x" * MAX_LITERAL_LENGTH + "'",
    ],
    ids=lambda text: repr(text)[:20],
)
def test_incomplete_literal_has_no_tree(text: str | None) -> None:
    assert parse_literal_tree(text) is None


def test_nesting_is_limited() -> None:
    assert parse_literal_tree("[" * MAX_LITERAL_DEPTH + "]" * MAX_LITERAL_DEPTH) is not None
    assert parse_literal_tree("[" * (MAX_LITERAL_DEPTH + 2) + "]" * (MAX_LITERAL_DEPTH + 2)) is None


def test_json_leaves_out_absent_members() -> None:
    assert msgspec.json.encode(parse_literal_tree("[]")) == b'{"kind":"list","items":[]}'
    assert msgspec.json.encode(parse_literal_tree("'it\\'s'")) == (
        rb"""{"kind":"string","text":"'it\\'s'","value":"it's"}"""
    )


def test_node_is_found_by_keys() -> None:
    tree = parse_literal_tree("{'order': {'items': [0, {'price': 20.0}]}}")
    assert find_literal_node(tree, ["ORDER", "items", "1", "price"]) == LiteralNode("number", "20.0")
    assert find_literal_node(tree, ["order", "items", "2"]) is None
    assert find_literal_node(tree, ["order", "items", "x"]) is None
    assert find_literal_node(tree, ["order", "items", "1", "price", "x"]) is None
    assert find_literal_node(None, ["order"]) is None


def test_leaf_text() -> None:
    tree = parse_literal_tree("('a', 20.0, [1])")
    assert tree is not None
    assert [leaf_text(item.value) for item in tree.items or ()] == ["a", "20.0", ""]


@given(values | keywords)
def test_every_repr_has_a_tree(value: Any) -> None:
    assert parse_literal_tree(repr(value)) is not None


@given(hostile)
def test_hostile_text_raises_nothing(text: str) -> None:
    parse_literal_tree(text)


@pytest.mark.parametrize(
    "text", ["1" * 60_000 + "x", "'" * 60_001, "a." * 30_000, "f(" * 30_000, "<" * 60_000, "1," * 30_000]
)
def test_parsing_time_is_linear(text: str) -> None:
    start = time.process_time()
    parse_literal_tree(text)
    assert time.process_time() - start < 1.0
