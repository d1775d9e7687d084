"""Points in time as people write them: a date means the whole day, a minute the whole minute."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from flower.search.numbers import duration

_WRITTEN = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_RELATIVE = re.compile(r"-[\d.]+[a-z][\da-z.]*", re.ASCII | re.IGNORECASE)

#: What can be left off at the end, and how long the stretch is that is meant then.
_FORMS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
#: Days by name, and how many days ago they were.
DAYS = {"today": 0, "yesterday": 1}


@dataclass(frozen=True, slots=True)
class Clock:
    """What relative times are counted from (epoch seconds), and where it is; None is the local zone."""

    now: float
    zone: tzinfo | None = None


def clock(now: float | None = None, zone: tzinfo | None = None) -> Clock:
    return Clock(time.time() if now is None else now, zone)


def moment(text: str, at: Clock) -> float | None:
    """`now`, `-1h`, `-1h30m`: a moment seen from the clock. None if the text is no such thing, ValueError if it
    nearly is."""
    word = text.strip().casefold()
    if word == "now":
        return at.now
    return at.now + duration(word) if _RELATIVE.fullmatch(word) else None


def time_span(text: str, at: Clock | None = None) -> tuple[float, float]:
    """The first and last moment meant, in epoch seconds: `2026`, `2026-11`, `2026-11-22`, `2026-11-22T10:15`, with
    seconds, a fraction and a zone if wanted; `today`, `yesterday`. Without a zone it is that of the clock. Raises
    ValueError."""
    at = at or clock()
    found = _WRITTEN.fullmatch(text)
    try:
        if text.casefold() in DAYS:
            return _day(DAYS[text.casefold()], at)
        if not found:
            raise ValueError("not a time")
        start = _zoned(datetime.fromisoformat(_filled(found)), at)
        if found["fraction"]:
            return start.timestamp(), start.timestamp()
        return _stretch(start, _end(start, found))
    except (OverflowError, OSError) as error:  # a year that the platform's clock does not know
        raise ValueError("not a time") from error


def _day(ago: int, at: Clock) -> tuple[float, float]:
    today = datetime.fromtimestamp(at.now, at.zone)
    start = datetime(today.year, today.month, today.day, tzinfo=at.zone) - timedelta(days=ago)
    return _stretch(start, start + timedelta(days=1))


def _stretch(start: datetime, end: datetime) -> tuple[float, float]:
    """The last moment is the one before the next stretch begins."""
    return start.timestamp(), math.nextafter(end.timestamp(), -math.inf)


def _zoned(start: datetime, at: Clock) -> datetime:
    return start.replace(tzinfo=at.zone) if start.tzinfo is None else start


def start_text(low: float) -> str | None:
    """The shortest text of a stretch that begins at this moment, by the local clock; None if there is none."""
    return _shortest(low, lambda span: span[0] == low)


def end_text(high: float) -> str | None:
    """The shortest text of a stretch that ends with this moment."""
    return _shortest(high, lambda span: span[1] == high)


def span_text(low: float, high: float) -> str | None:
    """The text that `time_span` reads as exactly this stretch."""
    return _shortest(low, lambda span: span == (low, high))


def _shortest(when: float, fits: Callable[[tuple[float, float]], bool]) -> str | None:
    for form in _FORMS:
        try:
            text = datetime.fromtimestamp(math.floor(when)).strftime(form)  # noqa: DTZ006 (local time is what is written)
            if fits(time_span(text)):
                return text
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _filled(found: re.Match[str]) -> str:
    day = f"{found['year']}-{found['month'] or '01'}-{found['day'] or '01'}"
    time_of_day = f"{found['hour'] or '00'}:{found['minute'] or '00'}:{found['second'] or '00'}"
    return f"{day}T{time_of_day}{found['fraction'] or ''}{(found['zone'] or '').upper()}"


def _end(start: datetime, found: re.Match[str]) -> datetime:
    if found["second"]:
        return start + timedelta(seconds=1)
    if found["minute"]:
        return start + timedelta(minutes=1)
    if found["day"]:
        return start + timedelta(days=1)
    if found["month"]:
        return (start + timedelta(days=31)).replace(day=1)
    return start.replace(year=start.year + 1)
