"""Parameters of queries: the source of the records, filter, time window, sort order, and the buckets of histograms."""

import math
import re
import time
from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, Final, TypeAlias, TypedDict, Unpack, get_args
from zoneinfo import ZoneInfo

from flower.current_events import HasStore, get_current_events
from flower.errors import InvalidRequest
from flower.search.did_you_mean import did_you_mean
from flower.search.parser import parse_search
from flower.search.time_parser import parse_moment, parse_time_span, time_context
from flower.search.tree import Node, Term, all_of
from flower.similar_names import closest_match
from flower.store.protocols import NEWEST_BY_TIME, SORT_KEYS, Query, Reader, Sort
from flower.store.query_results import BucketSpan, TimeKey

#: The source of the records: a store, an `Events` object, or None for the `Events` last started in this process.
ReaderLike: TypeAlias = Reader | HasStore | None
AnyTime: TypeAlias = datetime | date | float | str
SortParam: TypeAlias = str | Iterable[str] | None

#: Instead of sort keys: the order in which tasks were first written, in which the position of a task never changes.
WRITTEN_ORDER: Final = "written"

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

#: Bucket widths in seconds that give readable axis labels.
BUCKET_WIDTHS: Final = (
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
)  # fmt: skip

MAX_BUCKETS: Final = 2_000

_EPOCH_SECONDS = re.compile(r"[+-]?(?:\d{9,20}|\d{1,20}\.\d{1,20})", re.ASCII)


class Window(TypedDict, total=False):
    """A time window, both ends included; a task without the time in question is outside every window.

    `start` and `end`: see `parse_time_bound`. `time`: which time of a task is compared; default: `time`, when it was
    received, else sent, else its first event, so that tasks that no worker has received are included. `tz`: the time
    zone of times without one, and of the days of a histogram, as a name such as `Europe/Berlin` or a tzinfo; default:
    local time. `now`: the time in epoch seconds that relative times refer to.
    """

    start: AnyTime | None
    end: AnyTime | None
    time: TimeKey
    tz: str | tzinfo | None
    now: float | None


def get_reader(source: ReaderLike) -> Reader:
    """Raises NotFound if no source is given and no `Events` object is running."""
    events: Any = get_current_events() if source is None else source
    store: Reader = getattr(events, "store", events)
    return store


def build_query(query: str | None, sort: SortParam, **window: Unpack[Window]) -> Query:
    """Raises SearchError and InvalidRequest."""
    return Query(build_filter(query, **window), parse_order(sort))


def build_filter(query: str | None, **window: Unpack[Window]) -> Node:
    """The search tree of a query within a window. Raises SearchError and InvalidRequest."""
    zone, now = parse_time_zone(window.get("tz")), window.get("now")
    tree = parse_search(query, now, zone)
    low = parse_time_bound(window.get("start"), "start", zone, now)
    high = parse_time_bound(window.get("end"), "end", zone, now)
    if low is None and high is None:
        return tree
    return all_of([Term(get_time_key(window), "range", (low, high)), tree])


def parse_order(
    order: SortParam,
    allowed: Sequence[str] = SORT_KEYS,
    *,
    parameter: str = "sort",
    default: tuple[Sort, ...] = NEWEST_BY_TIME,
) -> tuple[Sort, ...]:
    """Sort keys from text such as `-runtime,name` or from a list of keys; `-` is descending. Without keys: `default`,
    newest first. `written` alone: the order of first writing. `parameter` is the name in the message. Raises
    InvalidRequest."""
    words = [word.strip() for word in (order.split(",") if isinstance(order, str) else order or ())]
    words = [word for word in words if word]
    if words == [WRITTEN_ORDER] and allowed is SORT_KEYS:
        return ()
    return tuple(_parse_sort_key(word, allowed, parameter) for word in words) or default


def _parse_sort_key(word: str, allowed: Sequence[str], parameter: str) -> Sort:
    key = word.removeprefix("-")
    if key not in allowed:
        close = closest_match(key, allowed)
        message = f"Invalid {parameter} '{word}', expected one of {', '.join(sorted(allowed))}"
        raise InvalidRequest(message, hint=f"did you mean {close}" if close else "")
    return Sort(key, descending=word != key)


def get_time_key(window: Window) -> TimeKey:
    key = window.get("time") or "time"
    if key not in get_args(TimeKey):
        raise InvalidRequest(f"Unknown time '{key}'", hint=did_you_mean(key, get_args(TimeKey)))
    return key


def get_evaluation_time(window: Window) -> float:
    now = window.get("now")
    return time.time() if now is None else now


def parse_time_bound(
    value: AnyTime | None, side: str, zone: tzinfo | None = None, now: float | None = None
) -> float | None:
    """Epoch seconds of one end of a window; None without a value. Text is a time of the search language (`-1h`,
    `2026-11-22`, `today`); for text that denotes an interval, `side` "start" gives its first moment and "end" its last
    one. Raises InvalidRequest."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return parse_time(value)
    try:
        first, last = _parse_range(value.strip(), zone, now)
    except ValueError:
        hint = "valid: -1h, today, 2026-11-22, 2026-11-22T10:15, epoch seconds"
        raise InvalidRequest(f"Invalid {side} time: '{value}'", hint=hint) from None
    return first if side == "start" else last


def _parse_range(text: str, zone: tzinfo | None, now: float | None) -> tuple[float, float]:
    if _EPOCH_SECONDS.fullmatch(text):
        return float(text), float(text)
    context = time_context(now, zone)
    moment = parse_moment(text, context)
    return parse_time_span(text, context) if moment is None else (moment, moment)


def parse_time(value: AnyTime) -> float:
    """Epoch seconds of a `datetime` (naive: local time), a `date` (its midnight), epoch seconds as a number or text, or
    ISO 8601 text such as `2026-11-22 10:15` or `2026-11-22T10:15:30Z`. Raises InvalidRequest."""
    try:
        seconds = _to_epoch(value)
    except (ValueError, OverflowError, OSError):  # the latter two: years that the platform does not support
        seconds = math.nan
    if not math.isfinite(seconds):
        hint = "valid: a datetime, epoch seconds, or text such as 2026-11-22 10:15"
        raise InvalidRequest(f"{value!r} is not a time", hint=hint)
    return seconds


def _to_epoch(value: AnyTime) -> float:
    match value:
        case bool():
            return math.nan
        case int() | float():
            return float(value)
        case datetime():
            return value.timestamp()
        case date():
            return datetime(value.year, value.month, value.day).timestamp()  # noqa: DTZ001 (local time is intended)
        case str():
            text = value.strip()
            return float(text) if _EPOCH_SECONDS.fullmatch(text) else datetime.fromisoformat(text).timestamp()
    return math.nan


def parse_time_zone(name: str | tzinfo | None) -> tzinfo | None:
    """None is local time. Raises InvalidRequest."""
    if not isinstance(name, str):
        return name
    try:
        return ZoneInfo(name) if name else None
    # ValueError: not a plain name; OSError: the name of a directory, or one that no file can have
    except (ValueError, LookupError, OSError):
        hint = "valid: UTC, or a name such as Europe/Berlin"
        raise InvalidRequest(f"Unknown time zone '{name}'", hint=hint) from None


def get_utc_offset(moment: float, zone: tzinfo | None) -> float:
    """Seconds that the zone is ahead of UTC at a moment; 0 in years that the platform does not support."""
    try:
        local = datetime.fromtimestamp(moment, zone) if zone else datetime.fromtimestamp(moment).astimezone()
    except (ValueError, OverflowError, OSError):
        return 0.0
    offset = local.utcoffset()
    return offset.total_seconds() if offset else 0.0


def choose_buckets(
    start: float, end: float, *, buckets: int, width: float | None, zone: tzinfo | None, key: TimeKey
) -> BucketSpan:
    """Buckets of `width` seconds that contain `start` and `end`; without a width, about `buckets` buckets (rather
    fewer, at most one more) of a round width.

    They are aligned to midnight in the zone; after a change to or from daylight saving time they are off by that
    change. Raises InvalidRequest if there would be too many.
    """
    end = max(start, end)
    size = width if width is not None else _round_up_width((end - start) / buckets)
    offset = get_utc_offset(start, zone)
    first = math.floor((start + offset) / size) * size - offset
    count = math.floor((end - first) / size) + 1
    if count > MAX_BUCKETS:
        hint = "use wider buckets or a shorter time window"
        raise InvalidRequest(f"Too many buckets: {count:,} (maximum {MAX_BUCKETS:,})", hint=hint)
    return BucketSpan(first, size, count, key)


def _round_up_width(width: float) -> float:
    """The smallest round width that is not less."""
    fitting = next((each for each in BUCKET_WIDTHS if each >= width), None)
    return fitting if fitting is not None else math.ceil(width / BUCKET_WIDTHS[-1]) * BUCKET_WIDTHS[-1]
