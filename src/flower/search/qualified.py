"""What `field:value` means, by the kind of the field: a table from kind to reader, and the way back."""

import math
import re
from collections.abc import Callable

from flower.search.fields import FIELDS, Field, Kind
from flower.search.times import span_text, time_span
from flower.search.tree import Bounds, Term

#: Other words for a field, as the documented API and Flower's JSON call it.
ALIASES = {"hostname": "worker", "type": "name", "id": "uuid", "root": "root_id", "parent": "parent_id"}

_NUMBER = re.compile(r"[+-]?\d{1,300}(?:\.\d{1,300})?(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def field_named(word: str) -> Field | None:
    """The field that people mean by this word, in any case."""
    name = word.casefold()
    return FIELDS.get(ALIASES.get(name, name))


def read(field: Field, value: str) -> Term:
    """Raises ValueError, saying what would be right, if the kind of the field cannot have such a value."""
    return _READERS[field.kind](field, value)


def write(term: Term) -> str | None:
    """The value that `read` makes this term of; None if the language has no words for it."""
    field = FIELDS[term.field]
    match term.operator, term.value:
        case (("contains" | "is"), str(value)):
            text: str | None = value
        case "pair", (str(key), str(value)):
            text = f"{key}={value}"
        case "range", (float(low), float(high)):
            text = f"{low!r}".removesuffix(".0" if field.kind == "number" else "") if low == high else None
            text = span_text(low, high) if text is None and field.kind == "time" else text
        case _:
            text = None
    try:
        return text if text and read(field, text) == term else None
    except ValueError:
        return None


def _text(field: Field, value: str) -> Term:
    if field.name == "kwargs" and "=" in value:
        key, _, item = value.partition("=")
        return Term(field.name, "pair", (key.strip(), item.strip()))
    return Term(field.name, "contains", value)


def _state(field: Field, value: str) -> Term:
    return Term(field.name, "is", value)


def _number(field: Field, value: str) -> Term:
    number = _finite(value)
    if number is None:
        raise ValueError(f"'{field.name}' takes a number")
    return Term(field.name, "range", (number, number))


def _time(field: Field, value: str) -> Term:
    try:
        bounds: Bounds = time_span(value.strip())
    except ValueError:
        epoch = _finite(value)
        if epoch is None:
            raise ValueError(f"'{field.name}' takes a date or time") from None
        bounds = (epoch, epoch)
    return Term(field.name, "range", bounds)


def _finite(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    return number if math.isfinite(number) else None


_READERS: dict[Kind, Callable[[Field, str], Term]] = {
    "text": _text,
    "word": _text,
    "id": _text,
    "state": _state,
    "number": _number,
    "time": _time,
}
