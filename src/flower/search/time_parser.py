"""Parser of dates, times and relative times. A date means the whole day, a minute the whole minute."""

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
_RELATIVE = re.compile(r"[+-][\d.]+[a-z][\da-z.]*", re.ASCII | re.IGNORECASE)

#: Formats by precision; the text of a format means the whole year, month, day, minute or second.
_FORMS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
#: Names of days, as an offset in days from today.
NAMED_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}


@dataclass(frozen=True, slots=True)
class TimeContext:
    """The reference of relative times (epoch seconds) and the time zone; None is the local zone."""

    now: float
    zone: tzinfo | None = None


def time_context(now: float | None = None, zone: tzinfo | None = None) -> TimeContext:
    """The context of these values; None is the present."""
    return TimeContext(time.time() if now is None else now, zone)


def parse_moment(text: str, context: TimeContext) -> float | None:
    """A moment relative to the context: `now`, `-1h`, `-1h30m`, `+2d`. None if the text is not of this form; raises
    ValueError if it is, but not valid."""
    word = text.strip().casefold()
    if word == "now":
        return context.now
    return context.now + parse_duration(word) if _RELATIVE.fullmatch(word) else None


def parse_time_span(text: str, context: TimeContext | None = None) -> tuple[float, float]:
    """The first and last moment of an interval, in epoch seconds: `2026`, `2026-11`, `2026-11-22`, `2026-11-22T10:15`,
    optionally with seconds, a fraction and a zone; `today`, `yesterday`, `tomorrow`. The default zone is that of the
    context. Raises ValueError."""
    context = context or time_context()
    match = _ABSOLUTE.fullmatch(text)
    try:
        if text.casefold() in NAMED_DAYS:
            return _day_span(NAMED_DAYS[text.casefold()], context)
        if not match:
            raise ValueError("not a time")
        start = _with_zone(datetime.fromisoformat(_complete_iso_text(match)), context)
        if match["fraction"]:
            return start.timestamp(), start.timestamp()
        return _span_until(start, _span_end(start, match))
    except (OverflowError, OSError) as error:  # a year that the platform does not support
        raise ValueError("not a time") from error


def _day_span(offset: int, context: TimeContext) -> tuple[float, float]:
    today = datetime.fromtimestamp(context.now, context.zone)
    start = datetime(today.year, today.month, today.day, tzinfo=context.zone) + timedelta(days=offset)
    return _span_until(start, start + timedelta(days=1))


def _span_until(start: datetime, end: datetime) -> tuple[float, float]:
    """The last moment is the one before `end`."""
    return start.timestamp(), math.nextafter(end.timestamp(), -math.inf)


def _with_zone(start: datetime, context: TimeContext) -> datetime:
    return start.replace(tzinfo=context.zone) if start.tzinfo is None else start


def format_span_start(low: float) -> str | None:
    """The shortest text of an interval that begins at this moment, in the local zone; None if there is none."""
    return _shortest_form(low, lambda span: span[0] == low)


def format_span_end(high: float) -> str | None:
    """The shortest text of an interval that ends at this moment; None if there is none."""
    return _shortest_form(high, lambda span: span[1] == high)


def format_time_span(low: float, high: float) -> str | None:
    """The text that `parse_time_span` reads as exactly this interval; None if there is none."""
    return _shortest_form(low, lambda span: span == (low, high))


def _shortest_form(moment: float, matches: Callable[[tuple[float, float]], bool]) -> str | None:
    for form in _FORMS:
        try:
            text = datetime.fromtimestamp(math.floor(moment)).strftime(form)  # noqa: DTZ006 (local time is what is written)
            if matches(parse_time_span(text)):
                return text
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _complete_iso_text(match: re.Match[str]) -> str:
    day = f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
    time_of_day = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}"
    return f"{day}T{time_of_day}{match['fraction'] or ''}{(match['zone'] or '').upper()}"


def _span_end(start: datetime, match: re.Match[str]) -> datetime:
    if match["second"]:
        return start + timedelta(seconds=1)
    if match["minute"]:
        return start + timedelta(minutes=1)
    if match["day"]:
        return start + timedelta(days=1)
    if match["month"]:
        return (start + timedelta(days=31)).replace(day=1)
    return start.replace(year=start.year + 1)
