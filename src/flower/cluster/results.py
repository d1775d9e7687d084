"""Results out of the result backend: looked up, waited for, given as plain dicts. Everything here blocks and runs in
a thread of `threads`; the backend's connections belong to that thread."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Event, Lock, main_thread
from typing import Any, TypedDict

from celery import Celery
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.exceptions import TimeoutError as NotReady
from celery.result import AsyncResult
from celery.states import EXCEPTION_STATES, PENDING, READY_STATES, SUCCESS

from flower.cluster.connection import translate_broker_errors
from flower.cluster.thread_pools import PoolName
from flower.errors import NoResultBackend, TaskFailed

ResultDict = TypedDict(
    "ResultDict",
    {"task-id": str, "state": str, "result": Any, "traceback": str | None, "success": bool},
)

#: A wait is cut into slices of this many seconds, between which it looks whether anybody still waits. Backends that
#: are notified wait for a second at least, so what is left at the end is polled (not with rpc://, where the waiting
#: consumer has taken the message off the queue that a poll would read).
WAIT_SLICE = 1.0
POLL_INTERVAL = 0.02


def result_pool(app: Celery) -> PoolName:
    """The pool for look-ups: results of rpc:// can be read by one thread only."""
    return "rpc" if str(app.conf.result_backend or "").startswith("rpc") else "short"


def has_backend(app: Celery) -> bool:
    return not isinstance(app.backend, DisabledBackend)


def check_backend(app: Celery) -> None:
    """Raise Unavailable at once if the backend refuses connections: Celery would try for 20 seconds to subscribe to a
    result before it sent the task."""
    if hasattr(app.backend, "result_consumer") and result_pool(app) != "rpc":
        with translate_broker_errors():
            app.backend.get_task_meta("flower-is-anybody-there")


def read_result(app: Celery, task_id: str) -> ResultDict:
    """What the backend says now; state PENDING if it knows nothing of that id."""
    if not has_backend(app):
        raise NoResultBackend
    with translate_broker_errors():
        return to_result_dict(app.AsyncResult(task_id))


def to_result_dict(result: AsyncResult) -> ResultDict:
    """One consistent look: state and result come from the same reply of the backend. A failure's result is the
    exception's repr."""
    meta = result._get_task_meta()
    state, value = str(meta["status"]), meta.get("result")
    failed = state in EXCEPTION_STATES
    traceback = meta.get("traceback")
    return {
        "task-id": str(result.id),
        "state": state,
        "result": repr(value) if isinstance(value, BaseException) else value,
        "traceback": str(traceback) if failed and traceback else None,
        "success": state == SUCCESS,
    }


def wait_for_result(result: AsyncResult, timeout: float | None, abandoned: Event) -> bool:
    """Whether the result came within `timeout` seconds (None = any time) and before `abandoned` was set."""
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        with translate_broker_errors():
            return _wait_in_slices(result, deadline, abandoned)
    finally:
        unsubscribe(result)


def _wait_in_slices(result: AsyncResult, deadline: float | None, abandoned: Event) -> bool:
    while not abandoned.is_set() and main_thread().is_alive():  # do not hold up the end of the program
        left = WAIT_SLICE if deadline is None else min(WAIT_SLICE, deadline - time.monotonic())
        if left <= 0:
            break
        if left < WAIT_SLICE and deadline is not None and not isinstance(result.backend, RPCBackend):
            return _poll_until_ready(result.ready, deadline, abandoned)
        try:
            result.get(timeout=left, propagate=False, disable_sync_subtasks=False)
        except NotReady:
            continue
        return True
    return bool(result.ready())


def _poll_until_ready(ready: Callable[[], bool], deadline: float, abandoned: Event) -> bool:
    while not ready():
        if abandoned.wait(POLL_INTERVAL) or time.monotonic() >= deadline:
            return ready()
    return True


def unsubscribe(result: AsyncResult) -> None:
    """Celery subscribes to the result of every task that is sent, and stays subscribed until somebody fetches it.
    Nobody will: without this a busy sender's Redis connection fills up until Redis cuts it."""
    remove = getattr(result.backend, "remove_pending_result", None)
    if remove is not None:
        with translate_broker_errors():
            remove(result)


def task_failed_error(name: str, result_dict: ResultDict) -> TaskFailed:
    exception = str(result_dict["result"])
    error = TaskFailed(
        f"Task {name}[{result_dict['task-id']}] ended in {result_dict['state']}: {exception}",
        exception=exception,
        traceback=result_dict["traceback"],
    )
    if exception.startswith("NotRegistered(") or "never registered, please make sure" in exception:  # Celery's words
        error.hint = "not registered at the worker"
    return error


def is_final_state(state: str) -> bool:
    return state in READY_STATES


def is_known_state(state: str) -> bool:
    """PENDING is also what a backend says of an id that it never heard of."""
    return bool(state != PENDING)


class _RecentTaskIds:
    """The ids that this process sent lately. A result backend cannot tell a task that waits from one that never was."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def add(self, task_id: str) -> None:
        with self._lock:
            self._ids[task_id] = None
            if len(self._ids) > self._size:
                self._ids.popitem(last=False)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._ids


recent_task_ids = _RecentTaskIds(10_000)
