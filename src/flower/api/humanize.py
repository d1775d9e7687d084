"""Texts of values for `format_task`: the functions of Flower's module `flower.utils.template`."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from flower import cluster

_UUID: Final = re.compile(r"\w{8}(-\w{4}){3}-\w{12}")
#: Words of an identifier that are abbreviations.
_ABBREVIATIONS: Final = re.compile("ssl|uri|url|uuid|eta")
#: Names that are shown unchanged.
_LOWER_CASE: Final = ("args", "kwargs")
_ELLIPSIS: Final = " ..."
#: Seconds, name and article of the units of an age.
_UNITS: Final = ((86_400, "day", "a"), (3_600, "hour", "an"), (60, "minute", "a"), (1, "second", "a"))


def humanize(obj: Any, type: str | None = None, length: int | None = None) -> Any:  # noqa: A002 - Flower's name
    """The value as text, by its `type`: `duration` (seconds), `time` or `natural-time` (epoch seconds), each also with
    a time zone (`time-Europe/Vienna`). Without a type: an identifier as words, a list as its items; other values are
    returned unchanged, None as an empty text. A text longer than `length` is cut."""
    text = _to_text(obj, type or "")
    if length is not None and isinstance(text, str) and len(text) > length:
        return text[: max(0, length - len(_ELLIPSIS))] + _ELLIPSIS
    return text


def format_time(time: float, tz: tzinfo | None) -> str:
    """Epoch seconds as date, time and zone."""
    return datetime.fromtimestamp(time, tz=tz).strftime("%Y-%m-%d %H:%M:%S.%f %Z")


def format_duration(seconds: float) -> str:
    """`12.34 ms`, `1.23 s`, `2m 05s` or `1h 02m 03s`."""
    seconds = float(seconds)
    if seconds < 60:
        return f"{seconds * 1000:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s" if hours else f"{minutes}m {rest:02d}s"


def format_count(value: float | None) -> str:
    """A whole number with thousands separators; None is 0."""
    return f"{int(value or 0):,}"


def _to_text(obj: Any, kind: str) -> Any:
    if obj is None:
        return ""
    if kind == "duration":
        return format_duration(obj)
    for prefix in ("natural-time", "time"):
        if kind.startswith(prefix):
            zone = _time_zone(kind[len(prefix) :].lstrip("-"))
            return _format_age(float(obj), zone) if prefix == "natural-time" else _format_time_or_empty(obj, zone)
    if isinstance(obj, str):
        return obj if _UUID.fullmatch(obj) else _to_words(obj)
    if isinstance(obj, list) and all(isinstance(item, int | float | str) for item in obj):
        return ", ".join(map(str, obj))
    return obj


def _time_zone(name: str) -> tzinfo:
    """The zone of this name; without a name that of the current Celery application."""
    if name:
        return ZoneInfo(name)
    zone = cluster.connection.app_or_current(None).timezone
    return zone if isinstance(zone, tzinfo) else UTC


def _format_time_or_empty(time: Any, zone: tzinfo) -> str:
    return format_time(float(time), zone) if time else ""


def _format_age(time: float, zone: tzinfo) -> str:
    """`5 minutes ago`; date and time if it is more than a day ago."""
    age = datetime.now(zone) - datetime.fromtimestamp(time, zone)
    if age >= timedelta(days=1):
        return _format_time_or_empty(time, zone)
    seconds = int(abs(age).total_seconds())
    if not seconds:
        return "now"
    unit, name, article = next(each for each in _UNITS if seconds >= each[0])
    count = seconds // unit
    amount = f"{article} {name}" if count == 1 else f"{count} {name}s"
    return f"{amount} from now" if age < timedelta(0) else f"{amount} ago"


def _to_words(identifier: str) -> str:
    words = identifier.replace("-", " ").replace("_", " ")
    words = _ABBREVIATIONS.sub(lambda match: match[0].upper(), words)
    return words if words in _LOWER_CASE else words[:1].upper() + words[1:]
