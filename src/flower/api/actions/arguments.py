"""The arguments of a task, out of the text of its events: all of them, or nothing. Never guessed."""

import re
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from flower.errors import TruncatedArguments
from flower.search.literal import MAX_LITERAL_LENGTH, parse_literal_strict

ArgumentKind: TypeAlias = Literal["args", "kwargs"]

#: Of a text that cannot be used, as much is told.
MAX_DISPLAY_LENGTH = 2_000

_DESCRIPTIONS = {"args": "positional arguments", "kwargs": "keyword arguments"}
_HINT = "give `{part}` yourself; with result_extended in the application's configuration they are kept whole"
#: An object that has no literal: `<Order 17>`, `<function f at 0x7f…>`, `Order(id=17)`, `datetime.date(2026, 1, 2)`.
_OBJECT_REPR = re.compile(r"<[^<>]*>|\b[A-Za-z_][\w.]*\(")
#: What was put in place of a secret, by the sender or when it was recorded: sending that would run the task with a
#: wrong value. Stars may stand within a text (an address without its password).
_STARS = re.compile(r"\*{3,}")
_MASK = re.compile(
    r"[\[<({]{1,2}[^\[\]<>(){}]*\b(?:redacted|filtered|masked|hidden|removed)\b.*|redacted|filtered", re.IGNORECASE
)


def parse_arguments(part: ArgumentKind, text: str | None, uuid: str) -> list[Any] | dict[str, Any]:
    """Raises NotWhole, with the text and what is wrong with it."""
    if text is None:
        raise _truncated_error(part, None, uuid, "no event told them")
    if part == "args" and text in ("()", "[]", ""):
        return []
    if part == "kwargs" and text in ("{}", ""):
        return {}
    try:
        value = parse_literal_strict(text)
    except ValueError:
        raise _truncated_error(part, text, uuid, _find_defect(text)) from None
    if any(_STARS.search(leaf) or _MASK.fullmatch(leaf) for leaf in _iter_texts(value)):
        raise _truncated_error(part, text, uuid, "a value in it was replaced by a mask when it was sent or recorded")
    if part == "args" and isinstance(value, list | tuple):
        return list(value)
    if part == "kwargs" and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise _truncated_error(part, text, uuid, f"the text is not {'a tuple' if part == 'args' else 'a dict'}")


def _find_defect(text: str) -> str:
    if len(text) > MAX_LITERAL_LENGTH:
        return "the text is too long to be read"
    if "..." in text or "…" in text:
        return "the text was cut"
    if _OBJECT_REPR.search(text):
        return "there are objects in it that only the sender could make"
    return "the text leaves in doubt what was sent"


def _truncated_error(part: ArgumentKind, text: str | None, uuid: str, reason: str) -> TruncatedArguments:
    told = "" if text is None else f": {text[:MAX_DISPLAY_LENGTH]}{'…' if len(text) > MAX_DISPLAY_LENGTH else ''}"
    message = f"The {_DESCRIPTIONS[part]} of task '{uuid}' are not known in full, {reason}{told}"
    return TruncatedArguments(message, part, text, reason, hint=_HINT.format(part=part))


def _iter_texts(value: Any) -> Iterator[str]:
    """All texts at any depth, keys left out."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set):
            waiting.extend(item)
