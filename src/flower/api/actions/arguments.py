"""The arguments of a task, out of the text of its events: all of them, or nothing. Never guessed."""

import re
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from flower.errors import NotWhole
from flower.search.literal import MAX_LITERAL_LENGTH, exact_literal

Part: TypeAlias = Literal["args", "kwargs"]

#: Of a text that cannot be used, as much is told.
SHOWN = 2_000

_WORDS = {"args": "positional arguments", "kwargs": "keyword arguments"}
_HINT = "give `{part}` yourself; with result_extended in the application's configuration they are kept whole"
#: An object that has no literal: `<Order 17>`, `<function f at 0x7f…>`, `Order(id=17)`, `datetime.date(2026, 1, 2)`.
_OBJECT = re.compile(r"<[^<>]*>|\b[A-Za-z_][\w.]*\(")
#: What was put in place of a secret, by the sender or when it was recorded: sending that would run the task with a
#: wrong value. Stars may stand within a text (an address without its password).
_STARS = re.compile(r"\*{3,}")
_MASK = re.compile(
    r"[\[<({]{1,2}[^\[\]<>(){}]*\b(?:redacted|filtered|masked|hidden|removed)\b.*|redacted|filtered", re.IGNORECASE
)


def from_text(part: Part, text: str | None, uuid: str) -> list[Any] | dict[str, Any]:
    """Raises NotWhole, with the text and what is wrong with it."""
    if text is None:
        raise _not_whole(part, None, uuid, "no event told them")
    if part == "args" and text in ("()", "[]", ""):
        return []
    if part == "kwargs" and text in ("{}", ""):
        return {}
    try:
        value = exact_literal(text)
    except ValueError:
        raise _not_whole(part, text, uuid, _reason(text)) from None
    if any(_STARS.search(leaf) or _MASK.fullmatch(leaf) for leaf in _texts(value)):
        raise _not_whole(part, text, uuid, "a value in it was replaced by a mask when it was sent or recorded")
    if part == "args" and isinstance(value, list | tuple):
        return list(value)
    if part == "kwargs" and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise _not_whole(part, text, uuid, f"the text is not {'a tuple' if part == 'args' else 'a dict'}")


def _reason(text: str) -> str:
    if len(text) > MAX_LITERAL_LENGTH:
        return "the text is too long to be read"
    if "..." in text or "…" in text:
        return "the text was cut"
    if _OBJECT.search(text):
        return "there are objects in it that only the sender could make"
    return "the text leaves in doubt what was sent"


def _not_whole(part: Part, text: str | None, uuid: str, reason: str) -> NotWhole:
    told = "" if text is None else f": {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}"
    message = f"The {_WORDS[part]} of task '{uuid}' are not known in full, {reason}{told}"
    return NotWhole(message, part, text, reason, hint=_HINT.format(part=part))


def _texts(value: Any) -> Iterator[str]:
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
