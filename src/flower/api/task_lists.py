"""Lists of tasks in the documented Python API: filter, sort order and page; lazily. Also `satisfies_search_terms`,
which evaluates `is:slow` with the thresholds of the running `Events`."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from flower.api.query_params import AnyTime, parse_order, parse_time
from flower.api.task_dict import to_task_info
from flower.current_events import HasStore, get_current_events
from flower.errors import NotFound
from flower.records import Task
from flower.search.field_values import TaskLike, field_text, field_value
from flower.search.fields import FIELDS
from flower.search.matcher import matches, needs_slow_thresholds
from flower.search.parser import parse_search
from flower.search.tree import Node, Operator, Term, all_of
from flower.store.protocols import NEWEST, Query, Reader, Sort
from flower.task_info import TaskInfo

SortBy: TypeAlias = str | Iterable[str] | None
_T = TypeVar("_T")

#: The documented table; each function returns the sort key of a task object.
sort_keys: dict[str, Callable[[Any], Any]] = {
    "name": lambda task: task.name or "",
    "state": lambda task: task.state or "",
    "received": lambda task: task.received or 0,
    "started": lambda task: task.started or 0,
    "runtime": lambda task: task.runtime or 0,
    "worker": lambda task: task.worker.hostname if task.worker else "",
}

#: Tasks that are joined with their children at a time. It limits memory, not the result.
_CHUNK_SIZE: Final = 500


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
    """The tasks that match all filters, as `TaskInfo` dicts, one by one.

    `events` is the `Events` object to read; None: the one last started in this process. `type`, `worker` and `state`
    match exactly ("" is no filter). The time bounds are inclusive and have the forms of `query_params.parse_time`; a
    task without the time is outside every range. `search` is a query of the search language. For the order see
    `parse_sort`. Without `limit` all tasks are returned, with 0 or less none. Raises InvalidRequest (a ValueError),
    SearchError and NotFound at once, before the first task.
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
    """The `TaskInfo` dict of one task; None if it is not recorded."""
    store = _get_store(events)
    task = store.task(task_id)
    return None if task is None else next(_iter_task_infos(store, iter((task,))))


def sort_tasks(tasks: Iterable[_T], sort_by: SortBy) -> list[_T]:
    """A new list of these tasks (records, dicts or objects with attributes) in order. Text is compared
    case-insensitively; tasks without the value are last in either direction; the sort is stable."""
    ordered = list(tasks)
    for sort in reversed(parse_sort(sort_by)):
        ordered = _sort_by_key(ordered, sort)
    return ordered


def satisfies_search_terms(task: TaskLike, search_terms: Iterable[Node]) -> bool:
    """Whether a task matches all terms: a TaskInfo dict, a record, or a task of `celery.events.state`. `is:slow`
    compares with the tasks recorded by the `Events` last started in this process; if there are none, no task is
    slow."""
    terms = list(search_terms)
    thresholds = _get_slow_thresholds() if any(map(needs_slow_thresholds, terms)) else None
    return all(matches(term, task, thresholds) for term in terms)


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
    """The filters as a query of the store. With `compare="is"`, type, worker and state are compared case-insensitively,
    as in Flower's HTTP API. Raises InvalidRequest, and SearchError for the search."""
    exact = (("name", type), ("worker", worker), ("state", state))
    filters: list[Node] = [Term(field, compare, value) for field, value in exact if value]
    for field, (start, end) in (("received", received), ("started", started)):
        if start is not None or end is not None:
            filters.append(Term(field, "range", (_parse_bound(start), _parse_bound(end))))
    return Query(all_of([*filters, parse_search(search)]), parse_sort(sort_by))


def parse_sort(sort_by: SortBy, allowed: Sequence[str] = tuple(sort_keys)) -> tuple[Sort, ...]:
    """Flower's `sort_by`: `name`, `-received` (descending), several keys as a list or separated by commas. Without
    keys: newest received first. As in Flower, `--name` is the same as `-name`. Raises InvalidRequest, which lists the
    allowed keys."""
    words = sort_by.split(",") if isinstance(sort_by, str) else list(sort_by or ())
    return parse_order([_strip_dashes(word.strip()) for word in words], allowed, parameter="sort_by", default=NEWEST)


def _strip_dashes(word: str) -> str:
    return f"-{word.lstrip('-')}" if word.startswith("-") else word


def _get_store(events: HasStore | None) -> Reader:
    return (get_current_events() if events is None else events).store


def _get_slow_thresholds() -> Mapping[str, float] | None:
    try:
        return get_current_events().store.slow_thresholds()
    except NotFound:
        return None


def _parse_bound(value: AnyTime | None) -> float | None:
    return None if value is None else parse_time(value)


def _sort_by_key(tasks: list[_T], sort: Sort) -> list[_T]:
    keyed = [(_sort_value(task, sort.key), task) for task in tasks]
    present = [(value, task) for value, task in keyed if value is not None]
    present.sort(key=lambda pair: pair[0], reverse=sort.descending)
    return [task for _, task in present] + [task for value, task in keyed if value is None]


def _sort_value(task: Any, key: str) -> Any:
    """A value that can be compared with those of other tasks; None if the task has none."""
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
