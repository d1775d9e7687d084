"""Run, follow and stop tasks: the documented coroutines. None of them blocks the event loop.

Each accepts `app=`, the Celery application, by default Celery's current app. All raise BackendUnavailable within
seconds if the broker or the result backend is unreachable.
"""

import asyncio
import signal as signals
import struct
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Any, TypedDict, TypeVar

from celery import Celery
from celery.contrib.abortable import ABORTED, AbortableAsyncResult
from celery.exceptions import QueueNotFound
from celery.result import AsyncResult
from kombu.exceptions import EncodeError, SerializerNotInstalled

from flower.cluster import results, thread_pools
from flower.cluster.calls import TaskCall, build_call
from flower.cluster.connection import RETRY_POLICY, app_or_current, broker_connection, translate_broker_errors
from flower.cluster.remote_control import broadcast_command
from flower.cluster.results import ResultDict
from flower.cluster.task_limits import task_rate_limit, task_timeout
from flower.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    InvalidRequest,
    NoResultBackend,
    NoSuchTask,
    NotRegistered,
)
from flower.records import PENDING, Task

T = TypeVar("T")

#: A sent task; `state` is absent if the application has no result backend.
Submitted = TypedDict("Submitted", {"task-id": str, "state": str}, total=False)
#: The outcome of revoking or aborting a task.
StopResult = TypedDict("StopResult", {"task-id": str, "state": str, "message": str}, total=False)

#: Finds the recorded task for an id that the result backend does not know.
FindRecord = Callable[[str], Task | None]

#: Exceptions of Celery and kombu for invalid input: arguments that do not match the task's signature, values that
#: cannot be serialized, options of a wrong type.
_CLIENT_ERRORS = (TypeError, ValueError, LookupError, struct.error, EncodeError, SerializerNotInstalled, QueueNotFound)

#: Seconds for importing the application's task modules, once.
IMPORT_TIMEOUT = 60.0

SIGNALS = frozenset(name for name in signals.Signals.__members__ if not name.startswith("SIGRT"))


async def task_apply(
    task_name: str,
    args: Any = None,
    kwargs: Any = None,
    *,
    app: Celery | None = None,
    timeout: float | None = None,
    **options: Any,
) -> ResultDict:
    """Run a task and wait for its result, at most `timeout` seconds (None = unlimited).

    Returns `{"task-id", "state", "result", "traceback", "success"}`. `options` are those of Celery's `apply_async`;
    `eta` and `expires` may be datetimes or text. Raises NotRegistered if the application does not have the task,
    TaskFailed if the task raised, DeadlineExceeded, NoResultBackend, InvalidRequest.
    """
    app = app_or_current(app)
    asked = build_call(task_name, args, kwargs, {**options, "timeout": timeout})
    if not await has_result_backend(app):
        raise NoResultBackend
    result, ready = await apply_call(app, asked)
    if not ready:
        raise DeadlineExceeded(
            f"Timeout: task {task_name}[{result['task-id']}] did not finish within {asked.timeout:g} s"
        )
    if is_final(result) and not result["success"]:
        raise results.task_failed_error(task_name, result)
    return result


async def task_async_apply(
    task_name: str, args: Any = None, kwargs: Any = None, *, app: Celery | None = None, **options: Any
) -> Submitted:
    """Send a task that is registered in the application, without waiting. Returns `{"task-id", "state"}`."""
    return await submit_call(app_or_current(app), build_call(task_name, args, kwargs, options), registered=True)


async def task_send_task(
    task_name: str, args: Any = None, kwargs: Any = None, *, app: Celery | None = None, **options: Any
) -> Submitted:
    """Send a task by name, registered or not. Returns `{"task-id", "state"}`."""
    return await submit_call(app_or_current(app), build_call(task_name, args, kwargs, options), registered=False)


async def get_task_result(
    task_id: str, timeout: float | None = None, *, app: Celery | None = None, find_record: FindRecord | None = None
) -> ResultDict:
    """The result of a task, after waiting at most `timeout` seconds (None or 0 = no waiting).

    Returns `{"task-id", "state", "result", "traceback", "success"}`. An unfinished task is returned as well, unless
    `timeout` was set: then DeadlineExceeded is raised. If the result backend does not know the id, the state is that of
    the recorded task; if there is none, NoSuchTask is raised. Expired results are None.
    """
    app = app_or_current(app)
    result = await lookup_result(app, task_id, timeout)
    if result["state"] == PENDING and task_id not in results.recent_task_ids:
        record = await _load_record(task_id, find_record)
        if record is None:
            hint = "neither in the result backend nor in the recorded events"
            raise NoSuchTask(f"No such task '{task_id}'", hint=hint)
        result = _result_from_record(record)
    if timeout and not results.is_final_state(result["state"]):
        raise DeadlineExceeded(f"Timeout: task '{task_id}' is {result['state']} after {timeout:g} s")
    return result


async def task_abort(task_id: str, *, app: Celery | None = None) -> StopResult:
    """Abort an abortable task: its state is set to ABORTED, which the task detects at its next check. A finished
    task keeps its result. Returns `{"task-id", "state", "message"}`."""
    app = app_or_current(app)
    _check_id(task_id)
    state = await thread_pools.run_with_timeout(
        thread_pools.CALL_TIMEOUT, lambda: _abort(app, task_id), pool_name=results.result_pool(app)
    )
    return {"task-id": task_id, "state": state, "message": f"Aborted '{task_id}'"}


async def task_revoke(
    task_id: str, terminate: bool = False, signal: str = "SIGTERM", *, app: Celery | None = None
) -> StopResult:
    """Revoke a task on all workers; with `terminate`, also terminate it with `signal` if it is running.

    Does not wait for workers: the effect is visible as an event. Returns `{"task-id", "message"}`."""
    name = str(signal).upper()
    if name not in SIGNALS and f"SIG{name}" not in SIGNALS:
        raise InvalidRequest(f"Unknown signal '{signal}'", hint=f"one of {', '.join(sorted(SIGNALS))}")
    return await broadcast_revoke(app_or_current(app), task_id, terminate, name)


# Used by the HTTP handlers: the same operations, without exceptions for tasks that fail or time out.


async def apply_call(app: Celery, task_call: TaskCall) -> tuple[ResultDict, bool]:
    """Send and wait in one thread, because results of rpc:// belong to the thread that sent the task. Returns the last
    known result and whether the task finished in time. If the caller is cancelled, the thread stops waiting."""
    await check_registered(app, task_call.name)
    abandoned = Event()
    started: Future[None] = Future()

    def work() -> tuple[ResultDict, bool]:
        if not started.set_running_or_notify_cancel():
            raise BackendUnavailable("cancelled before the task was sent")
        try:
            result = _publish(app, task_call, registered=True)
        except BaseException as error:
            started.set_exception(error)
            raise
        started.set_result(None)
        ready = results.wait_for_result(result, task_call.timeout, abandoned)
        with translate_broker_errors():
            return results.to_result_dict(result), ready

    finished = asyncio.wrap_future(thread_pools.submit("waiting", work))
    finished.add_done_callback(thread_pools.discard_exception)
    try:
        await thread_pools.wait_with_timeout(asyncio.wrap_future(started), thread_pools.CALL_TIMEOUT)
        return await _wait_bounded(finished, task_call.timeout)
    finally:
        abandoned.set()


async def submit_call(app: Celery, task_call: TaskCall, *, registered: bool) -> Submitted:
    """Send without waiting; `registered`: only if the task is registered in the application."""
    if registered:
        await check_registered(app, task_call.name)

    def work() -> Submitted:
        result = _publish(app, task_call, registered=registered)
        if not results.has_backend(app):
            return {"task-id": str(result.id)}
        if results.result_pool(app) != "rpc":
            results.unsubscribe(result)
        # The state of a task that was just sent is PENDING, without a read of the backend.
        return {"task-id": str(result.id), "state": result.state if app.conf.task_always_eager else PENDING}

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, work, pool_name=results.result_pool(app))


async def lookup_result(app: Celery, task_id: str, timeout: float | None) -> ResultDict:
    """The result in the backend, after waiting at most `timeout` seconds for the task to finish."""
    _check_id(task_id)
    kind = results.result_pool(app)
    result = await thread_pools.run_with_timeout(
        thread_pools.CALL_TIMEOUT, lambda: results.read_result(app, task_id), pool_name=kind
    )
    if not timeout or results.is_final_state(result["state"]):
        return result
    if kind == "rpc":
        return await _poll_result(app, task_id, timeout)
    abandoned = Event()

    def work() -> ResultDict:
        async_result = app.AsyncResult(task_id)
        results.wait_for_result(async_result, timeout, abandoned)
        return results.read_result(app, task_id)

    try:
        return await _wait_bounded(asyncio.wrap_future(thread_pools.submit("waiting", work)), timeout)
    finally:
        abandoned.set()


async def broadcast_revoke(app: Celery, task_id: str, terminate: bool, signal: str) -> StopResult:
    _check_id(task_id)
    await broadcast_command(app, "revoke", {"task_id": task_id, "terminate": terminate, "signal": signal})
    return {"task-id": task_id, "message": f"Revoked '{task_id}'"}


def is_final(result_dict: ResultDict) -> bool:
    return results.is_final_state(result_dict["state"])


async def has_result_backend(app: Celery) -> bool:
    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, lambda: results.has_backend(app))


async def check_registered(app: Celery, name: str) -> None:
    """Raises NotRegistered."""
    if not await thread_pools.run_with_timeout(IMPORT_TIMEOUT, lambda: _is_registered(app, name)):
        raise NotRegistered(name)


def _check_id(task_id: str) -> None:
    if not isinstance(task_id, str) or not task_id:
        raise InvalidRequest("the task id must be a string")


async def _wait_bounded(future: "asyncio.Future[T]", timeout: float | None) -> T:
    """Limit the wait for a backend that hangs: the requested time plus the usual timeout of a call."""
    return (
        await future
        if timeout is None
        else await thread_pools.wait_with_timeout(future, timeout + thread_pools.CALL_TIMEOUT)
    )


def _is_registered(app: Celery, name: str) -> bool:
    if name in app.tasks:
        return True
    app.loader.import_default_modules()  # only workers import the modules of `include` and `imports` by default
    return name in app.tasks


def _publish(app: Celery, task_call: TaskCall, *, registered: bool) -> AsyncResult:
    results.check_backend(app)
    with broker_connection(app) as connection:
        options = {"retry": True, "retry_policy": RETRY_POLICY, **task_call.options}
        options["producer"] = app.amqp.Producer(connection, auto_declare=False)
        try:
            if registered:
                result = app.tasks[task_call.name].apply_async(args=task_call.args, kwargs=task_call.kwargs, **options)
            else:
                result = app.send_task(task_call.name, args=task_call.args, kwargs=task_call.kwargs, **options)
        except _CLIENT_ERRORS as error:
            raise InvalidRequest(f"{type(error).__name__}: {error}") from error
    results.recent_task_ids.add(str(result.id))
    return result


def _abort(app: Celery, task_id: str) -> str:
    result = results.read_result(app, task_id)
    if results.is_final_state(result["state"]):
        return result["state"]
    if results.result_pool(app) == "rpc":
        raise InvalidRequest("Tasks cannot be aborted with an rpc:// result backend: it cannot store the state ABORTED")
    with translate_broker_errors():
        AbortableAsyncResult(task_id, app=app).abort()
    return str(ABORTED)


async def _poll_result(app: Celery, task_id: str, timeout: float) -> ResultDict:
    """The single thread of rpc:// must not block on one result while other results are requested."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + timeout, 0.02
    while True:
        result = await thread_pools.run_with_timeout(
            thread_pools.CALL_TIMEOUT, lambda: results.read_result(app, task_id), pool_name="rpc"
        )
        remaining = deadline - loop.time()
        if results.is_final_state(result["state"]) or remaining <= 0:
            return result
        await asyncio.sleep(min(pause, remaining))
        pause = min(pause * 1.5, 0.5)


async def _load_record(task_id: str, find_record: FindRecord | None) -> Task | None:
    return (
        await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, lambda: find_record(task_id))
        if find_record
        else None
    )


def _result_from_record(record: Task) -> ResultDict:
    return {
        "task-id": record.uuid,
        "state": record.state,
        "result": None,
        "traceback": record.traceback if record.state == "FAILURE" else None,
        "success": record.state == "SUCCESS",
    }


__all__ = [
    "get_task_result",
    "task_abort",
    "task_apply",
    "task_async_apply",
    "task_rate_limit",
    "task_revoke",
    "task_send_task",
    "task_timeout",
]
