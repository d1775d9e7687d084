"""Stretches of time for histograms and time lines: a round width, and a start where such stretches begin."""

import math
from datetime import tzinfo

from flower.api.asking import get_utc_offset
from flower.errors import InvalidRequest
from flower.store.answers import BucketSpan, TimeKey

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

#: Widths in seconds that people can read an axis with.
BUCKET_WIDTHS = (
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
)  # fmt: skip

#: Stretches of one answer; more are refused.
MAX_BUCKETS = 2_000


def choose_buckets(
    start: float, end: float, *, buckets: int, width: float | None, zone: tzinfo | None, key: TimeKey
) -> BucketSpan:
    """About `buckets` stretches (rather fewer, at most one more) that hold `start` and `end`; or stretches of `width`.

    They are aligned to midnight in the zone; where the zone changes its clock, those after the change are off by it.
    Raises Invalid if there would be too many.
    """
    end = max(start, end)
    size = width if width is not None else _round_up_width((end - start) / buckets)
    ahead = get_utc_offset(start, zone)
    first = math.floor((start + ahead) / size) * size - ahead
    count = math.floor((end - first) / size) + 1
    if count > MAX_BUCKETS:
        hint = f"at most {MAX_BUCKETS}: choose a greater width or a shorter time"
        raise InvalidRequest(f"That would be {count:,} stretches of time", hint=hint)
    return BucketSpan(first, size, count, key)


def _round_up_width(least: float) -> float:
    """The least round width that is not below."""
    fitting = next((width for width in BUCKET_WIDTHS if width >= least), None)
    return fitting if fitting is not None else math.ceil(least / BUCKET_WIDTHS[-1]) * BUCKET_WIDTHS[-1]
