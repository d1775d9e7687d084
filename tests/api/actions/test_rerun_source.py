"""Arguments from the text of events: complete or refused."""

import pytest

from flower.api.actions.rerun_source import ArgumentKind, parse_arguments
from flower.errors import TruncatedArguments


@pytest.mark.parametrize(
    ("part", "text", "value"),
    [
        ("args", "()", []),
        ("args", "(1, 'a', [None, True], {'b': 2.5})", [1, "a", [None, True], {"b": 2.5}]),
        ("args", "[1]", [1]),
        ("kwargs", "{}", {}),
        ("kwargs", "{'note': 'the secret is 4 * 4', 'hidden': 1}", {"note": "the secret is 4 * 4", "hidden": 1}),
    ],
)
def test_complete_arguments(part: ArgumentKind, text: str, value: object) -> None:
    assert parse_arguments(part, text, "t") == value


@pytest.mark.parametrize(
    ("part", "text", "reason"),
    [
        ("args", None, "no event contains them"),
        ("args", "('xxxx...', 1)", "the text was truncated"),
        ("args", "('xxxx", "does not determine"),
        ("args", "(1, ...)", "the text was truncated"),
        ("args", "(<Order 17>,)", "objects"),
        ("args", "(datetime.date(2026, 1, 2),)", "objects"),
        ("args", "(__import__('os').system('true'),)", "objects"),
        ("args", "1", "not a tuple"),
        ("kwargs", "[1]", "not a dict"),
        ("kwargs", "{1: 2}", "not a dict"),
        ("kwargs", "{'password': '***'}", "mask"),
        ("kwargs", "{'url': 'redis://ann:***@host/0'}", "mask"),
        ("kwargs", "{'deep': [{'token': '********'}]}", "mask"),
        ("args", "('[REDACTED]',)", "mask"),
        ("args", "('<hidden>',)", "mask"),
    ],
)
def test_incomplete_arguments(part: ArgumentKind, text: str | None, reason: str) -> None:
    with pytest.raises(TruncatedArguments) as caught:
        parse_arguments(part, text, "t")
    assert reason in caught.value.reason
    assert caught.value.part == part
    assert (text or "") in caught.value.message
    assert f"pass `{part}` explicitly" in caught.value.hint
