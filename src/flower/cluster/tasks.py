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

from flower.cluster import broker, results, threads
from flower.cluster.application import app_or_current
from flower.cluster.calls import Call, call
from flower.cluster.limits import task_rate_limit, task_timeout
from flower.cluster.mailbox import tell
from flower.cluster.results import Outcome
from flower.errors import Invalid, NoResultBackend, NoSuchTask, NotRegistered, Unavailable, WaitedTooLong
from flower.records import PENDING, Task

T = TypeVar("T")

#: What became of sending: `state` is absent if the application keeps no results.
Submitted = TypedDict("Submitted", {"task-id": str, "state": str}, total=False)
#: What was done to a task.
Done = TypedDict("Done", {"task-id": str, "state": str, "message": str}, total=False)

#: Finds the record of a task, for ids that the result backend does not know.
FindRecord = Callable[[str], Task | None]

#: How Celery and kombu complain about what the caller gave: arguments that do not fit the task's signature, values
#: that cannot be written as JSON, options of a wrong type.
_CALLERS_FAULT = (TypeError, ValueError, LookupError, struct.error, EncodeError, SerializerNotInstalled, QueueNotFound)

#: Seconds for importing the application's task modules, which happens once.
IMPORT_PATIENCE = 60.0

SIGNALS = frozenset(name for name in signals.Signals.__members__ if not name.startswith("SIGRT"))


async def task_apply(
    task_name: str,
    args: Any = None,
    kwargs: Any = None,
    *,
    app: Celery | None = None,
    timeout: float | None = None,
    **options: Any,
) -> Outcome:
    """Run a task and wait for its result, at most `timeout` seconds (None = as long as it takes).

    Gives `{"task-id", "state", "result", "traceback", "success"}`. `options` are those of Celery's `apply_async`;
    `eta` and `expires` may be datetimes or texts. Raises NotRegistered if the application has no such task, TaskFailed
    if it raised, WaitedTooLong, NoResultBackend, Invalid.
    """
    app = app_or_current(app)
    asked = call(task_name, args, kwargs, {**options, "timeout": timeout})
    if not await has_backend(app):
        raise NoResultBackend
    found, ready = await apply(app, asked)
    if not ready:
        raise WaitedTooLong(f"Timeout: task {task_name}[{found['task-id']}] did not end within {asked.timeout:g} s")
    if ended(found) and not found["success"]:
        raise results.failure(task_name, found)
    return found


async def task_async_apply(
    task_name: str, args: Any = None, kwargs: Any = None, *, app: Celery | None = None, **options: Any
) -> Submitted:
    """Send a task that the application knows, and do not wait for it. Gives `{"task-id", "state"}`."""
    return await submit(app_or_current(app), call(task_name, args, kwargs, options), registered=True)


async def task_send_task(
    task_name: str, args: Any = None, kwargs: Any = None, *, app: Celery | None = None, **options: Any
) -> Submitted:
    """Send a task by name, whether or not the application knows it. Gives `{"task-id", "state"}`."""
    return await submit(app_or_current(app), call(task_name, args, kwargs, options), registered=False)


async def get_task_result(
    task_id: str, timeout: float | None = None, *, app: Celery | None = None, find_record: FindRecord | None = None
) -> Outcome:
    """The result of a task, waited for at most `timeout` seconds (None or 0 = not at all).

    Gives `{"task-id", "state", "result", "traceback", "success"}`. A task that has not ended is an answer too, unless
    it was to be waited for: that raises WaitedTooLong. If the result backend knows nothing of the id, the record of
    the task tells its state; if there is none either, it raises NoSuchTask. Results that have expired are None.
    """
    app = app_or_current(app)
    found = await look_up(app, task_id, timeout)
    if found["state"] == PENDING and task_id not in results.sent:
        record = await _recorded(task_id, find_record)
        if record is None:
            hint = "neither the result backend nor the recorded events know it"
            raise NoSuchTask(f"No such task '{task_id}'", hint=hint)
        found = _outcome_of(record)
    if timeout and not results.ended(found["state"]):
        raise WaitedTooLong(f"Timeout: task '{task_id}' is {found['state']} after {timeout:g} s")
    return found


async def task_abort(task_id: str, *, app: Celery | None = None) -> Done:
    """Ask an abortable task to stop: its result is marked ABORTED, which the task sees when it next looks. A task
    that has ended keeps its result. Gives `{"task-id", "state", "message"}`."""
    app = app_or_current(app)
    _check_id(task_id)
    state = await threads.within(threads.PATIENCE, lambda: _abort(app, task_id), kind=results.kind(app))
    return {"task-id": task_id, "state": state, "message": f"Aborted '{task_id}'"}


async def task_revoke(
    task_id: str, terminate: bool = False, signal: str = "SIGTERM", *, app: Celery | None = None
) -> Done:
    """Tell all workers not to run a task; with `terminate`, also to end it with `signal` if it runs.

    No worker is waited for: the effect comes back as an event. Gives `{"task-id", "message"}`."""
    name = str(signal).upper()
    if name not in SIGNALS and f"SIG{name}" not in SIGNALS:
        raise Invalid(f"Unknown signal '{signal}'", hint=f"one of {', '.join(sorted(SIGNALS))}")
    return await revoke(app_or_current(app), task_id, terminate, name)


# What the handlers of the HTTP API call: the same work, without exceptions for tasks that fail or take too long.


async def apply(app: Celery, asked: Call) -> tuple[Outcome, bool]:
    """Send and wait, in one thread, because results of rpc:// belong to the thread that sent the task. Gives what is
    known in the end and whether the wait was long enough. If the caller is cancelled the thread stops waiting."""
    await check_registered(app, asked.name)
    abandoned = Event()
    begun: Future[None] = Future()

    def work() -> tuple[Outcome, bool]:
        if not begun.set_running_or_notify_cancel():
            raise Unavailable("given up before it was sent")
        try:
            result = _publish(app, asked, registered=True)
        except BaseException as error:
            begun.set_exception(error)
            raise
        begun.set_result(None)
        ready = results.wait(result, asked.timeout, abandoned)
        with broker.reaching():
            return results.outcome(result), ready

    finished = asyncio.wrap_future(threads.submit("waiting", work))
    finished.add_done_callback(threads.forget)
    try:
        await threads.answered(asyncio.wrap_future(begun), threads.PATIENCE)
        return await _bounded(finished, asked.timeout)
    finally:
        abandoned.set()


async def submit(app: Celery, asked: Call, *, registered: bool) -> Submitted:
    """Send without waiting; `registered`: only if the application knows the task."""
    if registered:
        await check_registered(app, asked.name)

    def work() -> Submitted:
        result = _publish(app, asked, registered=registered)
        if not results.has_backend(app):
            return {"task-id": str(result.id)}
        if results.kind(app) != "rpc":
            results.forget_waiting(result)
        # Its state is PENDING: it was sent this instant, and the backend need not be asked.
        return {"task-id": str(result.id), "state": result.state if app.conf.task_always_eager else PENDING}

    return await threads.within(threads.PATIENCE, work, kind=results.kind(app))


async def look_up(app: Celery, task_id: str, timeout: float | None) -> Outcome:
    """What the backend says, after waiting at most `timeout` seconds for the task to end."""
    _check_id(task_id)
    kind = results.kind(app)
    found = await threads.within(threads.PATIENCE, lambda: results.lookup(app, task_id), kind=kind)
    if not timeout or results.ended(found["state"]):
        return found
    if kind == "rpc":
        return await _polled(app, task_id, timeout)
    abandoned = Event()

    def work() -> Outcome:
        result = app.AsyncResult(task_id)
        results.wait(result, timeout, abandoned)
        return results.lookup(app, task_id)

    try:
        return await _bounded(asyncio.wrap_future(threads.submit("waiting", work)), timeout)
    finally:
        abandoned.set()


async def revoke(app: Celery, task_id: str, terminate: bool, signal: str) -> Done:
    _check_id(task_id)
    await tell(app, "revoke", {"task_id": task_id, "terminate": terminate, "signal": signal})
    return {"task-id": task_id, "message": f"Revoked '{task_id}'"}


def ended(found: Outcome) -> bool:
    return results.ended(found["state"])


async def has_backend(app: Celery) -> bool:
    return await threads.within(threads.PATIENCE, lambda: results.has_backend(app))


async def check_registered(app: Celery, name: str) -> None:
    """Raises NotRegistered."""
    if not await threads.within(IMPORT_PATIENCE, lambda: _registered(app, name)):
        raise NotRegistered(name)


def _check_id(task_id: str) -> None:
    if not isinstance(task_id, str) or not task_id:
        raise Invalid("the task's id must be a text")


async def _bounded(future: "asyncio.Future[T]", timeout: float | None) -> T:
    """A backend that hangs while a result is waited for: it gets as much patience beyond the time that was asked."""
    return await future if timeout is None else await threads.answered(future, timeout + threads.PATIENCE)


def _registered(app: Celery, name: str) -> bool:
    if name in app.tasks:
        return True
    app.loader.import_default_modules()  # `include` and `imports` are read by workers only, unless somebody asks
    return name in app.tasks


def _publish(app: Celery, asked: Call, *, registered: bool) -> AsyncResult:
    results.check(app)
    with broker.connection(app) as connection:
        options = {"retry": True, "retry_policy": broker.RETRY, **asked.options}
        options["producer"] = app.amqp.Producer(connection, auto_declare=False)
        try:
            if registered:
                result = app.tasks[asked.name].apply_async(args=asked.args, kwargs=asked.kwargs, **options)
            else:
                result = app.send_task(asked.name, args=asked.args, kwargs=asked.kwargs, **options)
        except _CALLERS_FAULT as error:
            raise Invalid(f"{type(error).__name__}: {error}") from error
    results.sent.add(str(result.id))
    return result


def _abort(app: Celery, task_id: str) -> str:
    before = results.lookup(app, task_id)
    if results.ended(before["state"]):
        return before["state"]
    if results.kind(app) == "rpc":
        raise Invalid("Results of rpc:// cannot be marked: this application's tasks cannot be aborted")
    with broker.reaching():
        AbortableAsyncResult(task_id, app=app).abort()
    return str(ABORTED)


async def _polled(app: Celery, task_id: str, timeout: float) -> Outcome:
    """The one thread of rpc:// must not wait for one result while others ask for theirs."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + timeout, 0.02
    while True:
        found = await threads.within(threads.PATIENCE, lambda: results.lookup(app, task_id), kind="rpc")
        left = deadline - loop.time()
        if results.ended(found["state"]) or left <= 0:
            return found
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.5)


async def _recorded(task_id: str, find_record: FindRecord | None) -> Task | None:
    return await threads.within(threads.PATIENCE, lambda: find_record(task_id)) if find_record else None


def _outcome_of(record: Task) -> Outcome:
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
