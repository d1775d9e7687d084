"""What a question is about: whose records, which tasks, which stretch of time, in which order.

Stretches of time for histograms and time lines: a round width, and a start where such stretches begin."""

import math
import time
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any, TypeAlias, TypedDict, Unpack, get_args
from zoneinfo import ZoneInfo

from flower.api.task_lists import EPOCH_SECONDS, AnyTime, parse_time
from flower.current_events import HasStore, get_current_events
from flower.errors import InvalidRequest
from flower.search.did_you_mean import did_you_mean
from flower.search.parser import parse_search
from flower.search.time_parser import parse_moment, parse_time_span, time_context
from flower.search.tree import Node, Term, all_of
from flower.store.protocols import NEWEST, SORT_KEYS, Query, Reader, Sort
from flower.store.query_results import BucketSpan, TimeKey

#: Whose records: a store, the `Events` that keep one, or those last started in this process.
ReaderLike: TypeAlias = Reader | HasStore | None

SortParam: TypeAlias = str | Iterable[str] | None

#: In place of a sort key: the order in which tasks were first written, where each keeps its place for ever.
WRITTEN_ORDER = "written"


class Window(TypedDict, total=False):
    """A stretch of time, both ends included; a task without the time is in none.

    `start` and `end` are what `bound` takes, `time` says which of a task's times is meant (`received`). `tz` is the
    zone of times that name none, and of the days of a histogram: a name as in `Europe/Berlin`, or a tzinfo; default
    the local one. `now` is what relative times count from, in epoch seconds.
    """

    start: AnyTime | None
    end: AnyTime | None
    time: TimeKey
    tz: str | tzinfo | None
    now: float | None


def get_reader(source: ReaderLike) -> Reader:
    """Raises NotFound if nobody is named and nobody watches."""
    watching: Any = get_current_events() if source is None else source
    store: Reader = getattr(watching, "store", watching)
    return store


def build_filter(query: str | None, **window: Unpack[Window]) -> Node:
    """The tree of a query within a window. Raises SearchError and Invalid."""
    zone, now = parse_time_zone(window.get("tz")), window.get("now")
    asked = parse_search(query, now, zone)
    low = parse_time_bound(window.get("start"), "start", zone, now)
    high = parse_time_bound(window.get("end"), "end", zone, now)
    if low is None and high is None:
        return asked
    return all_of([Term(get_time_key(window), "range", (low, high)), asked])


def build_query(query: str | None, sort: SortParam, **window: Unpack[Window]) -> Query:
    return Query(build_filter(query, **window), parse_order(sort))


def get_time_key(window: Window) -> TimeKey:
    key = window.get("time") or "received"
    if key not in get_args(TimeKey):
        raise InvalidRequest(f"There is no time '{key}'", hint=did_you_mean(key, get_args(TimeKey)))
    return key


def parse_order(sort: SortParam) -> tuple[Sort, ...]:
    """`-runtime,name` or such words one by one; `-` is descending. Nothing is newest received first, `written` alone
    the order of first writing. Raises Invalid."""
    words = [word.strip() for word in (sort.split(",") if isinstance(sort, str) else sort or ())]
    words = [word for word in words if word]
    if words == [WRITTEN_ORDER]:
        return ()
    return tuple(_parse_sort_key(word) for word in words) or NEWEST


def _parse_sort_key(word: str) -> Sort:
    key = word.removeprefix("-")
    if key not in SORT_KEYS:
        raise InvalidRequest(f"Tasks cannot be sorted by '{key}'", hint=did_you_mean(key, SORT_KEYS))
    return Sort(key, descending=word != key)


def parse_time_bound(
    value: AnyTime | None, side: str, zone: tzinfo | None = None, now: float | None = None
) -> float | None:
    """Epoch seconds. A text is a time of the search language (`-1h`, `2026-11-22`, `today`); what names a stretch of
    time stands for its first moment at the start and its last one at the end. Raises Invalid."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return parse_time(value)
    try:
        first, last = _parse_range(value.strip(), zone, now)
    except ValueError:
        hint = "write -1h, today, 2026-11-22, 2026-11-22T10:15 or epoch seconds"
        raise InvalidRequest(f"'{value}' is not a time for {side}", hint=hint) from None
    return first if side == "start" else last


def _parse_range(text: str, zone: tzinfo | None, now: float | None) -> tuple[float, float]:
    if EPOCH_SECONDS.fullmatch(text):
        return float(text), float(text)
    at = time_context(now, zone)
    relative = parse_moment(text, at)
    return parse_time_span(text, at) if relative is None else (relative, relative)


def parse_time_zone(name: str | tzinfo | None) -> tzinfo | None:
    """None is the local zone. Raises Invalid."""
    if not isinstance(name, str):
        return name
    try:
        return ZoneInfo(name) if name else None
    # ValueError: not a plain name; OSError: the name of a folder, or one that no file can have
    except (ValueError, LookupError, OSError):
        raise InvalidRequest(
            f"There is no time zone '{name}'", hint="write UTC or a name such as Europe/Berlin"
        ) from None


def get_utc_offset(moment: float, zone: tzinfo | None) -> float:
    """Seconds that the zone is ahead of UTC then; 0 in years that the platform cannot count."""
    try:
        local = datetime.fromtimestamp(moment, zone) if zone else datetime.fromtimestamp(moment).astimezone()
    except (ValueError, OverflowError, OSError):
        return 0.0
    ahead = local.utcoffset()
    return ahead.total_seconds() if ahead else 0.0


def get_evaluation_time(window: Window) -> float:
    now = window.get("now")
    return time.time() if now is None else now


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
