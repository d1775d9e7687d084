"""`format_task` of the configuration file: a user function that changes how tasks are displayed.

It is applied to tasks read for HTTP, so that pages, API, tables and exports show the same. Searching and sorting use
the task as it was recorded; secrets must be removed with `redact`, before they are stored.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

from msgspec.structs import asdict, replace

from flower.log_rate_limit import limit_log_rate
from flower.records import Task
from flower.search.tree import EVERYTHING, Node
from flower.store.protocols import Query, Reader
from flower.store.query_results import Page, TaskFamily, Workflows

log = logging.getLogger(__name__)
# an error of the function often occurs for every row
limit_log_rate(log, tracebacks=True)

FormatTask: TypeAlias = Callable[[Any], Any]

_NUMBER_FIELDS = frozenset(
    {"timestamp", "sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"}
    | {"runtime", "retries", "pid", "clock", "priority", "run", "clock_offset", "client_offset", "queue_wait"}
)
#: Links and pages depend on the id; the other fields are read from the result in a different way.
_FIXED_FIELDS = frozenset({"uuid", "hostname", "earlier", "data", "lost", "source", "event_times"})


def with_format_task(reader: Reader, function: FormatTask | None) -> Reader:
    """A reader whose tasks are passed through the function; the same reader without a function."""
    return reader if function is None else cast(Reader, _FormattingReader(reader, function))


def format_tasks(reader: Reader, tasks: Sequence[Task]) -> Sequence[Task]:
    """Recorded tasks as this reader displays them."""
    return reader.format_all(tasks) if isinstance(reader, _FormattingReader) else tasks


class _FormattingReader:
    """Delegates to a reader and passes its tasks through the function."""

    def __init__(self, reader: Reader, function: FormatTask) -> None:
        self._reader, self._function = reader, function
        # Flower calls the function from one thread only, so existing functions need not be thread-safe.
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def task(self, uuid: str) -> Task | None:
        task = self._reader.task(uuid)
        return None if task is None else self._format_one(task)

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0, strict: bool = False) -> Iterator[Task]:
        return map(self._format_one, self._reader.tasks(query, limit=limit, offset=offset, strict=strict))

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        page = self._reader.task_page(query, limit=limit, cursor=cursor)
        return replace(page, tasks=self.format_all(page.tasks))

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        page = self._reader.workflows(where, limit=limit, cursor=cursor)
        roots = self.format_all([workflow.root for workflow in page.workflows])
        pairs = zip(page.workflows, roots, strict=True)
        return replace(page, workflows=tuple(replace(workflow, root=root) for workflow, root in pairs))

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        family = self._reader.family(uuid, limit=limit)
        return None if family is None else replace(family, tasks=self.format_all(family.tasks))

    def format_all(self, tasks: Iterable[Task]) -> tuple[Task, ...]:
        return tuple(map(self._format_one, tasks))

    def _format_one(self, task: Task) -> Task:
        copy = SimpleNamespace(**asdict(task), worker=task.worker, root=task.root_id, parent=task.parent_id)
        try:
            with self._lock:
                changed = self._function(copy)
            return _apply_changes(task, changed)
        except Exception:  # user code: an error for one task must not make the page fail
            log.exception("format_task failed for task %s; showing it unchanged", task.uuid)
            return task


def _apply_changes(task: Task, changed: Any) -> Task:
    """The record with the changes of the function. A value of the wrong type is converted to text, in a number field it
    is ignored. Raises AttributeError if the function did not return a task."""
    changes: dict[str, Any] = {}
    for name in task.__struct_fields__:
        if name in _FIXED_FIELDS:
            continue
        value = getattr(changed, name)
        if value is not getattr(task, name):
            changes[name] = _coerce_type(name, value, getattr(task, name))
    worker = getattr(changed.worker, "hostname", changed.worker)
    if worker != task.hostname:
        changes["hostname"] = _coerce_type("hostname", worker, task.hostname)
    if isinstance(changed.data, dict | None) and isinstance(changed.earlier, tuple):
        changes |= {"data": changed.data, "earlier": changed.earlier}
    return replace(task, **changes)


def _coerce_type(name: str, value: Any, before: Any) -> Any:
    """A number field accepts only numbers: tables and exports depend on it."""
    if name in _NUMBER_FIELDS:
        return value if value is None or isinstance(value, int | float) else before
    return value if value is None or isinstance(value, str) else repr(value)
