"""Lenient conversion: turns whatever a sender published as an event into an `Event`, or a reason why that is not
possible.

Pure functions. A field of the wrong type is converted if its meaning is clear and dropped otherwise; the rest of the
event is kept. The output can be stored: finite numbers, 64-bit integers, text without lone surrogates.
"""

import math
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from flower.records import Event
from flower.surrogates import escape_surrogates

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_MAX_TIMESTAMP = 253402300799.0  # the last second of the year 9999, the maximum of `datetime`
_MAX_DEPTH = 16
_MAX_ID_LENGTH, _MAX_TYPE_LENGTH = 512, 256


class MalformedEvent(Exception):
    """Not usable as an event; `args[0]` is one of a few fixed reasons, suitable for counting."""


def parse_event(fields: object, received: float) -> Event:
    """The event in a decoded message. Without a valid timestamp it gets `received`, the local clock.

    Raises MalformedEvent."""
    if not isinstance(fields, Mapping):
        raise MalformedEvent("not an object")
    kind = fields.get("type")
    if not isinstance(kind, str) or not 0 < len(kind) <= _MAX_TYPE_LENGTH:
        raise MalformedEvent("no type")
    known: dict[str, Any] = {
        "type": escape_surrogates(kind),
        "timestamp": _to_timestamp(fields.get("timestamp"), received),
    }
    extra: dict[str, Any] = {}
    for name, value in fields.items():
        convert = _CONVERTERS.get(name) if isinstance(name, str) else None
        if convert is not None:
            known[name] = convert(unwrap_value(value))
        elif name not in ("type", "timestamp"):
            extra[name] = value
    data = to_storable_value(extra)
    return Event(**known, data=data or None)


def unwrap_value(value: object) -> object:
    """The text of a marker object. Kombu writes what JSON lacks (dates, decimals, UUIDs, bytes) as an object of marker
    and text."""
    if isinstance(value, dict) and value.keys() == {"__type__", "__value__"}:
        inner = value["__value__"]
        if isinstance(inner, str):
            return inner
    return value


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
        return escape_surrogates(repr(value))
    except Exception:  # noqa: BLE001  the repr of a foreign (pickled) object may raise anything
        return f"<{type(value).__name__}>"


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


def to_storable_value(value: object, depth: int = 0) -> Any:
    """The same value, made of JSON types only. NaN and infinities are removed from objects and become None in lists;
    values nested too deeply become text."""
    value = unwrap_value(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _MIN_INTEGER <= value <= _MAX_INTEGER else to_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _MAX_DEPTH or not isinstance(value, Mapping | list | tuple | set | frozenset):
        return to_text(value)
    if isinstance(value, Mapping):
        return {
            to_text(key) or "": to_storable_value(item, depth + 1)
            for key, item in value.items()
            if not _is_nonfinite(item)
        }
    return [to_storable_value(item, depth + 1) for item in value]


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
    identifier = to_text(value) if isinstance(value, str | UUID) else None
    return identifier if identifier and len(identifier) <= _MAX_ID_LENGTH else None


def _to_signal(value: object) -> int | str | None:
    return escape_surrogates(value) if isinstance(value, str) else to_integer(value)


def _to_averages(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    numbers = [to_number(item) for item in value]
    return tuple(item for item in numbers if item is not None)


_TEXT_FIELDS = (
    "hostname name args kwargs root_id parent_id eta expires queue exchange routing_key "
    "result exception traceback sw_ident sw_ver sw_sys"
)

#: The conversion of each field that Celery defines.
_CONVERTERS: dict[str, Callable[[object], object]] = {
    "uuid": _to_identifier,
    "signum": _to_signal,
    "loadavg": _to_averages,
    **dict.fromkeys(_TEXT_FIELDS.split(), to_text),
    **dict.fromkeys(("clock", "pid", "retries", "active", "processed"), to_integer),
    **dict.fromkeys(("utcoffset", "runtime", "freq"), to_number),
    **dict.fromkeys(("terminated", "expired", "requeue"), _to_boolean),
}
