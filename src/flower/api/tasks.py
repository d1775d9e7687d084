"""The documented handlers and functions for tasks. They need no HTTP; its routes call the very same code.

Handlers take `app=` (a Celery application; default: Celery's current one) and `events=` (the Events to read; default:
those last started in this process).
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from flower.api.answers import presentable
from flower.api.listing import AnyTime, get_task_by_id, iter_tasks
from flower.api.reading import read
from flower.cluster import tasks as control
from flower.cluster.application import app_or_current
from flower.cluster.calls import Call, call
from flower.cluster.queues import queue_lengths
from flower.cluster.results import Outcome
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
from flower.current import Watching, current
from flower.errors import NoSuchTask, NotFound
from flower.records import TaskInfo as TaskDict

if TYPE_CHECKING:
    from celery import Celery

Answer: TypeAlias = dict[str, Any]


async def get_task_result(
    task_id: str, timeout: float | None = None, *, app: "Celery | None" = None, events: Watching | None = None
) -> Outcome:
    """The result of a task, waited for at most `timeout` seconds; see `flower.cluster.tasks.get_task_result`. What
    the result backend does not know is looked up in the records of `events`."""
    return await control.get_task_result(task_id, timeout, app=app, find_record=_records(events))


class _Handler:
    def __init__(self, app: "Celery | None" = None, events: Watching | None = None) -> None:
        self._app = app
        self.events = events

    @property
    def app(self) -> "Celery":
        return app_or_current(self._app)


class TaskApply(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Answer:
        """Run a task and wait for it. A task that fails is an answer too: `{"task-id", "state", "result"}` and, if it
        failed, `"traceback"`. After `timeout` seconds without result: `{"task-id", "state"}`."""
        return await self.run(call(task_name, args, kwargs, options))

    async def run(self, asked: Call) -> Answer:
        if not await control.has_backend(self.app):
            return {**await control.submit(self.app, asked, registered=True), "result": None}
        found, ready = await control.apply(self.app, asked)
        return _answer(found, ready=ready)


class TaskAsyncApply(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Answer:
        """Send a task that the application knows: `{"task-id", "state"}`."""
        return await self.run(call(task_name, args, kwargs, options))

    async def run(self, asked: Call) -> Answer:
        return {**await control.submit(self.app, asked, registered=True)}


class TaskSend(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Answer:
        """Send a task by name, known or not: `{"task-id", "state"}`."""
        return await self.run(call(task_name, args, kwargs, options))

    async def run(self, asked: Call) -> Answer:
        return {**await control.submit(self.app, asked, registered=False)}


class TaskResult(_Handler):
    async def get(self, task_id: str, timeout: float | None = None) -> Answer:
        """What the result backend says, after waiting at most `timeout` seconds: `{"task-id", "state"}`, with
        `"result"` once there is one and `"traceback"` if it failed. An id it does not know is PENDING."""
        found = await control.look_up(self.app, task_id, timeout)
        return _answer(found, ready=control.ended(found))


class TaskInfo(_Handler):
    async def get(self, task_id: str) -> TaskDict:
        """The record of a task. Raises NoSuchTask."""
        found = await read(lambda: get_task_by_id(self.events, task_id))
        if found is None:
            raise NoSuchTask(f"Unknown task '{task_id}'", hint="no such task was recorded")
        return found


class TaskAbort(_Handler):
    async def post(self, task_id: str) -> Answer:
        """Ask an abortable task to stop: `{"message"}`."""
        return {"message": (await task_abort(task_id, app=self.app))["message"]}


class TaskRevoke(_Handler):
    async def post(self, task_id: str, terminate: bool = False, signal: str = "SIGTERM") -> Answer:
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

        return await read(look)


class ListTaskTypes(_Handler):
    async def get(self) -> Answer:
        """The names of all tasks on record: `{"task-types": [name, …]}`, sorted."""
        watching = self.events or current()
        return {"task-types": list(await read(watching.store.names))}


class GetQueueLengths(_Handler):
    async def get(self) -> Answer:
        """How many messages wait: `{"active_queues": [{"name", "messages"}, …]}`, on AMQP with `"consumers"`."""
        return {"active_queues": await queue_lengths(app=self.app)}


def _records(events: Watching | None) -> FindRecord | None:
    """How to look up a record; None if nobody watches."""
    try:
        return (events or current()).store.task
    except NotFound:
        return None


def _answer(found: Outcome, *, ready: bool) -> Answer:
    answer: Answer = {"task-id": found["task-id"], "state": found["state"]}
    if ready:
        answer["result"] = presentable(found["result"])
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
