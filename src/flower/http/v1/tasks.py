"""Routes of tasks: lists, one task, and actions on a task."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from flower.api import actions, queries
from flower.api.actions.models import ActionContext, RegisteredTasks, SentTask, WorkerReplies
from flower.api.gaps import find_task_gaps
from flower.api.inspection import load_celery_app
from flower.errors import InvalidRequest, NoSuchTask
from flower.http.v1.params import (
    ColumnsParam,
    QueryParams,
    SortKeyParam,
    TaskParams,
    TaskSelectionParams,
    TextLimitParam,
)
from flower.http.v1.route import NoParams, RequestContext, Route
from flower.http.v1.schemas import TaskList, TopTasks
from flower.http.v1.task_rows import COLUMNS, DEFAULT_COLUMNS, MAX_TEXT_LIMIT, TaskRow, literal_values, task_rows
from flower.redaction.masks import find_masked_values
from flower.store.ledger.reruns import Rerun

_Args = Annotated[list[Any] | None, Meta(description="Positional arguments.")]
_Kwargs = Annotated[dict[str, Any] | None, Meta(description="Keyword arguments.")]


class TaskListParams(QueryParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    sort: Annotated[
        tuple[SortKeyParam, ...],
        Meta(
            description="Sort keys; `-` means descending. Tasks without the value come last. `written` alone is the "
            "order in which tasks were first recorded, which never changes. Default: newest first by `time`.",
            examples=["-runtime,name"],
        ),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Tasks per page.", examples=[2])] = 100
    cursor: Annotated[
        str,
        Meta(
            description="`next_cursor` of the previous page. Pages neither repeat nor skip tasks while others arrive."
        ),
    ] = ""
    offset: Annotated[
        int,
        Meta(
            ge=0,
            le=2**53,
            description="Number of tasks to skip, instead of `cursor`; positions shift while tasks arrive.",
        ),
    ] = 0


class WaitingTasksParams(TaskSelectionParams, frozen=True, kw_only=True):
    unstarted_only: Annotated[
        bool, Meta(description="Tasks that have not been started, oldest first, instead of the longest waits.")
    ] = False


class SendOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delivery options; null keeps the default."""

    queue: Annotated[str | None, Meta(description="The queue.")] = None
    exchange: Annotated[str | None, Meta(description="The exchange, if the queue does not determine it.")] = None
    routing_key: Annotated[str | None, Meta(description="The routing key.")] = None
    priority: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | None, Meta(description="Message priority, from 0 to 255.")
    ] = None
    countdown: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="Seconds to wait before the task runs.")
    ] = None
    eta: Annotated[str | None, Meta(description="Time at which the task runs: `2026-11-22T14:30:00+00:00`.")] = None
    expires: Annotated[str | float | None, Meta(description="A time in the format of `eta`, or seconds.")] = None
    headers: Annotated[dict[str, Any] | None, Meta(description="Message headers.")] = None


class RerunTaskBody(SendOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """If `args` or `kwargs` is null, the value of the original task is used. `dry_run` returns what would be sent."""

    args: _Args = None
    kwargs: _Kwargs = None
    dry_run: Annotated[bool, Meta(description="Do not send the task.")] = False


class RunTaskBody(SendOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    args: _Args = None
    kwargs: _Kwargs = None


class TerminateTaskBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signal: Annotated[str, Meta(description="Signal for the process that runs the task.", max_length=32)] = "SIGTERM"


class TaskDetailParams(TaskParams, frozen=True, kw_only=True):
    include_values: Annotated[
        bool, Meta(description="Add `values`: arguments and result as parsed trees.", examples=[True])
    ] = False


class RegisteredTaskParams(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="The task's name.", examples=["shop.charge"])]


class TaskReruns(msgspec.Struct, frozen=True):
    """`origin` is the re-run that created this task, null if it is not a re-run. `reruns` are its own re-runs, newest
    first."""

    origin: Rerun | None
    reruns: tuple[Rerun, ...]


def list_tasks(ctx: RequestContext, params: TaskListParams, body: None) -> TaskList:
    if params.offset:
        return _list_by_offset(ctx, params)
    page = queries.task_page(
        ctx.store, params.query, sort=params.sort, limit=params.limit, cursor=params.cursor or None, **params.window()
    )
    next_url = _next_url(params, cursor=page.cursor) if page.cursor else None
    return TaskList(
        task_rows(ctx.store, page.tasks, params.columns, params.text_limit), next_url, page.cursor, page.partial
    )


def _list_by_offset(ctx: RequestContext, params: TaskListParams) -> TaskList:
    if params.cursor:
        raise InvalidRequest("cursor and offset cannot be combined", hint="omit one of them")
    # One task more than requested shows whether there is a next page.
    tasks = queries.task_slice(
        ctx.store, params.query, sort=params.sort, limit=params.limit + 1, offset=params.offset, **params.window()
    )
    has_next = len(tasks) > params.limit
    next_url = _next_url(params, offset=params.offset + params.limit) if has_next else None
    return TaskList(
        task_rows(ctx.store, tasks[: params.limit], params.columns, params.text_limit),
        next_url,
        partial=_explain_missing(ctx, params),
    )


def _explain_missing(ctx: RequestContext, params: QueryParams) -> str | None:
    return queries.explain_missing(ctx.store, params.query, **params.window())


def _next_url(params: TaskListParams, **position: object) -> str:
    """The relative URL of the next page: the same parameters at another position."""
    given = {name: getattr(params, name) for name in params.__struct_fields__ if name not in ("cursor", "offset")}
    changed = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value != _DEFAULT_PARAMS[name]
    }
    return f"tasks?{urlencode({**changed, **position}, errors='replace')}"


_DEFAULT_PARAMS = msgspec.structs.asdict(TaskListParams())


def get_task(ctx: RequestContext, params: TaskDetailParams, body: None) -> TaskRow:
    task = ctx.store.task(params.uuid)
    if task is None:
        raise NoSuchTask(f"Unknown task '{params.uuid}'", hint="no task with this id is recorded")
    row = task_rows(ctx.store, [task], COLUMNS)[0]
    row = msgspec.structs.replace(
        row,
        gaps=find_task_gaps(ctx.store, ctx.server.ledger, task),
        masked=find_masked_values(task, ctx.server.redactor),
    )
    return msgspec.structs.replace(row, values=literal_values(task)) if params.include_values else row


def list_slowest(ctx: RequestContext, params: TaskSelectionParams, body: None) -> TopTasks:
    tasks = queries.slowest_tasks(ctx.store, params.query, limit=params.limit, **params.window())
    rows = task_rows(ctx.store, tasks, params.columns, params.text_limit)
    return TopTasks(rows, _explain_missing(ctx, params))


def list_waiting(ctx: RequestContext, params: WaitingTasksParams, body: None) -> TopTasks:
    tasks = queries.waiting_tasks(
        ctx.store, params.query, unstarted_only=params.unstarted_only, limit=params.limit, **params.window()
    )
    rows = task_rows(ctx.store, tasks, params.columns, params.text_limit)
    return TopTasks(rows, _explain_missing(ctx, params))


def get_task_reruns(ctx: RequestContext, params: TaskParams, body: None) -> TaskReruns:
    reruns = ctx.server.ledger.reruns
    return TaskReruns(reruns.find_origin(params.uuid), tuple(reruns.list_reruns(params.uuid)))


async def rerun_task(ctx: RequestContext, params: TaskParams, body: RerunTaskBody) -> SentTask:
    sent = await actions.rerun_task(
        await action_context(ctx), params.uuid, body.args, body.kwargs,
        by=ctx.identity.name, dry_run=body.dry_run, **_send_options(body),
    )  # fmt: skip
    _record_sent_task(ctx, sent)
    return sent


async def run_registered_task(ctx: RequestContext, params: RegisteredTaskParams, body: RunTaskBody) -> SentTask:
    sent = await actions.run_task(await action_context(ctx), params.name, body.args, body.kwargs, **_send_options(body))
    _record_sent_task(ctx, sent)
    return sent


async def revoke_task(ctx: RequestContext, params: TaskParams, body: None) -> WorkerReplies:
    return await actions.revoke_task(await action_context(ctx), params.uuid)


async def terminate_task(ctx: RequestContext, params: TaskParams, body: TerminateTaskBody) -> WorkerReplies:
    return await actions.terminate_task(await action_context(ctx), params.uuid, body.signal)


async def abort_task(ctx: RequestContext, params: TaskParams, body: None) -> WorkerReplies:
    return await actions.abort_task(await action_context(ctx), params.uuid)


async def list_registered_tasks(ctx: RequestContext, params: NoParams, body: None) -> RegisteredTasks:
    return await actions.registered_tasks((await action_context(ctx)).app)


async def action_context(ctx: RequestContext) -> ActionContext:
    server = ctx.server
    return ActionContext(server.recorded_reader, await load_celery_app(server), server.ledger, server.redactor)


def _record_sent_task(ctx: RequestContext, sent: SentTask) -> None:
    """Add the new task to the audit entry."""
    if sent.task is None:
        ctx.audit_note.message = "dry run: no task was sent"
    else:
        ctx.audit_note.targets.append(sent.task)


def _send_options(body: SendOptions) -> dict[str, Any]:
    return {name: getattr(body, name) for name in SendOptions.__struct_fields__}


_WORKER_REPLIES_EXAMPLE: Final[dict[str, Any]] = {
    "task": "order-19",
    "message": "Revoked 'order-19'",
    "replies": {"celery@w1": "tasks {'order-19'} flagged as revoked"},
}
_SENT_TASK_EXAMPLE: Final[dict[str, Any]] = {
    "task": "6d1f7f0c-6f0c-4f0e-9a0e-2b7c3f1c9d11",
    "name": "shop.charge",
    "origin": "charge-18",
    "args_from": "event",
    "kwargs_from": "given",
    "queue": "shop",
    "exchange": None,
    "routing_key": None,
    "priority": None,
    "unknown_options": ["priority"],
    "workflow": None,
}
_RERUNS_EXAMPLE: Final[dict[str, Any]] = {
    "origin": None,
    "reruns": [
        {
            "origin": "charge-18",
            "task": _SENT_TASK_EXAMPLE["task"],
            "created_at": 1795342600.0,
            "created_by": "ann",
            "edited": True,
            "sent": True,
            "job": None,
            "priority": None,
        }
    ],
}
_REGISTERED_TASKS_EXAMPLE: Final[dict[str, Any]] = {
    "tasks": [
        {
            "name": "shop.charge",
            "local": True,
            "workers": ["celery@w1", "celery@w2"],
            "signature": "(order, currency, *, amount=1.0)",
            "parameters": [
                {
                    "name": "order",
                    "kind": "positional_or_keyword",
                    "required": True,
                    "default": None,
                    "annotation": None,
                }
            ],
            "abortable": False,
            "doc": "Charge the customer's card.",
        }
    ],
    "queried_workers": ["celery@w1", "celery@w2"],
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/tasks", "listTasks", "tasks", "List tasks", list_tasks,
        params=TaskListParams, response=TaskList, example="tasks?query=state:FAILURE&sort=-received&limit=1",
    ),
    Route(
        "GET", "/slowest", "listSlowestTasks", "tasks", "List the tasks with the longest run time", list_slowest,
        params=TaskSelectionParams, response=TopTasks, example="slowest?limit=2&columns=name,runtime",
    ),
    Route(
        "GET", "/waiting", "listWaitingTasks", "tasks", "List the tasks with the longest waiting time", list_waiting,
        params=WaitingTasksParams, response=TopTasks, example="waiting?limit=2&columns=name,state,wait",
    ),
    Route(
        "POST", "/tasks/{uuid:path}/rerun", "rerunTask", "tasks",
        "Re-run a task, with the same or other arguments", rerun_task,
        params=TaskParams, body=RerunTaskBody, response=SentTask, permission="tasks", audit_action="task.rerun",
        example=_SENT_TASK_EXAMPLE, body_example={"kwargs": {"amount": 12.0}},
    ),
    Route(
        "GET", "/tasks/{uuid:path}/reruns", "getTaskReruns", "tasks",
        "Get the re-runs of a task, and the task that it re-runs", get_task_reruns,
        params=TaskParams, response=TaskReruns, example=_RERUNS_EXAMPLE,
    ),
    Route(
        "POST", "/tasks/{uuid:path}/revoke", "revokeTask", "tasks", "Revoke a task on all workers", revoke_task,
        params=TaskParams, response=WorkerReplies, permission="tasks", audit_action="task.revoke",
        example=_WORKER_REPLIES_EXAMPLE,
    ),
    Route(
        "POST", "/tasks/{uuid:path}/terminate", "terminateTask", "tasks",
        "Revoke a task, and send a signal to the process that runs it", terminate_task,
        params=TaskParams, body=TerminateTaskBody, response=WorkerReplies, permission="tasks",
        audit_action="task.terminate", body_example={"signal": "SIGTERM"},
        example={
            "task": "order-19",
            "message": "Revoked 'order-19', sent SIGTERM to its process",
            "replies": {"celery@w2": "terminate: order-19"},
        },
    ),
    Route(
        "POST", "/tasks/{uuid:path}/abort", "abortTask", "tasks", "Abort an abortable task", abort_task,
        params=TaskParams, response=WorkerReplies, permission="tasks", audit_action="task.abort",
        example={"task": "order-19", "message": "Aborted 'order-19'", "replies": {}},
    ),
    # After the routes below it: an id may contain slashes.
    Route(
        "GET", "/tasks/{uuid:path}", "getTask", "tasks", "Get a task with all recorded values", get_task,
        params=TaskDetailParams, response=TaskRow, example="tasks/charge-17?include_values=true",
    ),
    Route(
        "GET", "/registered", "listRegisteredTasks", "tasks",
        "List the registered tasks of the server's application and of the workers", list_registered_tasks,
        response=RegisteredTasks, example=_REGISTERED_TASKS_EXAMPLE,
    ),
    Route(
        "POST", "/registered/{name:path}/run", "runTask", "tasks", "Run a registered task", run_registered_task,
        params=RegisteredTaskParams, body=RunTaskBody, response=SentTask, permission="tasks", audit_action="task.run",
        example={**_SENT_TASK_EXAMPLE, "origin": None, "args_from": "given", "unknown_options": []},
        body_example={"args": [18, "EUR"], "kwargs": {"amount": 12.0}, "queue": "shop"},
    ),
)  # fmt: skip
