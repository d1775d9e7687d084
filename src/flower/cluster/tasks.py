"""Run, follow and stop tasks: the documented coroutines. None of them blocks the event loop.

Each takes `app=`, the Celery application; without it they work on Celery's current app. All raise `Unavailable`
within seconds if the broker or the result backend cannot be reached.
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

from flower.cluster import connection as broker
from flower.cluster import results, thread_pools
from flower.cluster.calls import TaskCall, build_call
from flower.cluster.connection import app_or_current
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

#: What became of sending: `state` is absent if the application keeps no results.
Submitted = TypedDict("Submitted", {"task-id": str, "state": str}, total=False)
#: What was done to a task.
StopResult = TypedDict("StopResult", {"task-id": str, "state": str, "message": str}, total=False)

#: Finds the record of a task, for ids that the result backend does not know.
FindRecord = Callable[[str], Task | None]

#: How Celery and kombu complain about what the caller gave: arguments that do not fit the task's signature, values
#: that cannot be written as JSON, options of a wrong type.
_CLIENT_ERRORS = (TypeError, ValueError, LookupError, struct.error, EncodeError, SerializerNotInstalled, QueueNotFound)

#: Seconds for importing the application's task modules, which happens once.
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
    """Run a task and wait for its result, at most `timeout` seconds (None = as long as it takes).

    Gives `{"task-id", "state", "result", "traceback", "success"}`. `options` are those of Celery's `apply_async`;
    `eta` and `expires` may be datetimes or texts. Raises NotRegistered if the application has no such task, TaskFailed
    if it raised, WaitedTooLong, NoResultBackend, Invalid.
    """
    app = app_or_current(app)
    asked = build_call(task_name, args, kwargs, {**options, "timeout": timeout})
    if not await has_result_backend(app):
        raise NoResultBackend
    found, ready = await apply_call(app, asked)
    if not ready:
        raise DeadlineExceeded(f"Timeout: task {task_name}[{found['task-id']}] did not end within {asked.timeout:g} s")
    if is_final(found) and not found["success"]:
        raise results.task_failed_error(task_name, found)
    return found


async def task_async_apply(
    task_name: str, args: Any = None, kwargs: Any = None, *, app: Celery | None = None, **options: Any
) -> Submitted:
    """Send a task that the application knows, and do not wait for it. Gives `{"task-id", "state"}`."""
    return await submit_call(app_or_current(app), build_call(task_name, args, kwargs, options), registered=True)


async def task_send_task(
    task_name: str, args: Any = None, kwargs: Any = None, *, app: Celery | None = None, **options: Any
) -> Submitted:
    """Send a task by name, whether or not the application knows it. Gives `{"task-id", "state"}`."""
    return await submit_call(app_or_current(app), build_call(task_name, args, kwargs, options), registered=False)


async def get_task_result(
    task_id: str, timeout: float | None = None, *, app: Celery | None = None, find_record: FindRecord | None = None
) -> ResultDict:
    """The result of a task, waited for at most `timeout` seconds (None or 0 = not at all).

    Gives `{"task-id", "state", "result", "traceback", "success"}`. A task that has not ended is an answer too, unless
    it was to be waited for: that raises WaitedTooLong. If the result backend knows nothing of the id, the record of
    the task tells its state; if there is none either, it raises NoSuchTask. Results that have expired are None.
    """
    app = app_or_current(app)
    found = await lookup_result(app, task_id, timeout)
    if found["state"] == PENDING and task_id not in results.recent_task_ids:
        record = await _load_record(task_id, find_record)
        if record is None:
            hint = "neither the result backend nor the recorded events know it"
            raise NoSuchTask(f"No such task '{task_id}'", hint=hint)
        found = _result_from_record(record)
    if timeout and not results.is_final_state(found["state"]):
        raise DeadlineExceeded(f"Timeout: task '{task_id}' is {found['state']} after {timeout:g} s")
    return found


async def task_abort(task_id: str, *, app: Celery | None = None) -> StopResult:
    """Ask an abortable task to stop: its result is marked ABORTED, which the task sees when it next looks. A task
    that has ended keeps its result. Gives `{"task-id", "state", "message"}`."""
    app = app_or_current(app)
    _check_id(task_id)
    state = await thread_pools.run_with_timeout(
        thread_pools.CALL_TIMEOUT, lambda: _abort(app, task_id), pool_name=results.result_pool(app)
    )
    return {"task-id": task_id, "state": state, "message": f"Aborted '{task_id}'"}


async def task_revoke(
    task_id: str, terminate: bool = False, signal: str = "SIGTERM", *, app: Celery | None = None
) -> StopResult:
    """Tell all workers not to run a task; with `terminate`, also to end it with `signal` if it runs.

    No worker is waited for: the effect comes back as an event. Gives `{"task-id", "message"}`."""
    name = str(signal).upper()
    if name not in SIGNALS and f"SIG{name}" not in SIGNALS:
        raise InvalidRequest(f"Unknown signal '{signal}'", hint=f"one of {', '.join(sorted(SIGNALS))}")
    return await broadcast_revoke(app_or_current(app), task_id, terminate, name)


# What the handlers of the HTTP API call: the same work, without exceptions for tasks that fail or take too long.


async def apply_call(app: Celery, task_call: TaskCall) -> tuple[ResultDict, bool]:
    """Send and wait, in one thread, because results of rpc:// belong to the thread that sent the task. Gives what is
    known in the end and whether the wait was long enough. If the caller is cancelled the thread stops waiting."""
    await check_registered(app, task_call.name)
    abandoned = Event()
    begun: Future[None] = Future()

    def work() -> tuple[ResultDict, bool]:
        if not begun.set_running_or_notify_cancel():
            raise BackendUnavailable("given up before it was sent")
        try:
            result = _publish(app, task_call, registered=True)
        except BaseException as error:
            begun.set_exception(error)
            raise
        begun.set_result(None)
        ready = results.wait_for_result(result, task_call.timeout, abandoned)
        with broker.translate_broker_errors():
            return results.to_result_dict(result), ready

    finished = asyncio.wrap_future(thread_pools.submit("waiting", work))
    finished.add_done_callback(thread_pools.discard_exception)
    try:
        await thread_pools.wait_with_timeout(asyncio.wrap_future(begun), thread_pools.CALL_TIMEOUT)
        return await _wait_bounded(finished, task_call.timeout)
    finally:
        abandoned.set()


async def submit_call(app: Celery, task_call: TaskCall, *, registered: bool) -> Submitted:
    """Send without waiting; `registered`: only if the application knows the task."""
    if registered:
        await check_registered(app, task_call.name)

    def work() -> Submitted:
        result = _publish(app, task_call, registered=registered)
        if not results.has_backend(app):
            return {"task-id": str(result.id)}
        if results.result_pool(app) != "rpc":
            results.unsubscribe(result)
        # Its state is PENDING: it was sent this instant, and the backend need not be asked.
        return {"task-id": str(result.id), "state": result.state if app.conf.task_always_eager else PENDING}

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, work, pool_name=results.result_pool(app))


async def lookup_result(app: Celery, task_id: str, timeout: float | None) -> ResultDict:
    """What the backend says, after waiting at most `timeout` seconds for the task to end."""
    _check_id(task_id)
    kind = results.result_pool(app)
    found = await thread_pools.run_with_timeout(
        thread_pools.CALL_TIMEOUT, lambda: results.read_result(app, task_id), pool_name=kind
    )
    if not timeout or results.is_final_state(found["state"]):
        return found
    if kind == "rpc":
        return await _poll_result(app, task_id, timeout)
    abandoned = Event()

    def work() -> ResultDict:
        result = app.AsyncResult(task_id)
        results.wait_for_result(result, timeout, abandoned)
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
        raise InvalidRequest("the task's id must be a text")


async def _wait_bounded(future: "asyncio.Future[T]", timeout: float | None) -> T:
    """A backend that hangs while a result is waited for: it gets as much patience beyond the time that was asked."""
    return (
        await future
        if timeout is None
        else await thread_pools.wait_with_timeout(future, timeout + thread_pools.CALL_TIMEOUT)
    )


def _is_registered(app: Celery, name: str) -> bool:
    if name in app.tasks:
        return True
    app.loader.import_default_modules()  # `include` and `imports` are read by workers only, unless somebody asks
    return name in app.tasks


def _publish(app: Celery, task_call: TaskCall, *, registered: bool) -> AsyncResult:
    results.check_backend(app)
    with broker.broker_connection(app) as connection:
        options = {"retry": True, "retry_policy": broker.RETRY_POLICY, **task_call.options}
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
    before = results.read_result(app, task_id)
    if results.is_final_state(before["state"]):
        return before["state"]
    if results.result_pool(app) == "rpc":
        raise InvalidRequest("Results of rpc:// cannot be marked: this application's tasks cannot be aborted")
    with broker.translate_broker_errors():
        AbortableAsyncResult(task_id, app=app).abort()
    return str(ABORTED)


async def _poll_result(app: Celery, task_id: str, timeout: float) -> ResultDict:
    """The one thread of rpc:// must not wait for one result while others ask for theirs."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + timeout, 0.02
    while True:
        found = await thread_pools.run_with_timeout(
            thread_pools.CALL_TIMEOUT, lambda: results.read_result(app, task_id), pool_name="rpc"
        )
        left = deadline - loop.time()
        if results.is_final_state(found["state"]) or left <= 0:
            return found
        await asyncio.sleep(min(pause, left))
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
