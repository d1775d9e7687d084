"""Finds the masks in a recorded text, and the rule that each of them comes from. Only the mask is recorded; the text
around it, or the mask itself, shows the rule."""

import re
from collections import Counter
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from flower.records import Task
from flower.redaction.names import MAX_NAME_LENGTH
from flower.redaction.patterns import MASK
from flower.redaction.redactor import TEXT_FIELDS, Redactor

#: Masks of one field that are examined.
_MAX_MASKS: Final = 200
#: Characters before a mask in which its name is searched.
_CONTEXT: Final = 200

_MASK = re.compile(r"(?<!\*)\*\*\*(?:([a-z][a-z-]*)\*\*\*)?(?!\*)")
#: What precedes the mask of a built-in pattern that has no name of its own.
_PATTERN_CONTEXTS: Final = (
    ("url", re.compile(r"(?:://|%3A%2F%2F)[^\s@]*(?::|%3A)$", re.IGNORECASE)),
    ("bearer", re.compile(r"\b(?:bearer|basic)\s+$", re.IGNORECASE)),
    ("signed-url", re.compile(r"(?:signature|security-token|sig|hmac)(?:=|%3D)$", re.IGNORECASE)),
)
_NAME = re.compile(
    r"([\w.-][\w .\[-]*)\\*['\"]?\]?(?:\s*(?::=|:|=>|={1,3}|,|%3D)\s*|[^<>'\"]*>|\s+)"
    r"(?:'name'[^{}]*)?[bBrRuU]{0,2}\\*['\"]?$"
)


class MaskedValue(msgspec.Struct, frozen=True):
    """Masked values of one field with the same name and rule."""

    field: Annotated[str, Meta(description="`args`, `kwargs`, `result`, `exception`, `traceback` or `data`.")]
    name: Annotated[str | None, Meta(description="The name before the mask.")]
    rule: Annotated[
        str | None,
        Meta(
            description="A name of `redact`, a pattern of `redact_patterns`, or `redact_args`. null: none of the"
            " present rules, or the text does not show it."
        ),
    ]
    count: int


def find_masked_values(task: Task, redactor: Redactor) -> tuple[MaskedValue, ...]:
    """The masked values of the task, in the order of its fields."""
    texts = [(field, getattr(task, field)) for field in TEXT_FIELDS]
    if task.data:
        texts.append(("data", repr(task.data)))
    found: Counter[tuple[str, str | None, str | None]] = Counter()
    for field, text in texts:
        if text is None or MASK not in text:
            continue
        has_masked_positions = field == "args" and redactor.has_position_rule(task.name)
        for mask in list(_MASK.finditer(text))[:_MAX_MASKS]:
            name, rule = _explain(text, mask, redactor)
            if rule is None and name is None and has_masked_positions:
                rule = "redact_args"
            found[field, name, rule] += 1
    return tuple(MaskedValue(*key, count) for key, count in found.items())


def _explain(text: str, mask: re.Match[str], redactor: Redactor) -> tuple[str | None, str | None]:
    """The name before the mask, and the rule."""
    before = text[max(0, mask.start() - _CONTEXT) : mask.start()]
    name = _find_name(before, redactor)
    if mask[1]:
        return name, mask[1]
    for pattern, context in _PATTERN_CONTEXTS:
        if context.search(before):
            return None, pattern
    return name, None if name is None else redactor.names.find_rule(name)


def _find_name(before: str, redactor: Redactor) -> str | None:
    """The name that ends directly before the mask; the shortest one that has a rule."""
    match = _NAME.search(before)
    if match is None:
        return None
    words = match[1].strip(" .[").split(" ")[-4:]
    names = [" ".join(words[-count:])[-MAX_NAME_LENGTH:].lstrip("-") for count in range(1, len(words) + 1)]
    return next((name for name in names if redactor.names.find_rule(name)), None)
