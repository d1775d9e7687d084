"""Lenient conversion: turns whatever a sender published as an event into an `Event`, or a reason why that is not
possible.

Pure functions. A field of the wrong type is converted if its meaning is clear and dropped otherwise; the rest of the
event is kept. The output can be stored: finite numbers, 64-bit integers, text without lone surrogates.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from celery.utils.saferepr import saferepr

from flower.name_lengths import shorten_name
from flower.records import MAX_LOAD_AVERAGES, MAX_NAME_LENGTH, MAX_TYPE_LENGTH, Event
from flower.surrogates import escape_surrogates

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_MAX_TIMESTAMP = 253402300799.0  # the last second of the year 9999, the maximum of `datetime`
_MAX_DEPTH = 16
#: Characters of a value that is nested too deeply.
_MAX_NESTED_TEXT = 1_024
#: Values in the additional fields of an event, at any depth. Further ones are left out.
MAX_DATA_VALUES = 10_000
#: Values in a list or object that stands where a text is expected; the text of a larger one is cut off.
_MAX_TEXT_VALUES = 10_000
#: Marks the place of values that are left out.
OMITTED = "…"


class MalformedEvent(Exception):
    """Not usable as an event; `args[0]` is one of a few fixed reasons, suitable for counting."""


def parse_event(fields: object, received: float, shortened: Counter[str] | None = None) -> Event:
    """The event in a decoded message. Without a valid timestamp it gets `received`, the local clock. `shortened` counts
    values that were too long, by field.

    Raises MalformedEvent."""
    if not isinstance(fields, Mapping):
        raise MalformedEvent("not an object")
    kind = fields.get("type")
    if not isinstance(kind, str) or not kind:
        raise MalformedEvent("no type")
    shortened = Counter() if shortened is None else shortened
    known: dict[str, Any] = {
        "type": _bound_name("type", escape_surrogates(kind), MAX_TYPE_LENGTH, shortened),
        "timestamp": _to_timestamp(fields.get("timestamp"), received),
    }
    extra: dict[str, Any] = {}
    for name, value in fields.items():
        convert = _CONVERTERS.get(name) if isinstance(name, str) else None
        if convert is not None:
            known[name] = convert(unwrap_value(value))
        elif name not in ("type", "timestamp"):
            extra[name] = value
    for name in _NAME_FIELDS:
        if isinstance(text := known.get(name), str):
            known[name] = _bound_name(name, text, MAX_NAME_LENGTH, shortened)
    data = _DataConverter(shortened).convert(extra) if extra else None
    return Event(**known, data=data or None)


def _bound_name(field: str, name: str, max_length: int, shortened: Counter[str]) -> str:
    if len(name) <= max_length:
        return name
    shortened[field] += 1
    return shorten_name(name, max_length)


def unwrap_value(value: object) -> object:
    """The text of a marker object. Kombu writes what JSON lacks (dates, decimals, UUIDs, bytes) as an object of marker
    and text, and a UUID as an object of marker and hexadecimal digits."""
    if isinstance(value, dict) and value.keys() == {"__type__", "__value__"}:
        inner = value["__value__"]
        if value["__type__"] == "uuid" and (identifier := _parse_uuid(inner)) is not None:
            return identifier
        return inner if isinstance(inner, str) else value
    return value


def _parse_uuid(value: object) -> str | None:
    """The usual text of the value of a UUID's marker: digits, or an object with them."""
    digits = value.get("hex") if isinstance(value, dict) else value
    try:
        return str(UUID(hex=digits)) if isinstance(digits, str) else None
    except ValueError:
        return None


def to_identifier(value: object) -> str | None:
    """The text of an id that a message or a worker's reply contains; None if there is none."""
    identifier = _to_identifier(unwrap_value(value))
    return None if identifier is None else shorten_name(identifier, MAX_NAME_LENGTH)


def to_text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return escape_surrogates(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, date | time | UUID | Decimal):  # a datetime is a date
        return value.isoformat() if isinstance(value, date | time) else str(value)
    try:
        return escape_surrogates(repr(value) if _is_small(value) else str(saferepr(value, maxlen=_MAX_NESTED_TEXT)))
    except Exception:  # noqa: BLE001  the repr of a foreign (pickled) object may raise anything
        return f"<{type(value).__name__}>"


def _is_small(value: object) -> bool:
    """Whether the text of the value has a reasonable length: a YAML document may contain a list billions of times."""
    waiting, count = [value], 0
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping | list | tuple | set | frozenset):
            count += len(each)
            if count > _MAX_TEXT_VALUES:
                return False
            waiting += each.values() if isinstance(each, Mapping) else each
    return True


def to_integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _parse_number(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and _MIN_INTEGER <= value <= _MAX_INTEGER else None


def to_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _parse_number(value)
    if isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


class _DataConverter:
    """Converts the additional fields of one event, up to MAX_DATA_VALUES. A YAML document of some lines may contain the
    same list billions of times."""

    def __init__(self, shortened: Counter[str]) -> None:
        self._shortened = shortened
        self._remaining = MAX_DATA_VALUES

    def convert(self, value: object, depth: int = 0) -> Any:
        """The same value, made of JSON types only. NaN and infinities are removed from objects and become None in
        lists; values nested too deeply become text."""
        value = unwrap_value(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return value if _MIN_INTEGER <= value <= _MAX_INTEGER else to_text(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if not isinstance(value, Mapping | list | tuple | set | frozenset):
            return to_text(value)
        if depth >= _MAX_DEPTH:
            return str(saferepr(value, maxlen=_MAX_NESTED_TEXT))
        if isinstance(value, Mapping):
            return self._convert_mapping(value, depth)
        items = []
        for item in value:
            if not self._take():
                items.append(OMITTED)
                break
            items.append(self.convert(item, depth + 1))
        return items

    def _convert_mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for key, item in value.items():
            if not self._take():
                fields[OMITTED] = OMITTED
                break
            if not _is_nonfinite(item):
                name = _bound_name("data", to_text(key) or "", MAX_TYPE_LENGTH, self._shortened)
                fields[name] = self.convert(item, depth + 1)
        return fields

    def _take(self) -> bool:
        """Whether another value may be converted."""
        self._remaining -= 1
        if self._remaining == -1:
            self._shortened["data"] += 1
        return self._remaining >= 0


def _is_nonfinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _parse_number(digits: str) -> int | float | None:
    digits = digits.strip()
    if len(digits) > 40 or "_" in digits:
        return None
    for kind in (int, float):
        try:
            return kind(digits)
        except ValueError:
            continue
    return None


def _to_timestamp(value: object, received: float) -> float:
    seconds = to_number(value)
    return seconds if seconds is not None and 0 <= seconds <= _MAX_TIMESTAMP else received


def _to_boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _to_identifier(value: object) -> str | None:
    """The usual text of an id: of a UUID, of a number, or of another JSON value as JSON."""
    if isinstance(value, bool | Mapping | list):
        try:
            value = json.dumps(value, default=str)
        except (ValueError, TypeError, RecursionError):
            return None
    return to_text(value) or None


def _to_signal(value: object) -> int | str | None:
    return escape_surrogates(value) if isinstance(value, str) else to_integer(value)


def _to_averages(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    numbers = [to_number(item) for item in value[:MAX_LOAD_AVERAGES]]
    return tuple(item for item in numbers if item is not None)


_TEXT_FIELDS = (
    "hostname name args kwargs eta expires queue exchange routing_key result exception traceback sw_ident sw_ver sw_sys"
)
#: Text fields of bounded length.
_NAME_FIELDS = (
    "uuid", "root_id", "parent_id", "hostname", "name", "eta", "expires", "queue", "exchange", "routing_key", "signum",
    "sw_ident", "sw_ver", "sw_sys",
)  # fmt: skip

#: The conversion of each field that Celery defines.
_CONVERTERS: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(("uuid", "root_id", "parent_id"), _to_identifier),
    "signum": _to_signal,
    "loadavg": _to_averages,
    **dict.fromkeys(_TEXT_FIELDS.split(), to_text),
    **dict.fromkeys(("clock", "pid", "retries", "active", "processed"), to_integer),
    **dict.fromkeys(("utcoffset", "runtime", "freq"), to_number),
    **dict.fromkeys(("terminated", "expired", "requeue"), _to_boolean),
}
