"""Tests of the masks of recorded tasks: the rule of each is found again."""

from typing import Any

import pytest

from flower.records import Task
from flower.redaction import Redactor, parse_rules
from flower.redaction.masks import MaskedValue, find_masked_values
from flower.redaction.shapes import load_shapes

REDACTOR = Redactor(parse_rules(None, ["default", r"ORD-\d{4}"], ["shop.login:1"]))


def find(**fields: Any) -> tuple[MaskedValue, ...]:
    return find_masked_values(REDACTOR.mask_task(Task("a", **fields)), REDACTOR)


@pytest.mark.parametrize(
    ("text", "name", "rule"),
    [
        ("{'user': 'ann', 'db.password': 'hunter2'}", "db.password", "*password*"),
        ("connect(api_key='hunter2')", "api_key", "*api_key*"),
        ("[('Authorization', 'hunter2')]", "Authorization", "*authorization*"),
        ("mysqldump --password hunter2 shop", "password", "*password*"),
        ("<password>hunter2</password>", "password", "*password*"),
        ("API key: hunter2", "API key", "*api_key*"),
        ("postgres://ann:hunter2@db", None, "url"),
        ("sent Bearer mF_9.B5f-4.1JqM", None, "bearer"),
        ("https://s3/b?sig=hunter2x", None, "signed-url"),
        ("card 4111 1111 1111 1111 declined", None, "card"),
        ("order ORD-1234", None, "pattern"),
        ("{'unknown': '***'}", None, None),
    ],
)
def test_rule_of_a_mask_is_found(text: str, name: str | None, rule: str | None) -> None:
    assert find(result=text) == (MaskedValue("result", name, rule, 1),)


def test_each_field_and_the_data_are_examined() -> None:
    found = find(
        name="shop.login", args="('ann', 'x')", kwargs="{'token': 'a', 'other': {'token': 'b'}}",
        data={"task-progress": {"step": {"pin": 1234}}},
    )  # fmt: skip
    assert found == (
        MaskedValue("args", None, "redact_args", 1),
        MaskedValue("kwargs", "token", "*token*", 2),
        MaskedValue("data", "pin", "pin", 1),
    )


def test_tasks_without_masks_have_none() -> None:
    assert find(args="('a * b ** c', '*****')", result="{'password': None}") == ()


def test_masks_of_the_corpus_are_explained() -> None:
    explained = [
        any(each.rule for each in find(result=shape.text)) for shape in load_shapes() if shape.secret is not None
    ]
    assert sum(explained) / len(explained) > 0.85
