"""Access to the result backend: read results, wait for them, convert them to dicts. All functions block and run in a
thread of `thread_pools`; the connections of the backend belong to that thread."""

import sys
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

from flower.capture.decompression import BodyTooLarge, limit_kombu_decompression
from flower.cluster.connection import translate_broker_errors
from flower.cluster.thread_pools import PoolName
from flower.errors import NoResultBackend, ResultTooLarge, TaskFailed

ResultDict = TypedDict(
    "ResultDict",
    {"task-id": str, "state": str, "result": Any, "traceback": str | None, "success": bool},
)

#: A wait is split into slices of this many seconds, between which it checks whether the caller still waits. Backends
#: with notifications wait for at least one second, so the remainder is polled (not with rpc://, where the waiting
#: consumer has taken the message from the queue that a poll would read).
WAIT_SLICE = 1.0
POLL_INTERVAL = 0.02


def result_pool(app: Celery) -> PoolName:
    """The thread pool for reading results: results of rpc:// can be read by one thread only."""
    return "rpc" if str(app.conf.result_backend or "").startswith("rpc") else "short"


def has_backend(app: Celery) -> bool:
    return not isinstance(app.backend, DisabledBackend)


def check_backend(app: Celery) -> None:
    """Raise BackendUnavailable at once if the backend is unreachable: Celery would try for 20 seconds to subscribe to a
    result before sending the task."""
    if hasattr(app.backend, "result_consumer") and result_pool(app) != "rpc":
        with translate_broker_errors():
            app.backend.get_task_meta("flower-backend-check")


def limit_decompression() -> None:
    """Limit the size of compressed results that this process reads. Not for use inside another program."""
    limit_kombu_decompression()


def read_result(app: Celery, task_id: str) -> ResultDict:
    """The current result in the backend; state PENDING if the backend does not know the id."""
    if not has_backend(app):
        raise NoResultBackend
    try:
        with translate_broker_errors():
            _close_old_django_connections()
            return to_result_dict(app.AsyncResult(task_id))
    except BodyTooLarge as error:
        raise ResultTooLarge(task_id) from error


def _close_old_django_connections() -> None:
    """Renew the connections of this thread that are broken or too old, as Django does before each request."""
    configuration, database = sys.modules.get("django.conf"), sys.modules.get("django.db")
    # A program can import Django without its settings, for example with a library that supports it.
    if database is not None and configuration is not None and configuration.settings.configured:
        database.close_old_connections()


def to_result_dict(result: AsyncResult) -> ResultDict:
    """One consistent read: state and result are from the same response of the backend. The result of a failure is the
    repr of the exception."""
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
    """Whether the result was available within `timeout` seconds (None = unlimited) and before `abandoned` was set."""
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        with translate_broker_errors():
            return _wait_in_slices(result, deadline, abandoned)
    finally:
        unsubscribe(result)


def _wait_in_slices(result: AsyncResult, deadline: float | None, abandoned: Event) -> bool:
    while not abandoned.is_set() and main_thread().is_alive():  # do not block interpreter shutdown
        remaining = WAIT_SLICE if deadline is None else min(WAIT_SLICE, deadline - time.monotonic())
        if remaining <= 0:
            break
        if remaining < WAIT_SLICE and deadline is not None and not isinstance(result.backend, RPCBackend):
            return _poll_until_ready(result.ready, deadline, abandoned)
        try:
            result.get(timeout=remaining, propagate=False, disable_sync_subtasks=False)
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
    """Celery subscribes to the result of every task that is sent, until it is fetched. Results are not fetched here,
    and without this call the Redis connection of a busy sender fills up until Redis closes it."""
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
    if exception.startswith("NotRegistered(") or "never registered, please make sure" in exception:  # Celery's message
        error.hint = "not registered at the worker"
    return error


def is_final_state(state: str) -> bool:
    return state in READY_STATES


def is_known_state(state: str) -> bool:
    """False for PENDING, which a backend also returns for an id that it does not know."""
    return bool(state != PENDING)


class _RecentTaskIds:
    """Ids that this process sent recently. A result backend cannot distinguish a waiting task from an unknown one."""

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
