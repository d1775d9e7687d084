"""Tests of completion by the grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.search.completion import CompletionRequest, parse_completion_request, suggest_completions
from tests.helpers.search_strategies import hostile


@pytest.mark.parametrize(
    ("text", "kind", "field", "keys", "prefix"),
    [
        ("|", "field", "", (), ""),
        ("na|", "field", "", (), "na"),
        ("x na|me", "field", "", (), "na"),
        ("-na|", "field", "", (), "na"),
        ("(a OR na|", "field", "", (), "na"),
        ("a |", "field", "", (), ""),
        ("name:|", "value", "name", (), ""),
        ("name:bil|ling", "value", "name", (), "bil"),
        ("name:=bil|", "value", "name", (), "bil"),
        ('name:"a b|', "value", "name", (), "a b"),
        ("state:FAILURE,RE|", "value", "state", (), "RE"),
        ("type:x|", "value", "name", (), "x"),
        ("runtime:|", "operator", "runtime", (), ""),
        ("args:|", "operator", "args", (), ""),
        ("runtime:>=1|", "value", "runtime", (), "1"),
        ("received:-2h..no|", "value", "received", (), "no"),
        ("args:a,b|", "value", "args", (), "a,b"),
        ("is:fa|", "value", "is", (), "fa"),
        ("is:failed,ret|", "value", "is", (), "ret"),
        ("has:tr|", "value", "has", (), "tr"),
        ("has:kwargs.cu|", "key", "kwargs", (), "cu"),
        ("kwargs.|", "key", "kwargs", (), ""),
        ("kwargs.customer.i|", "key", "kwargs", ("customer",), "i"),
        ("kwargs.customer.id:7|", "value", "kwargs", ("customer", "id"), "7"),
        ('"na|', "none", "", (), "na"),
        ("foo:b|", "none", "", (), "foo:b"),
        ("name.x:b|", "none", "", (), "name.x:b"),
    ],
)
def test_completion_request(text: str, kind: str, field: str, keys: tuple[str, ...], prefix: str) -> None:
    found = parse_completion_request(text.replace("|", ""), text.index("|"))
    assert (found.kind, found.field, found.keys, found.prefix) == (kind, field, keys, prefix)


@pytest.mark.parametrize(
    ("text", "completion", "result"),
    [
        ("na|me rest", "name:", "name: rest"),
        ("-tra|", "traceback:", "-traceback:"),
        ("a is:fa|", "failed", "a is:failed"),
        ("has:trace|", "traceback", "has:traceback"),
        ("received:>-1h..n|", "now", "received:>-1h..now"),
        ("received:to|", "today", "received:today"),
        ("i|", "is:", "is:"),
    ],
)
def test_completion_replaces_the_typed_text(text: str, completion: str, result: str) -> None:
    at = text.index("|")
    text = text.replace("|", "")
    request = parse_completion_request(text, at)
    assert completion in [each.text for each in suggest_completions(request)]
    assert text[: request.start] + completion + text[request.end :] == result


def test_operators_come_before_values() -> None:
    assert [each.text for each in suggest_completions(parse_completion_request("runtime:", 8))] == [
        "",
        "",
        ">",
        ">=",
        "<",
        "<=",
        "",
    ]
    assert "field:a,b" in [each.label for each in suggest_completions(parse_completion_request("state:", 6))]
    assert "=" in [each.text for each in suggest_completions(parse_completion_request("name:", 5))]
    assert "field.key:value" in [each.label for each in suggest_completions(parse_completion_request("kwargs.a:", 9))]
    assert suggest_completions(parse_completion_request('"phrase', 7)) == []


def test_fields_with_the_prefix_come_first() -> None:
    completions = suggest_completions(parse_completion_request("re", 2))
    assert completions[0].text == "result:"
    assert "worker:" not in [completion.text for completion in completions]


def test_fields_have_a_description_and_an_example() -> None:
    completions = suggest_completions(parse_completion_request("", 0))
    assert len(completions) > 30
    assert all(completion.description and completion.example for completion in completions)


@given(hostile | st.text(), st.integers(-2, 40))
def test_any_text_has_a_completion_request(text: str, position: int) -> None:
    found = parse_completion_request(text, position)
    assert isinstance(found, CompletionRequest)
    assert 0 <= found.start <= found.end <= len(text)
    suggest_completions(found)
