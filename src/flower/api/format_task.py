"""`format_task` of the configuration file: the user's own function that changes how a task is shown.

It is applied to what leaves the store for HTTP, so that pages, the API, tables and exports show the same. What is
searched and sorted is the record as it was captured: what must never be there belongs in `redact`.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

from msgspec.structs import asdict, replace

from flower.records import Task
from flower.search.tree import EVERYTHING, Node
from flower.store.protocols import Query, Reader
from flower.store.query_results import Page, TaskFamily, Workflows

log = logging.getLogger(__name__)

FormatTask: TypeAlias = Callable[[Any], Any]

_NUMBER_FIELDS = frozenset(
    {"timestamp", "sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"}
    | {"runtime", "retries", "pid", "clock", "priority"}
)
#: Links and pages stand on the id; the others are read in ways of their own.
_FIXED_FIELDS = frozenset({"uuid", "hostname", "earlier", "data"})


def with_format_task(reader: Reader, function: FormatTask | None) -> Reader:
    """The same store, whose tasks have gone through the function; the store itself if there is none."""
    return reader if function is None else cast(Reader, _FormattingReader(reader, function))


def format_tasks(reader: Reader, tasks: Sequence[Task]) -> Sequence[Task]:
    """Records as they were captured → as this store shows them."""
    return reader.format_all(tasks) if isinstance(reader, _FormattingReader) else tasks


class _FormattingReader:
    """Gives everything to the reader, and its tasks to the function."""

    def __init__(self, reader: Reader, function: FormatTask) -> None:
        self._reader, self._function = reader, function
        # Flower called it from one thread only, so that is what it may rely on.
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def task(self, uuid: str) -> Task | None:
        task = self._reader.task(uuid)
        return None if task is None else self._format_one(task)

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        found = self._reader.tasks(query, limit=limit, offset=offset)
        return map(self._format_one, found)

    def page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        page = self._reader.task_page(query, limit=limit, cursor=cursor)
        return replace(page, tasks=self.format_all(page.tasks))

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        found = self._reader.workflows(where, limit=limit, cursor=cursor)
        shown = self._all([workflow.root for workflow in found.workflows])
        pairs = zip(found.workflows, shown, strict=True)
        return replace(found, workflows=tuple(replace(workflow, root=root) for workflow, root in pairs))

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        found = self._reader.family(uuid, limit=limit)
        return None if found is None else replace(found, tasks=self.format_all(found.tasks))

    def format_all(self, tasks: Iterable[Task]) -> tuple[Task, ...]:
        return tuple(map(self._format_one, tasks))

    def _format_one(self, task: Task) -> Task:
        copy = SimpleNamespace(**asdict(task), worker=task.worker, root=task.root_id, parent=task.parent_id)
        try:
            with self._lock:
                changed = self._function(copy)
            return _apply_changes(task, changed)
        except Exception:  # it is the user's code, and one bad task must not take the page away
            log.exception("format_task failed for task %s, which is shown as it is", task.uuid)
            return task


def _apply_changes(task: Task, changed: Any) -> Task:
    """The record with what the function changed; what does not fit a field is its text. Raises AttributeError if the
    function gave no task back."""
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
    """What is put into the field: in a number's field only numbers, for tables and exports count on them."""
    if name in _NUMBER_FIELDS:
        return value if value is None or isinstance(value, int | float) else before
    return value if value is None or isinstance(value, str) else repr(value)
