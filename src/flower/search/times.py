"""Points in time as people write them: a date means the whole day, a minute the whole minute."""

import math
import re
from datetime import datetime, timedelta

_WRITTEN = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)

#: What can be left off at the end, and how long the stretch is that is meant then.
_FORMS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def time_span(text: str) -> tuple[float, float]:
    """The first and last moment meant, in epoch seconds: `2026`, `2026-11`, `2026-11-22`, `2026-11-22T10:15`, with
    seconds, a fraction and a zone if wanted. Without a zone it is local time. Raises ValueError."""
    found = _WRITTEN.fullmatch(text)
    if not found:
        raise ValueError("not a time")
    try:
        start = datetime.fromisoformat(_filled(found))
        if found["fraction"]:
            return start.timestamp(), start.timestamp()
        # The last moment is the one before the next stretch begins.
        return start.timestamp(), math.nextafter(_end(start, found).timestamp(), -math.inf)
    except (OverflowError, OSError) as error:  # a year that the platform's clock does not know
        raise ValueError("not a time") from error


def span_text(low: float, high: float) -> str | None:
    """The text that `time_span` reads as exactly this stretch; None if there is none."""
    for form in _FORMS:
        try:
            text = datetime.fromtimestamp(low).strftime(form)  # noqa: DTZ006 (local time is what is written)
            if time_span(text) == (low, high):
                return text
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _filled(found: re.Match[str]) -> str:
    day = f"{found['year']}-{found['month'] or '01'}-{found['day'] or '01'}"
    time = f"{found['hour'] or '00'}:{found['minute'] or '00'}:{found['second'] or '00'}"
    return f"{day}T{time}{found['fraction'] or ''}{(found['zone'] or '').upper()}"


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
