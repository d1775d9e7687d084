"""What a question is about: whose records, which tasks, which stretch of time, in which order."""

import time
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any, TypeAlias, TypedDict, Unpack, get_args
from zoneinfo import ZoneInfo

from flower.api.listing import EPOCH, AnyTime, parse_time
from flower.current import Watching, current
from flower.errors import Invalid
from flower.search.nearest import did_you_mean
from flower.search.syntax import parse
from flower.search.times import clock, moment, time_span
from flower.search.tree import Node, Term, all_of
from flower.store.answers import TimeKey
from flower.store.port import NEWEST, SORT_KEYS, Query, Reader, Sort

#: Whose records: a store, the `Events` that keep one, or those last started in this process.
Source: TypeAlias = Reader | Watching | None
Order: TypeAlias = str | Iterable[str] | None

#: In place of a sort key: the order in which tasks were first written, where each keeps its place for ever.
WRITTEN = "written"


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


def reader_of(source: Source) -> Reader:
    """Raises NotFound if nobody is named and nobody watches."""
    watching: Any = current() if source is None else source
    store: Reader = getattr(watching, "store", watching)
    return store


def where_of(query: str | None, **window: Unpack[Window]) -> Node:
    """The tree of a query within a window. Raises SearchError and Invalid."""
    zone, now = zone_of(window.get("tz")), window.get("now")
    asked = parse(query, now, zone)
    low = bound(window.get("start"), "start", zone, now)
    high = bound(window.get("end"), "end", zone, now)
    if low is None and high is None:
        return asked
    return all_of([Term(time_key(window), "range", (low, high)), asked])


def query_of(query: str | None, sort: Order, **window: Unpack[Window]) -> Query:
    return Query(where_of(query, **window), order_of(sort))


def time_key(window: Window) -> TimeKey:
    key = window.get("time") or "received"
    if key not in get_args(TimeKey):
        raise Invalid(f"There is no time '{key}'", hint=did_you_mean(key, get_args(TimeKey)))
    return key


def order_of(sort: Order) -> tuple[Sort, ...]:
    """`-runtime,name` or such words one by one; `-` is descending. Nothing is newest received first, `written` alone
    the order of first writing. Raises Invalid."""
    words = [word.strip() for word in (sort.split(",") if isinstance(sort, str) else sort or ())]
    words = [word for word in words if word]
    if words == [WRITTEN]:
        return ()
    return tuple(_sort(word) for word in words) or NEWEST


def _sort(word: str) -> Sort:
    key = word.removeprefix("-")
    if key not in SORT_KEYS:
        raise Invalid(f"Tasks cannot be sorted by '{key}'", hint=did_you_mean(key, SORT_KEYS))
    return Sort(key, descending=word != key)


def bound(value: AnyTime | None, side: str, zone: tzinfo | None = None, now: float | None = None) -> float | None:
    """Epoch seconds. A text is a time of the search language (`-1h`, `2026-11-22`, `today`); what names a stretch of
    time stands for its first moment at the start and its last one at the end. Raises Invalid."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return parse_time(value)
    try:
        first, last = _moments(value.strip(), zone, now)
    except ValueError:
        hint = "write -1h, today, 2026-11-22, 2026-11-22T10:15 or epoch seconds"
        raise Invalid(f"'{value}' is not a time for {side}", hint=hint) from None
    return first if side == "start" else last


def _moments(text: str, zone: tzinfo | None, now: float | None) -> tuple[float, float]:
    if EPOCH.fullmatch(text):
        return float(text), float(text)
    at = clock(now, zone)
    relative = moment(text, at)
    return time_span(text, at) if relative is None else (relative, relative)


def zone_of(name: str | tzinfo | None) -> tzinfo | None:
    """None is the local zone. Raises Invalid."""
    if not isinstance(name, str):
        return name
    try:
        return ZoneInfo(name) if name else None
    # ValueError: not a plain name; OSError: the name of a folder, or one that no file can have
    except (ValueError, LookupError, OSError):
        raise Invalid(f"There is no time zone '{name}'", hint="write UTC or a name such as Europe/Berlin") from None


def offset_at(moment: float, zone: tzinfo | None) -> float:
    """Seconds that the zone is ahead of UTC then; 0 in years that the platform cannot count."""
    try:
        local = datetime.fromtimestamp(moment, zone) if zone else datetime.fromtimestamp(moment).astimezone()
    except (ValueError, OverflowError, OSError):
        return 0.0
    ahead = local.utcoffset()
    return ahead.total_seconds() if ahead else 0.0


def now_of(window: Window) -> float:
    now = window.get("now")
    return time.time() if now is None else now
