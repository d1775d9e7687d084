"""Conversion of a task record to a dict: `to_task_info` is the documented Python form, `to_flower_task` the task object
of Flower's HTTP API."""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex, cast

import msgspec

from flower.errors import InvalidRequest
from flower.records import PENDING, Attempt, Lost, Task, Worker
from flower.search.python_literal import parse_literal_strict
from flower.task_info import LostInfo, TaskInfo, WorkerInfo


class ParsedArgs(list[Any]):
    """Positional arguments, with the text of the event that they were parsed from."""

    __slots__ = ("text",)

    def __init__(self, values: Sequence[Any], text: str) -> None:
        super().__init__(values)
        self.text = text

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return type(self), (list(self), self.text)


class ParsedKwargs(dict[str, Any]):
    """Keyword arguments, with the text of the event that they were parsed from."""

    __slots__ = ("text",)

    def __init__(self, values: Mapping[str, Any], text: str) -> None:
        super().__init__(values)
        self.text = text

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return type(self), (dict(self), self.text)


def to_task_info(task: Task, *, worker: Worker | None, children: Sequence[str]) -> TaskInfo:
    """The documented dict. All keys are present; unknown values are None.

    `args` is a list and `kwargs` a dict if the text of the event determines their values (see `search.python_literal`),
    otherwise the text. `worker` is the record of the task's worker, `children` are the ids of the tasks that it sent.
    `data` contains custom events: event type → field → last value.
    """
    return {
        "uuid": task.uuid,
        "name": task.name,
        "state": task.state,
        "hostname": task.hostname,
        "timestamp": task.timestamp,
        "sent": task.sent,
        "received": task.received,
        "started": task.started,
        "succeeded": task.succeeded,
        "failed": task.failed,
        "retried": task.retried,
        "revoked": task.revoked,
        "rejected": task.rejected,
        "runtime": task.runtime,
        "args": _parse_args(task.args),
        "kwargs": _parse_kwargs(task.kwargs),
        "retries": task.retries,
        "eta": task.eta,
        "expires": task.expires,
        "result": task.result,
        "traceback": task.traceback,
        "exception": task.exception,
        "queue": task.queue,
        "exchange": task.exchange,
        "routing_key": task.routing_key,
        "priority": task.priority,
        "worker": _to_worker_info(task, worker),
        "clock": task.clock,
        "client": task.client,
        "root_id": task.root_id,
        "parent_id": task.parent_id,
        "children": list(children),
        "attempts": [msgspec.structs.asdict(attempt) for attempt in task.attempts],
        "data": {event_type: dict(fields) for event_type, fields in (task.data or {}).items()},
        "lost": to_lost_info(task.lost),
        "source": task.source,
        "run": task.run,
        "clock_offset": task.clock_offset,
        "client_offset": task.client_offset,
        "queue_wait": task.queue_wait,
    }


def to_flower_task(task: Task, children: Sequence[str] = ()) -> dict[str, Any]:
    """The task object of Flower's HTTP API: all keys, texts as they were received, the worker by name. A lost task also
    has the key `lost`. As in Flower, only successful tasks have a run time."""
    last_failure = _last_failure(task)
    return {
        "uuid": task.uuid,
        "name": task.name,
        "state": task.state,
        "received": task.received,
        "sent": task.sent,
        "started": task.started,
        "rejected": task.rejected,
        "succeeded": task.succeeded,
        "failed": task.failed,
        "retried": task.retried,
        "revoked": task.revoked,
        "args": task.args,
        "kwargs": task.kwargs,
        "eta": task.eta,
        "expires": task.expires,
        "retries": task.retries,
        "worker": task.hostname,
        "result": task.result,
        "exception": last_failure.exception,
        "timestamp": task.timestamp,
        "runtime": None if task.runtime_is_derived else task.runtime,
        "traceback": last_failure.traceback,
        "exchange": task.exchange,
        "routing_key": task.routing_key,
        "clock": task.clock,
        "client": task.client,
        "root": task.root_id,
        "root_id": task.root_id,
        "parent": task.parent_id,
        "parent_id": task.parent_id,
        "children": list(children),
        **({"lost": to_lost_info(task.lost)} if task.lost else {}),
    }


def to_lost_info(lost: Lost | None) -> LostInfo | None:
    """The mark of a lost task; None if the task is not lost."""
    if lost is None:
        return None
    return {"since": lost.since, "reason": lost.reason, "detail": lost.detail, "queried": list(lost.queried)}


def as_dict(task: Any) -> TaskInfo:
    """The documented dict of a task: of a record, of such a dict (copied), or of an object with the attributes of
    `celery.events.state.Task`. Raises InvalidRequest if it has no uuid."""
    if isinstance(task, Task):
        return to_task_info(task, worker=None, children=())
    if isinstance(task, Mapping):
        return cast(TaskInfo, dict(task))
    if getattr(task, "uuid", None) is None:
        raise InvalidRequest(f"{type(task).__name__} is not a task", hint="a task has a uuid")
    return _object_to_task_info(task)


def _object_to_task_info(task: Any) -> TaskInfo:
    worker = getattr(task, "worker", None)
    names = [name for name in Task.__struct_fields__ if name not in ("earlier", "data", "lost", "event_times")]
    values: dict[str, Any] = {name: getattr(task, name, None) for name in names}
    # Celery copies `hostname` and `pid` from the last event, which may be the sender's.
    values |= {"hostname": _get_node_name(worker), "pid": getattr(worker, "pid", None)}
    values |= {"client": _get_node_name(values["client"]), "state": values["state"] or PENDING}
    children = [getattr(child, "uuid", child) for child in getattr(task, "children", None) or ()]
    return to_task_info(Task(**values), worker=_to_worker_record(worker), children=sorted(children))


def _get_node_name(node: Any) -> str | None:
    name: str | None = getattr(node, "hostname", node)
    return name


def _to_worker_record(worker: Any) -> Worker | None:
    name = _get_node_name(worker)
    if name is None:
        return None
    values: dict[str, Any] = {key: getattr(worker, key, None) for key in ("pid", "sw_ident", "sw_ver", "sw_sys")}
    return Worker(hostname=name, **values)


def _to_worker_info(task: Task, worker: Worker | None) -> WorkerInfo | None:
    if task.hostname is None:
        return None
    # The pid from the task's own events: the worker may have been restarted since.
    pid = worker.pid if worker and task.pid is None else task.pid
    return {
        "hostname": task.hostname,
        "pid": pid,
        "sw_ident": worker.sw_ident if worker else None,
        "sw_ver": worker.sw_ver if worker else None,
        "sw_sys": worker.sw_sys if worker else None,
    }


def _last_failure(task: Task) -> Task | Attempt:
    """Flower shows the exception of an earlier attempt until a later one has its own, even after success."""
    attempts: tuple[Task | Attempt, ...] = (task, *reversed(task.earlier))
    return next((each for each in attempts if each.exception is not None or each.traceback is not None), task)


def _parse_args(text: Any) -> list[Any] | str | None:
    if text in ("()", "[]"):
        return ParsedArgs((), text)
    value = _parse_value(text)
    return ParsedArgs(value, text) if isinstance(value, list | tuple) else text


def _parse_kwargs(text: Any) -> dict[str, Any] | str | None:
    if text == "{}":
        return ParsedKwargs({}, text)
    value = _parse_value(text)
    return ParsedKwargs(value, text) if isinstance(value, dict) else text


def _parse_value(text: Any) -> Any:
    """The value that the text represents; None if it is not certain."""
    if not isinstance(text, str):
        return None
    try:
        return parse_literal_strict(text)
    except ValueError:
        return None
