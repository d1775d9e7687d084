"""Routes that act on one task: run it again, run one, stop it."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from flower.api.actions.models import RegisteredTasks, SentTask, WorkerReplies
from flower.api.thread_pool import run_in_thread
from flower.http.v1.params import TaskParams
from flower.http.v1.route import ActionRoute, NoParams, RequestContext, lazy_handler
from flower.store.ledger.reruns import Rerun

_HANDLERS_MODULE = "flower.http.v1.task_handlers"

_Args = Annotated[list[Any] | None, Meta(description="Positional arguments.")]
_Kwargs = Annotated[dict[str, Any] | None, Meta(description="Keyword arguments.")]


class SendOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and when; what is null is left as it is."""

    queue: Annotated[str | None, Meta(description="The queue to send it to.")] = None
    exchange: Annotated[str | None, Meta(description="The exchange, where the queue does not say it.")] = None
    routing_key: Annotated[str | None, Meta(description="The routing key.")] = None
    priority: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | None, Meta(description="The broker's priority, from 0 to 255.")
    ] = None
    countdown: Annotated[Annotated[float, Meta(ge=0)] | None, Meta(description="Seconds to wait before it runs.")] = (
        None
    )
    eta: Annotated[str | None, Meta(description="When to run it: `2026-11-22T14:30:00+00:00`.")] = None
    expires: Annotated[str | float | None, Meta(description="A time as in `eta`, or seconds.")] = None
    headers: Annotated[dict[str, Any] | None, Meta(description="Headers of the message.")] = None


class RerunTaskBody(SendOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `args` and `kwargs` what is null is the origin's. With `dry_run` nothing is sent, and the answer tells what
    would be."""

    args: _Args = None
    kwargs: _Kwargs = None
    dry_run: Annotated[bool, Meta(description="Send nothing.")] = False


class RunTaskBody(SendOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    args: _Args = None
    kwargs: _Kwargs = None


class TerminateTaskBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signal: Annotated[str, Meta(description="Sent to the process that runs the task.", max_length=32)] = "SIGTERM"


class RegisteredTaskParams(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="The task's name.", examples=["shop.charge"])]


class TaskReruns(msgspec.Struct, frozen=True):
    """`of` is set if this task is a re-run, `again` are its own re-runs, newest first."""

    origin: Rerun | None
    reruns: tuple[Rerun, ...]


async def get_task_reruns(acting: RequestContext, asked: TaskParams, body: None) -> TaskReruns:
    ledger = acting.server.ledger
    return await run_in_thread(
        lambda: TaskReruns(ledger.reruns.find_origin(asked.uuid), tuple(ledger.reruns.list_reruns(asked.uuid)))
    )


_WORKER_REPLIES_EXAMPLE = {
    "task": "order-19",
    "message": "Revoked 'order-19'",
    "workers": {"celery@w1": "tasks {'order-19'} flagged as revoked"},
}
_SENT_TASK_EXAMPLE = {
    "task": "6d1f7f0c-6f0c-4f0e-9a0e-2b7c3f1c9d11",
    "name": "shop.charge",
    "origin": "charge-18",
    "args_from": "event",
    "kwargs_from": "given",
    "queue": "shop",
    "exchange": None,
    "routing_key": None,
    "priority": None,
    "unknown": ["priority"],
}

TASK_ACTION_ROUTES: tuple[ActionRoute, ...] = (
    ActionRoute(
        "POST",
        "/tasks/{uuid:path}/rerun",
        "rerunTask",
        "actions",
        "Run a task again, as it was or with other arguments",
        "tasks",
        TaskParams,
        RerunTaskBody,
        SentTask,
        lazy_handler(_HANDLERS_MODULE, "rerun"),
        _SENT_TASK_EXAMPLE,
        {"kwargs": {"amount": 12.0}},
        "task.rerun",
    ),
    ActionRoute(
        "GET",
        "/tasks/{uuid:path}/reruns",
        "listReruns",
        "actions",
        "What a task was run again as, and what it is a re-run of",
        "view",
        TaskParams,
        None,
        TaskReruns,
        get_task_reruns,
        {
            "of": None,
            "again": [
                {
                    "origin": "charge-18",
                    "task": _SENT_TASK_EXAMPLE["task"],
                    "at": 1795342600.0,
                    "by": "ann",
                    "edited": True,
                    "sent": True,
                    "job": None,
                    "priority": None,
                }
            ],
        },
    ),
    ActionRoute(
        "POST",
        "/tasks/{uuid:path}/revoke",
        "revokeTask",
        "actions",
        "Tell all workers not to run a task",
        "tasks",
        TaskParams,
        None,
        WorkerReplies,
        lazy_handler(_HANDLERS_MODULE, "revoke"),
        _WORKER_REPLIES_EXAMPLE,
        audit_action="task.revoke",
    ),
    ActionRoute(
        "POST",
        "/tasks/{uuid:path}/terminate",
        "terminateTask",
        "actions",
        "Revoke a task, and end the process that runs it with a signal",
        "tasks",
        TaskParams,
        TerminateTaskBody,
        WorkerReplies,
        lazy_handler(_HANDLERS_MODULE, "terminate"),
        {
            "task": "order-19",
            "message": "Revoked 'order-19', and sent SIGTERM to the process that runs it",
            "workers": {"celery@w2": "terminate: order-19"},
        },
        {"signal": "SIGTERM"},
        "task.terminate",
    ),
    ActionRoute(
        "POST",
        "/tasks/{uuid:path}/abort",
        "abortTask",
        "actions",
        "Ask an abortable task to stop",
        "tasks",
        TaskParams,
        None,
        WorkerReplies,
        lazy_handler(_HANDLERS_MODULE, "abort"),
        {"task": "order-19", "message": "Aborted 'order-19'", "workers": {}},
        audit_action="task.abort",
    ),
    ActionRoute(
        "GET",
        "/registered",
        "listRegistered",
        "actions",
        "The tasks that can be run: those of the server with their signatures, and those that workers tell",
        "view",
        NoParams,
        None,
        RegisteredTasks,
        lazy_handler(_HANDLERS_MODULE, "registered"),
        {
            "tasks": [
                {
                    "name": "shop.charge",
                    "here": True,
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
            "asked": ["celery@w1", "celery@w2"],
        },
    ),
    ActionRoute(
        "POST",
        "/registered/{name:path}/run",
        "runTask",
        "actions",
        "Run a registered task",
        "tasks",
        RegisteredTaskParams,
        RunTaskBody,
        SentTask,
        lazy_handler(_HANDLERS_MODULE, "run"),
        {**_SENT_TASK_EXAMPLE, "origin": None, "args_from": "given", "unknown": []},
        {"args": [18, "EUR"], "kwargs": {"amount": 12.0}, "queue": "shop"},
        "task.run",
    ),
)
