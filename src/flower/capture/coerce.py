"""The tolerant path: whatever a sender called an event becomes an `Event`, or a reason why not.

Pure functions. A field of the wrong type is converted if its meaning is plain and dropped if not; the
rest of the event is kept. What comes out can be stored: finite numbers, 64-bit integers, text without
lone surrogates.
"""

import math
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from flower.records import Event

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_LATEST = 253402300799.0  # the last second of the year 9999, the last that `datetime` knows
_DEEPEST = 16
_LONGEST_ID, _LONGEST_TYPE = 512, 256


class Malformed(Exception):
    """Not usable as an event; `args[0]` is one of a few fixed reasons, fit for counting."""


def event_from(fields: object, received: float) -> Event:
    """The event in a decoded message; without a usable timestamp it gets `received`, our clock.

    Raises `Malformed`."""
    if not isinstance(fields, Mapping):
        raise Malformed("not an object")
    kind = fields.get("type")
    if not isinstance(kind, str) or not 0 < len(kind) <= _LONGEST_TYPE:
        raise Malformed("no type")
    known: dict[str, Any] = {"type": storable(kind), "timestamp": _timestamp(fields.get("timestamp"), received)}
    extra: dict[str, Any] = {}
    for name, value in fields.items():
        convert = _CONVERT.get(name) if isinstance(name, str) else None
        if convert is not None:
            known[name] = convert(unwrapped(value))
        elif name not in ("type", "timestamp"):
            extra[name] = value
    kept = sane(extra)
    return Event(**known, data=kept or None)


def storable(text: str) -> str:
    """Text that encodes to UTF-8: lone surrogates become backslash escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def unwrapped(value: object) -> object:
    """Kombu writes what JSON lacks (dates, decimals, UUIDs, bytes) as a pair of marker and text: the text."""
    if isinstance(value, dict) and value.keys() == {"__type__", "__value__"}:
        inner = value["__value__"]
        if isinstance(inner, str):
            return inner
    return value


def text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, date | time | UUID | Decimal):  # a datetime is a date
        return value.isoformat() if isinstance(value, date | time) else str(value)
    try:
        return storable(repr(value))
    except Exception:  # noqa: BLE001  the repr of a foreign (pickled) object may raise anything
        return f"<{type(value).__name__}>"


def integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and _SMALLEST <= value <= _LARGEST else None


def number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def sane(value: object, depth: int = 0) -> Any:
    """The same value made of JSON's types only. NaN and infinities are left out of objects and become
    None in lists; what is nested too deeply becomes its text."""
    value = unwrapped(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _SMALLEST <= value <= _LARGEST else text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _DEEPEST or not isinstance(value, Mapping | list | tuple | set | frozenset):
        return text(value)
    if isinstance(value, Mapping):
        return {text(key) or "": sane(item, depth + 1) for key, item in value.items() if not _nonfinite(item)}
    return [sane(item, depth + 1) for item in value]


def _nonfinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _parsed(digits: str) -> int | float | None:
    digits = digits.strip()
    if len(digits) > 40 or "_" in digits:
        return None
    for kind in (int, float):
        try:
            return kind(digits)
        except ValueError:
            continue
    return None


def _timestamp(value: object, received: float) -> float:
    seconds = number(value)
    return seconds if seconds is not None and 0 <= seconds <= _LATEST else received


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _identifier(value: object) -> str | None:
    found = text(value) if isinstance(value, str | UUID) else None
    return found if found and len(found) <= _LONGEST_ID else None


def _signal(value: object) -> int | str | None:
    return storable(value) if isinstance(value, str) else integer(value)


def _averages(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    numbers = [number(item) for item in value]
    return tuple(item for item in numbers if item is not None)


_TEXTS = (
    "hostname name args kwargs root_id parent_id eta expires queue exchange routing_key "
    "result exception traceback sw_ident sw_ver sw_sys"
)

#: How each field that Celery defines is converted.
_CONVERT: dict[str, Callable[[object], object]] = {
    "uuid": _identifier,
    "signum": _signal,
    "loadavg": _averages,
    **dict.fromkeys(_TEXTS.split(), text),
    **dict.fromkeys(("clock", "pid", "retries", "active", "processed"), integer),
    **dict.fromkeys(("utcoffset", "runtime", "freq"), number),
    **dict.fromkeys(("terminated", "expired", "requeue"), _truth),
}
