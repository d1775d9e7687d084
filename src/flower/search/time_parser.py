"""Points in time as people write them: a date means the whole day, a minute the whole minute."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from flower.units import parse_duration

_ABSOLUTE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_RELATIVE = re.compile(r"-[\d.]+[a-z][\da-z.]*", re.ASCII | re.IGNORECASE)

#: What can be left off at the end, and how long the stretch is that is meant then.
_FORMS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
#: Days by name, and how many days ago they were.
NAMED_DAYS = {"today": 0, "yesterday": 1}


@dataclass(frozen=True, slots=True)
class TimeContext:
    """What relative times are counted from (epoch seconds), and where it is; None is the local zone."""

    now: float
    zone: tzinfo | None = None


def time_context(now: float | None = None, zone: tzinfo | None = None) -> TimeContext:
    return TimeContext(time.time() if now is None else now, zone)


def parse_moment(text: str, at: TimeContext) -> float | None:
    """`now`, `-1h`, `-1h30m`: a moment seen from the clock. None if the text is no such thing, ValueError if it
    nearly is."""
    word = text.strip().casefold()
    if word == "now":
        return at.now
    return at.now + parse_duration(word) if _RELATIVE.fullmatch(word) else None


def parse_time_span(text: str, at: TimeContext | None = None) -> tuple[float, float]:
    """The first and last moment meant, in epoch seconds: `2026`, `2026-11`, `2026-11-22`, `2026-11-22T10:15`, with
    seconds, a fraction and a zone if wanted; `today`, `yesterday`. Without a zone it is that of the clock. Raises
    ValueError."""
    at = at or time_context()
    found = _ABSOLUTE.fullmatch(text)
    try:
        if text.casefold() in NAMED_DAYS:
            return _day_span(NAMED_DAYS[text.casefold()], at)
        if not found:
            raise ValueError("not a time")
        start = _with_zone(datetime.fromisoformat(_complete_iso_text(found)), at)
        if found["fraction"]:
            return start.timestamp(), start.timestamp()
        return _span_until(start, _span_end(start, found))
    except (OverflowError, OSError) as error:  # a year that the platform's clock does not know
        raise ValueError("not a time") from error


def _day_span(ago: int, at: TimeContext) -> tuple[float, float]:
    today = datetime.fromtimestamp(at.now, at.zone)
    start = datetime(today.year, today.month, today.day, tzinfo=at.zone) - timedelta(days=ago)
    return _span_until(start, start + timedelta(days=1))


def _span_until(start: datetime, end: datetime) -> tuple[float, float]:
    """The last moment is the one before the next stretch begins."""
    return start.timestamp(), math.nextafter(end.timestamp(), -math.inf)


def _with_zone(start: datetime, at: TimeContext) -> datetime:
    return start.replace(tzinfo=at.zone) if start.tzinfo is None else start


def format_span_start(low: float) -> str | None:
    """The shortest text of a stretch that begins at this moment, by the local clock; None if there is none."""
    return _shortest_form(low, lambda span: span[0] == low)


def format_span_end(high: float) -> str | None:
    """The shortest text of a stretch that ends with this moment."""
    return _shortest_form(high, lambda span: span[1] == high)


def format_time_span(low: float, high: float) -> str | None:
    """The text that `time_span` reads as exactly this stretch."""
    return _shortest_form(low, lambda span: span == (low, high))


def _shortest_form(when: float, fits: Callable[[tuple[float, float]], bool]) -> str | None:
    for form in _FORMS:
        try:
            text = datetime.fromtimestamp(math.floor(when)).strftime(form)  # noqa: DTZ006 (local time is what is written)
            if fits(parse_time_span(text)):
                return text
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _complete_iso_text(found: re.Match[str]) -> str:
    day = f"{found['year']}-{found['month'] or '01'}-{found['day'] or '01'}"
    time_of_day = f"{found['hour'] or '00'}:{found['minute'] or '00'}:{found['second'] or '00'}"
    return f"{day}T{time_of_day}{found['fraction'] or ''}{(found['zone'] or '').upper()}"


def _span_end(start: datetime, found: re.Match[str]) -> datetime:
    if found["second"]:
        return start + timedelta(seconds=1)
    if found["minute"]:
        return start + timedelta(minutes=1)
    if found["day"]:
        return start + timedelta(days=1)
    if found["month"]:
        return (start + timedelta(days=31)).replace(day=1)
    return start.replace(year=start.year + 1)
