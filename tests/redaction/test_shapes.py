"""Tests of the corpus of shapes: recall, precision, and that each shape is treated the same in every context."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flower.errors import InvalidRequest
from flower.records import Event
from flower.redaction import Redactor, Rules, parse_rules
from flower.redaction.redactor import TEXT_FIELDS
from flower.redaction.shapes import PLACEHOLDER, Shape, check_shapes, load_shapes

SHAPES = load_shapes()
USUAL = Redactor()
MASK_SHAPES = [shape for shape in SHAPES if shape.secret is not None]
KEEP_SHAPES = [shape for shape in SHAPES if shape.secret is None]


def test_all_shapes_are_treated_as_required() -> None:
    report = check_shapes(USUAL, SHAPES)
    assert [(each.shape.name, each.problem, each.masked) for each in report.findings] == []
    assert (report.recall, report.precision) == (1.0, 1.0)
    assert report.masked == len(MASK_SHAPES) > 100
    assert report.kept == len(KEEP_SHAPES) > 30


def by_name(shape: Shape) -> str:
    return shape.name


@pytest.mark.parametrize("shape", MASK_SHAPES, ids=by_name)
def test_shape_is_masked_in_one_of_many_events(shape: Shape) -> None:
    """The prefilter is matched against all texts together."""
    for text in (shape.text, repr(shape.text), json.dumps(shape.text), f"({shape.text!r}, 1)"):
        for field in TEXT_FIELDS:
            events = [event(args="(1, 'key')", kwargs="{'n'"), event(**{field: text}), event(), event(result="'...")]
            masked = USUAL.mask_events(events)
            assert masked == [USUAL.mask_event(each) for each in events]
            assert masked[1] != events[1], text


@given(st.lists(st.lists(st.sampled_from(SHAPES), max_size=2), max_size=6), st.data())
def test_events_are_masked_together_as_one_by_one(groups: list[list[Shape]], data: st.DataObject) -> None:
    events = []
    for shapes in groups:
        text = " ".join(shape.text for shape in shapes)
        start, end = (data.draw(st.integers(0, len(text))) for _ in range(2))
        events.append(event(**{data.draw(st.sampled_from(TEXT_FIELDS)): text[start:end] or text}))
    assert USUAL.mask_events(events) == [USUAL.mask_event(each) for each in events]


def event(**fields: Any) -> Event:
    return Event(type="task-received", timestamp=1.0, uuid="a", hostname="w", **fields)


@pytest.mark.parametrize("shape", MASK_SHAPES, ids=by_name)
def test_shape_is_masked_inside_other_values(shape: Shape) -> None:
    assert shape.secret is not None
    for text in (
        repr((shape.text,)), repr({"body": shape.text}), json.dumps({"body": shape.text}),
        repr([json.dumps([shape.text])]),
        f"ValueError({shape.text!r})", f"line one\n{shape.text}", repr(shape.text.encode()),
    ):  # fmt: skip
        assert shape.secret not in USUAL.mask_text(text), text
    assert shape.secret not in json.dumps(USUAL.mask_value({"step": [shape.text]}), ensure_ascii=False)


@pytest.mark.parametrize("shape", MASK_SHAPES, ids=by_name)
def test_custom_data_remains_an_object(shape: Shape) -> None:
    """The recorder merges the fields of custom events, so they must remain an object."""
    masked = USUAL.mask_value({"step": [shape.text], "n": 1})
    assert (masked.keys(), masked["n"]) == ({"step", "n"}, 1)
    assert isinstance(masked["step"], list)


@pytest.mark.parametrize("shape", SHAPES, ids=by_name)
def test_masking_a_shape_is_idempotent(shape: Shape) -> None:
    masked = USUAL.mask_text(shape.text)
    assert USUAL.mask_text(masked) == masked


@pytest.mark.parametrize("shape", KEEP_SHAPES, ids=by_name)
def test_harmless_shape_remains_inside_other_values(shape: Shape) -> None:
    for text in (repr((shape.text,)), repr({"body": shape.text}), json.dumps({"body": shape.text})):
        assert USUAL.mask_text(text) == text


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#: Shapes whose secret may be any text of letters and digits.
_FREE_SHAPES = [shape for shape in MASK_SHAPES if shape.secret == "hunter2-Xk9q7Zw3"]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(_FREE_SHAPES), st.text(_LETTERS, min_size=8, max_size=40).filter(lambda text: not text.isdigit())
)
def test_generated_secret_is_masked(shape: Shape, secret: str) -> None:
    assert shape.secret is not None
    secret = f"1{secret}9"  # not a word of the shape itself
    text = shape.text.replace(shape.secret, secret)
    assert secret not in USUAL.mask_text(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MASK_SHAPES), min_size=2, max_size=4))
def test_several_shapes_in_one_value_are_masked(shapes: list[Shape]) -> None:
    masked = USUAL.mask_text(repr([shape.text for shape in shapes]))
    assert [shape.name for shape in shapes if shape.secret is not None and shape.secret in masked] == []


# --- numbers that resemble secrets (case C09)


def test_numbers_and_markers_of_language_models_remain() -> None:
    kwargs = {
        "max_new_tokens": 256, "eos_token_id": 2, "pad_token": "<pad>", "cached_tokens": 12, "reasoning_tokens": 3,
        "tokens": 5, "tokens_used": 9, "next_page_token": "abc", "secretary_id": 7, "credential_id": 3,
    }  # fmt: skip
    assert USUAL.mask_text(repr(kwargs)) == repr(kwargs)
    assert USUAL.mask_value(kwargs) == kwargs


@pytest.mark.parametrize("first", ["4", "51", "65", "34"])
def test_no_id_of_16_digits_is_a_card_number(first: str) -> None:
    for number in range(1_000):
        text = repr((int(f"{first}{number:0{16 - len(first)}d}"),))
        assert USUAL.mask_text(text) == text


def test_names_given_by_the_user_mask_numbers_too() -> None:
    redactor = Redactor(parse_rules(["default", "max_new_tokens"], None, ()))
    assert redactor.mask_text("{'max_new_tokens': 256}") == "{'max_new_tokens': '***'}"


# --- files of users


def test_shapes_of_a_user_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "shapes.toml"
    file.write_text(
        f"""
[[mask]]
name = "order token"
text = "order {PLACEHOLDER}"
secret = "ORD-1234"

[[mask]]
name = "password"
text = "{{'password': '{PLACEHOLDER}', 'n': 'x'}}"
keeps = ["'n': 'y'"]

[[keep]]
name = "own token"
text = "{{'ring_token': 'a'}}"
"""
    )
    report = check_shapes(USUAL, load_shapes(file))
    assert [each.problem for each in report.findings] == [
        "secret not masked", "more masked than the secret", "masked without a secret",
    ]  # fmt: skip
    assert (report.recall, report.precision) == (1 / 2, 1 / 3)
    rules = parse_rules(["default", "!ring_token"], ["default", r"ORD-\d{4}"], ())
    assert [each.problem for each in check_shapes(Redactor(rules), load_shapes(file)).findings] == [
        "more masked than the secret"
    ]


def test_without_rules_recall_is_zero() -> None:
    report = check_shapes(Redactor(Rules((), (), ())), SHAPES)
    assert (report.recall, report.over_masked) == (0.0, 0)


@pytest.mark.parametrize(
    "content",
    [
        "x", "[[other]]", "[[mask]]\nname='a'", "[[mask]]\nname='a'\ntext='no secret'", "[[keep]]\ntext='a'\nkeeps=[]",
        "[[mask]]\nname='a'\ntext='{secret}'\nkeeps='a'", "mask = [1]",
    ],
)  # fmt: skip
def test_invalid_file_is_rejected(content: str, tmp_path: Path) -> None:
    file = tmp_path / "shapes.toml"
    file.write_text(content)
    with pytest.raises(InvalidRequest) as raised:
        load_shapes(file)
    assert "shapes.toml" in str(raised.value)


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Cannot read"):
        load_shapes(tmp_path / "none.toml")
