"""Lists of tasks, as the documented Python API gives them: filter, order, page; lazily.

The documented search functions where they have to know what is running."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from flower.api.task_dict import to_task_info
from flower.current_events import HasStore, get_current_events
from flower.errors import InvalidRequest, NotFound
from flower.records import Task, TaskInfo
from flower.search.fields import FIELDS
from flower.search.flower_terms import satisfies_search_terms as satisfies
from flower.search.matcher import TaskLike, field_text, field_value, needs_slow_thresholds
from flower.search.parser import parse_search
from flower.search.tree import Node, Operator, Term, all_of
from flower.store.protocols import NEWEST, Query, Reader, Sort

AnyTime: TypeAlias = datetime | date | float | str

SortBy: TypeAlias = str | Iterable[str] | None

_T = TypeVar("_T")

#: The documented table; each gives the sort key of a task object.
sort_keys: dict[str, Callable[[Any], Any]] = {
    "name": lambda task: task.name or "",
    "state": lambda task: task.state or "",
    "received": lambda task: task.received or 0,
    "started": lambda task: task.started or 0,
    "runtime": lambda task: task.runtime or 0,
    "worker": lambda task: task.worker.hostname if task.worker else "",
}

#: Tasks that are joined with their children at a time. Memory is bounded by it, not by the result.
_CHUNK_SIZE = 500

EPOCH_SECONDS = re.compile(r"[+-]?(?:\d{9,20}|\d{1,20}\.\d{1,20})", re.ASCII)


def iter_tasks(
    events: HasStore | None = None,
    limit: int | None = None,
    offset: int = 0,
    type: str | None = None,  # noqa: A002 (the documented name)
    worker: str | None = None,
    state: str | None = None,
    sort_by: SortBy = None,
    received_start: AnyTime | None = None,
    received_end: AnyTime | None = None,
    started_start: AnyTime | None = None,
    started_end: AnyTime | None = None,
    search: str | None = None,
) -> Iterator[TaskInfo]:
    """The tasks that all the filters let through, as `TaskInfo` dicts, one by one.

    `events` are the Events to read; None means those last started in this process. `type`, `worker` and
    `state` are compared whole (an empty one is no filter). The time bounds are inclusive and taken as by
    `parse_time`; a task without that time is in no range. `search` is a query of the search language. Order:
    see `parse_sort`. No `limit` means all tasks, 0 or less none. Raises Invalid (a ValueError), SearchError
    and NotFound at once, before the first task.
    """
    query = build_list_query(
        type=type,
        worker=worker,
        state=state,
        sort_by=sort_by,
        received=(received_start, received_end),
        started=(started_start, started_end),
        search=search,
    )
    store = _get_store(events)
    return _iter_task_infos(store, store.tasks(query, limit=limit, offset=max(offset, 0)))


def get_task_by_id(events: HasStore | None, task_id: str) -> TaskInfo | None:
    """The `TaskInfo` dict of one task; None if there is no record of it."""
    store = _get_store(events)
    task = store.task(task_id)
    return None if task is None else next(_iter_task_infos(store, iter((task,))))


def sort_tasks(tasks: Iterable[_T], sort_by: SortBy) -> list[_T]:
    """A new list of these tasks (records, dicts or objects with attributes) in order. Text goes without regard
    to case, tasks without the value come last in either direction, equal ones keep their order."""
    ordered = list(tasks)
    for sort in reversed(parse_sort(sort_by)):
        ordered = _sort_by_key(ordered, sort)
    return ordered


def build_list_query(
    *,
    type: str | None = None,  # noqa: A002 (the documented name)
    worker: str | None = None,
    state: str | None = None,
    sort_by: SortBy = None,
    received: tuple[AnyTime | None, AnyTime | None] = (None, None),
    started: tuple[AnyTime | None, AnyTime | None] = (None, None),
    search: str | None = None,
    compare: Operator = "equals",
) -> Query:
    """The filters as a query of the store. `compare="is"` lets type, worker and state ignore case, as Flower's
    HTTP API does. Raises Invalid, and SearchError for the search."""
    whole = (("name", type), ("worker", worker), ("state", state))
    filters: list[Node] = [Term(field, compare, value) for field, value in whole if value]
    for field, (start, end) in (("received", received), ("started", started)):
        if start is not None or end is not None:
            filters.append(Term(field, "range", (_parse_bound(start), _parse_bound(end))))
    return Query(all_of([*filters, parse_search(search)]), parse_sort(sort_by))


def parse_sort(sort_by: SortBy, allowed: Sequence[str] = tuple(sort_keys)) -> tuple[Sort, ...]:
    """What to sort by: `name`, `-received` (descending), several as a list or with commas between. Nothing named is
    newest received first. Raises Invalid, which names the allowed keys."""
    words = sort_by.split(",") if isinstance(sort_by, str) else list(sort_by or ())
    sorts = tuple(_parse_sort_word(word.strip(), allowed) for word in words if word.strip())
    return sorts or NEWEST


def parse_time(value: AnyTime) -> float:
    """Epoch seconds of a `datetime` (naive = local time), a `date` (its midnight), epoch seconds as number or text, or
    ISO 8601 text such as `2026-11-22 10:15` or `2026-11-22T10:15:30Z`. Raises Invalid."""
    try:
        seconds = _to_epoch(value)
    except (ValueError, OverflowError, OSError):  # the latter two: years that the platform cannot count
        seconds = math.nan
    if not math.isfinite(seconds):
        hint = "give a datetime, epoch seconds, or text such as 2026-11-22 10:15"
        raise InvalidRequest(f"{value!r} is not a time", hint=hint)
    return seconds


def _get_store(events: HasStore | None) -> Reader:
    return (get_current_events() if events is None else events).store


def _to_epoch(value: AnyTime) -> float:
    match value:
        case bool():
            return math.nan
        case int() | float():
            return float(value)
        case datetime():
            return value.timestamp()
        case date():
            return datetime(value.year, value.month, value.day).timestamp()  # noqa: DTZ001 (local on purpose)
        case str():
            text = value.strip()
            return float(text) if EPOCH_SECONDS.fullmatch(text) else datetime.fromisoformat(text).timestamp()
    return math.nan


def _parse_bound(value: AnyTime | None) -> float | None:
    return None if value is None else parse_time(value)


def _parse_sort_word(word: str, allowed: Sequence[str]) -> Sort:
    key = word.lstrip("-")
    if key not in allowed:
        raise InvalidRequest(f"Invalid sort_by '{word}', expected one of {', '.join(sorted(allowed))}")
    return Sort(key, descending=word.startswith("-"))


def _sort_by_key(tasks: list[_T], sort: Sort) -> list[_T]:
    keyed = [(_sort_value(task, sort.key), task) for task in tasks]
    present = [(value, task) for value, task in keyed if value is not None]
    present.sort(key=lambda pair: pair[0], reverse=sort.descending)
    return [task for _, task in present] + [task for value, task in keyed if value is None]


def _sort_value(task: Any, key: str) -> Any:
    """A value that sorts among its like; None if the task has none."""
    field = FIELDS[key]
    if field.kind in ("number", "time"):
        value = field_value(task, field)
        return value if isinstance(value, int | float) and not math.isnan(value) else None
    text = field_text(task, field)
    return None if text is None else text.casefold()


def _iter_task_infos(store: Reader, tasks: Iterator[Task]) -> Iterator[TaskInfo]:
    workers = store.workers()
    while chunk := list(islice(tasks, _CHUNK_SIZE)):
        children = store.children([task.uuid for task in chunk])
        for task in chunk:
            yield to_task_info(task, worker=workers.get(task.hostname or ""), children=children.get(task.uuid, ()))


def satisfies_search_terms(task: TaskLike, search_terms: Iterable[Node]) -> bool:
    """Whether all the terms hold for a task: a TaskInfo dict, a record, or a task of `celery.events.state`. `is:slow`
    compares with the tasks that the Events last started in this process know; if none run, nothing is slow."""
    terms = list(search_terms)
    return satisfies(task, terms, _get_slow_thresholds() if any(map(needs_slow_thresholds, terms)) else None)


def _get_slow_thresholds() -> Mapping[str, float] | None:
    try:
        return get_current_events().store.slow_thresholds()
    except NotFound:
        return None
