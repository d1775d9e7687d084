"""The documented handlers and functions for tasks. They work without HTTP; the HTTP routes call the same code.

Handlers accept `app=`, a Celery application (default: Celery's current one), and `events=`, the `Events` object to read
(default: the one last started in this process). The functions are those of `flower.cluster.tasks`; Celery is imported
when one of them is first used.
"""

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from flower import cluster
from flower.api.json_encoder import to_json_safe
from flower.api.query_params import AnyTime
from flower.api.task_lists import get_task_by_id, iter_tasks
from flower.api.thread_pool import run_in_thread
from flower.cluster.calls import TaskCall, build_call
from flower.current_events import HasStore, get_current_events
from flower.errors import NoSuchTask, NotFound
from flower.task_info import TaskInfo as TaskDict

if TYPE_CHECKING:
    from celery import Celery

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

HandlerResult: TypeAlias = dict[str, Any]

_CLUSTER_FUNCTIONS: Final = frozenset(
    {
        "task_abort",
        "task_apply",
        "task_async_apply",
        "task_rate_limit",
        "task_revoke",
        "task_send_task",
        "task_timeout",
    }
)


def __getattr__(name: str) -> Any:
    if name in _CLUSTER_FUNCTIONS:
        return getattr(cluster.tasks, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


async def get_task_result(
    task_id: str, timeout: float | None = None, *, app: "Celery | None" = None, events: HasStore | None = None
) -> "ResultDict":
    """The result of a task, waiting at most `timeout` seconds; see `flower.cluster.tasks.get_task_result`. If the
    result backend does not know the task, its state is read from the records of `events`."""
    return await cluster.tasks.get_task_result(task_id, timeout, app=app, find_record=_find_record(events))


class _Handler:
    def __init__(self, app: "Celery | None" = None, events: HasStore | None = None) -> None:
        self._app = app
        self.events = events

    @property
    def app(self) -> "Celery":
        return cluster.connection.app_or_current(self._app)


class TaskApply(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> HandlerResult:
        """Run a task and wait for its result: `{"task-id", "state", "result"}`, with `"traceback"` if it failed. A
        failed task raises no exception. After `timeout` seconds without a result: `{"task-id", "state"}`."""
        return await self.run(build_call(task_name, args, kwargs, options))

    async def run(self, task_call: TaskCall) -> HandlerResult:
        if not await cluster.tasks.has_result_backend(self.app):
            return {**await cluster.tasks.submit_call(self.app, task_call, registered=True), "result": None}
        result, is_ready = await cluster.tasks.apply_call(self.app, task_call)
        return _to_result_dict(result, is_ready=is_ready)


class TaskAsyncApply(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> HandlerResult:
        """Send a task that is registered in the application: `{"task-id", "state"}`."""
        return await self.run(build_call(task_name, args, kwargs, options))

    async def run(self, task_call: TaskCall) -> HandlerResult:
        return {**await cluster.tasks.submit_call(self.app, task_call, registered=True)}


class TaskSend(_Handler):
    async def post(self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> HandlerResult:
        """Send a task by name, registered or not: `{"task-id", "state"}`."""
        return await self.run(build_call(task_name, args, kwargs, options))

    async def run(self, task_call: TaskCall) -> HandlerResult:
        return {**await cluster.tasks.submit_call(self.app, task_call, registered=False)}


class TaskResult(_Handler):
    async def get(self, task_id: str, timeout: float | None = None) -> HandlerResult:
        """The result from the result backend, waiting at most `timeout` seconds: `{"task-id", "state"}`, with
        `"result"` when the task has finished, and `"traceback"` if it failed. An unknown id is PENDING."""
        result = await cluster.tasks.lookup_result(self.app, task_id, timeout)
        return _to_result_dict(result, is_ready=cluster.tasks.is_final(result))


class TaskInfo(_Handler):
    async def get(self, task_id: str) -> TaskDict:
        """The record of a task. Raises NoSuchTask."""
        task = await run_in_thread(lambda: get_task_by_id(self.events, task_id))
        if task is None:
            raise NoSuchTask(f"Unknown task '{task_id}'", hint="no task with this id is recorded")
        return task


class TaskAbort(_Handler):
    async def post(self, task_id: str) -> HandlerResult:
        """Abort an abortable task: `{"message"}`."""
        return {"message": (await cluster.tasks.task_abort(task_id, app=self.app))["message"]}


class TaskRevoke(_Handler):
    async def post(self, task_id: str, terminate: bool = False, signal: str = "SIGTERM") -> HandlerResult:
        """Revoke a task on all workers; with `terminate`, a running task is stopped by the signal: `{"message"}`."""
        return {"message": (await cluster.tasks.task_revoke(task_id, terminate, signal, app=self.app))["message"]}


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
        """The tasks that match all filters, by id, in order. All of them are held in memory; for many tasks use
        `iter_tasks`."""

        def list_tasks() -> dict[str, TaskDict]:
            tasks = iter_tasks(
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
            return {task["uuid"]: task for task in tasks}

        return await run_in_thread(list_tasks)


class ListTaskTypes(_Handler):
    async def get(self) -> HandlerResult:
        """The names of all recorded tasks: `{"task-types": [name, …]}`, sorted."""
        events = self.events or get_current_events()
        return {"task-types": list(await run_in_thread(events.store.names))}


class GetQueueLengths(_Handler):
    async def get(self) -> HandlerResult:
        """The number of messages in each queue: `{"active_queues": [{"name", "messages"}, …]}`, with `"consumers"` on
        AMQP."""
        return {"active_queues": await cluster.queues.queue_lengths(app=self.app)}


def _find_record(events: HasStore | None) -> "FindRecord | None":
    """The function that looks up a record; None if no `Events` object is running."""
    try:
        return (events or get_current_events()).store.task
    except NotFound:
        return None


def _to_result_dict(result: "ResultDict", *, is_ready: bool) -> HandlerResult:
    values: HandlerResult = {"task-id": result["task-id"], "state": result["state"]}
    if is_ready:
        values["result"] = to_json_safe(result["result"])
        if result["traceback"]:
            values["traceback"] = result["traceback"]
    return values


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
