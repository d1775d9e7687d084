"""Value of a field of a task, for all types of task objects."""

import json
import math
from collections.abc import Callable, Mapping, Sized
from typing import Any, TypeAlias

import msgspec

from flower import fingerprint
from flower.records import END_TIME_FIELDS, Task
from flower.search.fields import Field

#: A record, a TaskInfo dict or any object with the attributes of a task.
TaskLike: TypeAlias = Any

_to_json = msgspec.json.Encoder(enc_hook=str).encode


def field_value(task: TaskLike, field: Field) -> Any:
    """The value of the field; None if it is missing."""
    computed = _COMPUTED.get(field.name)
    if computed is not None:
        return computed(task)
    if type(task) is Task:
        return getattr(task, field.attribute)
    if isinstance(task, Mapping):
        value = task.get(field.attribute)
        return _from_info(task, field) if value is None and field.name in ("worker", "pid") else value
    if field.name == "worker":
        # In Celery, `hostname` is the sender of the last event, which may not be a worker.
        return _worker_name(task.worker if hasattr(task, "worker") else getattr(task, "hostname", None))
    value = getattr(task, field.attribute, None)
    return _worker_name(value) if field.name == "client" else value


def field_text(task: TaskLike, field: Field) -> str | None:
    """The text that text operators compare: the text of the event if there is one. None if the value is missing."""
    value = field_value(task, field)
    if value is None or type(value) is str:
        return value
    return data_text(value) if field.name == "data" else value_text(value)


def value_text(value: object) -> str:
    """The text of a value that is not a string: the text that it was parsed from if it has one, else its repr."""
    text = value if isinstance(value, str) else getattr(value, "text", None)
    return text if isinstance(text, str) else repr(value)


def data_text(data: object) -> str:
    """Custom data as JSON, as in the store."""
    try:
        return _to_json(data).decode()
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError, ValueError):
        return json.dumps(msgspec.to_builtins(data, enc_hook=str), default=str)


def compute_failure_id(exception: object, traceback: object) -> str | None:
    """The id of the failure group of an exception and its traceback; None if there is neither."""
    texts = [text if isinstance(text, str) else None for text in (exception, traceback)]
    result = fingerprint.compute_fingerprint(*texts) if texts != [None, None] else None
    return None if result is None else result.id


def _from_info(task: Mapping[str, Any], field: Field) -> Any:
    """Fields that a TaskInfo dict has in another place."""
    if field.name == "worker":
        return _worker_name(task.get("worker"))
    attempts = task.get("attempts")
    last = attempts[-1] if isinstance(attempts, list) and attempts else task.get("worker")
    return last.get("pid") if isinstance(last, Mapping) else None


def _get_attribute(task: TaskLike, name: str) -> Any:
    return task.get(name) if isinstance(task, Mapping) else getattr(task, name, None)


def _wait(task: TaskLike) -> float | None:
    """`Task.wait`; a time that is not a number is missing."""
    queue_wait = _finite(_get_attribute(task, "queue_wait"))
    if queue_wait is not None:
        return queue_wait
    sent, received, started = (_finite(_get_attribute(task, name)) for name in ("sent", "received", "started"))
    since = received if sent is None else sent
    return None if since is None or started is None else started - since


def _time(task: TaskLike) -> float | None:
    """`Task.time`; a time that is not a number is missing."""
    for name, offset_name in _TIME_FIELDS:
        moment = _finite(_get_attribute(task, name))
        if moment is not None:
            return moment - ((_finite(_get_attribute(task, offset_name)) or 0.0) if offset_name else 0.0)
    return None


#: The fields of which `Task.time` is the first with a value, and the clock offset that is subtracted.
_TIME_FIELDS = (("received", "clock_offset"), ("sent", "client_offset"), ("started", "clock_offset"), ("timestamp", ""))


def _ended(task: TaskLike) -> float | None:
    """`Task.ended`; a time that is not a number is missing."""
    name = END_TIME_FIELDS.get(_get_attribute(task, "state"))
    return None if name is None else _finite(_get_attribute(task, name))


def _lost(task: TaskLike) -> Any:
    """The reason of the mark, of a record or of a dict."""
    lost = _get_attribute(task, "lost")
    return lost.get("reason") if isinstance(lost, Mapping) else getattr(lost, "reason", None)


def _finite(value: object) -> float | None:
    return value if isinstance(value, int | float) and not math.isnan(value) else None


def _attempts(task: TaskLike) -> int | None:
    if isinstance(task, Mapping):
        attempts = task.get("attempts")
        return len(attempts) if isinstance(attempts, Sized) else None
    return len(getattr(task, "earlier", None) or ()) + 1


_COMPUTED: dict[str, Callable[[TaskLike], Any]] = {
    "wait": _wait,
    "time": _time,
    "ended": _ended,
    "lost": _lost,
    "attempts": _attempts,
    "failure": lambda task: compute_failure_id(_get_attribute(task, "exception"), _get_attribute(task, "traceback")),
    "data": lambda task: _get_attribute(task, "data") or None,
}


def _worker_name(worker: Any) -> Any:
    if isinstance(worker, Mapping):
        return worker.get("hostname")
    return getattr(worker, "hostname", worker)
