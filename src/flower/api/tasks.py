"""The documented handlers and functions for tasks. They need no HTTP; its routes call the very same code.

Handlers take `app=` (a Celery application; default: Celery's current one) and `events=` (the Events to read; default:
those last started in this process).
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from flower.api.json_encoder import to_json_safe
from flower.api.task_lists import AnyTime, get_task_by_id, iter_tasks
from flower.api.thread_pool import run_in_thread
from flower.cluster import tasks as control
from flower.cluster.calls import TaskCall, build_call
from flower.cluster.connection import app_or_current
from flower.cluster.queues import queue_lengths
from flower.cluster.results import ResultDict
from flower.cluster.tasks import (
    FindRecord,
    task_abort,
    task_apply,
    task_async_apply,
    task_rate_limit,
    task_revoke,
    task_send_task,
    task_timeout,
)
from flower.current_events import HasStore, get_current_events
from flower.errors import NoSuchTask, NotFound
from flower.records import TaskInfo as TaskDict

if TYPE_CHECKING:
    from celery import Celery

HandlerResult: TypeAlias = dict[str, Any]


async def get_task_result(
    task_id: str, timeout: float | None = None, *, app: "Celery | None" = None, events: HasStore | None = None
) -> ResultDict:
    """The result of a task, waited for at most `timeout` seconds; see `flower.cluster.tasks.get_task_result`. What
    the result backend does not know is looked up in the records of `events`."""
    return await control.get_task_result(task_id, timeout, app=app, find_record=_find_record(events))


class _Handler:
    def __init__(self, app: "Celery | None" = None, events: HasStore | None = None) -> None:
        self._app = app
        self.events = events

    @property
    def app(self) -> "Celery":
        return app_or_current(self._app)


class TaskApply(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> HandlerResult:
        """Run a task and wait for it. A task that fails is an answer too: `{"task-id", "state", "result"}` and, if it
        failed, `"traceback"`. After `timeout` seconds without result: `{"task-id", "state"}`."""
        return await self.run(build_call(task_name, args, kwargs, options))

    async def run(self, asked: TaskCall) -> HandlerResult:
        if not await control.has_result_backend(self.app):
            return {**await control.submit_call(self.app, asked, registered=True), "result": None}
        found, ready = await control.apply_call(self.app, asked)
        return _to_result_dict(found, ready=ready)


class TaskAsyncApply(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> HandlerResult:
        """Send a task that the application knows: `{"task-id", "state"}`."""
        return await self.run(build_call(task_name, args, kwargs, options))

    async def run(self, asked: TaskCall) -> HandlerResult:
        return {**await control.submit_call(self.app, asked, registered=True)}


class TaskSend(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> HandlerResult:
        """Send a task by name, known or not: `{"task-id", "state"}`."""
        return await self.run(build_call(task_name, args, kwargs, options))

    async def run(self, asked: TaskCall) -> HandlerResult:
        return {**await control.submit_call(self.app, asked, registered=False)}


class TaskResult(_Handler):
    async def get(self, task_id: str, timeout: float | None = None) -> HandlerResult:
        """What the result backend says, after waiting at most `timeout` seconds: `{"task-id", "state"}`, with
        `"result"` once there is one and `"traceback"` if it failed. An id it does not know is PENDING."""
        found = await control.lookup_result(self.app, task_id, timeout)
        return _to_result_dict(found, ready=control.is_final(found))


class TaskInfo(_Handler):
    async def get(self, task_id: str) -> TaskDict:
        """The record of a task. Raises NoSuchTask."""
        found = await run_in_thread(lambda: get_task_by_id(self.events, task_id))
        if found is None:
            raise NoSuchTask(f"Unknown task '{task_id}'", hint="no such task was recorded")
        return found


class TaskAbort(_Handler):
    async def post(self, task_id: str) -> HandlerResult:
        """Ask an abortable task to stop: `{"message"}`."""
        return {"message": (await task_abort(task_id, app=self.app))["message"]}


class TaskRevoke(_Handler):
    async def post(self, task_id: str, terminate: bool = False, signal: str = "SIGTERM") -> HandlerResult:
        """Tell all workers not to run a task, or to end it: `{"message"}`."""
        return {"message": (await task_revoke(task_id, terminate, signal, app=self.app))["message"]}


class ListTasks(_Handler):
    async def get(
        self,
        *,
        limit: int | None = None,
        offset: int = 0,
        sort_by: str | None = None,
        workername: str | None = None,
        taskname: str | None = None,
        state: str | None = None,
        received_start: AnyTime | None = None,
        received_end: AnyTime | None = None,
        search: str | None = None,
    ) -> dict[str, TaskDict]:
        """The tasks that all filters let through, by id, in order. All of them are in memory: for many tasks rather
        use `iter_tasks`."""

        def look() -> dict[str, TaskDict]:
            found = iter_tasks(
                self.events,
                limit=limit,
                offset=offset,
                type=taskname,
                worker=workername,
                state=state,
                sort_by=sort_by,
                received_start=received_start,
                received_end=received_end,
                search=search,
            )
            return {task["uuid"]: task for task in found}

        return await run_in_thread(look)


class ListTaskTypes(_Handler):
    async def get(self) -> HandlerResult:
        """The names of all tasks on record: `{"task-types": [name, …]}`, sorted."""
        watching = self.events or get_current_events()
        return {"task-types": list(await run_in_thread(watching.store.names))}


class GetQueueLengths(_Handler):
    async def get(self) -> HandlerResult:
        """How many messages wait: `{"active_queues": [{"name", "messages"}, …]}`, on AMQP with `"consumers"`."""
        return {"active_queues": await queue_lengths(app=self.app)}


def _find_record(events: HasStore | None) -> FindRecord | None:
    """How to look up a record; None if nobody watches."""
    try:
        return (events or get_current_events()).store.task
    except NotFound:
        return None


def _to_result_dict(found: ResultDict, *, ready: bool) -> HandlerResult:
    answer: HandlerResult = {"task-id": found["task-id"], "state": found["state"]}
    if ready:
        answer["result"] = to_json_safe(found["result"])
        if found["traceback"]:
            answer["traceback"] = found["traceback"]
    return answer


__all__ = [
    "GetQueueLengths",
    "ListTaskTypes",
    "ListTasks",
    "TaskAbort",
    "TaskApply",
    "TaskAsyncApply",
    "TaskInfo",
    "TaskResult",
    "TaskRevoke",
    "TaskSend",
    "get_task_result",
    "task_abort",
    "task_apply",
    "task_async_apply",
    "task_rate_limit",
    "task_revoke",
    "task_send_task",
    "task_timeout",
]
