"""Values of a record as people read them."""

import re
from datetime import UTC, datetime
from typing import Any

#: Characters of a text that a page shows.
LONGEST = 64 * 1024

#: What does not show, or makes the text around it show in another order.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def visible(value: Any) -> str:
    """The text, with characters that do not show written as escapes, cut where it gets too long for a page."""
    text = str(value)
    rest = len(text) - LONGEST
    cut = f"{text[:LONGEST]}\n… and {rest:,} more characters" if rest > 0 else text
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), cut)


def duration(seconds: Any) -> str:
    """`12.34 ms`, `1.23 s`, `2m 05s`, `1h 02m 03s`."""
    if not isinstance(seconds, int | float):
        return "–"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.2f} ms"
    if abs(seconds) < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s" if hours else f"{minutes}m {rest:02d}s"


def ago(seconds: float) -> str:
    seconds = max(seconds, 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(epoch: Any, *, precise: bool = False) -> str:
    """Local time; with the date unless it is today."""
    moment = _local(epoch)
    if moment is None:
        return "–" if epoch is None else str(epoch)
    time = moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if precise else "")
    today = moment.date() == datetime.now(UTC).astimezone().date()
    return time if today and not precise else f"{moment:%Y-%m-%d} {time}"


def iso(epoch: Any) -> str:
    """UTC, for the title and machine-readable attributes; empty if it is no time."""
    moment = _local(epoch)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else ""


def zone() -> str:
    return datetime.now(UTC).astimezone().tzname() or "local time"


def _local(epoch: Any) -> datetime | None:
    if not isinstance(epoch, int | float):
        return None
    try:
        return datetime.fromtimestamp(epoch, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # beyond the years that can be written
        return None
