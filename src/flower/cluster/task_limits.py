"""Rate limits and time limits of a task type on workers."""

from collections.abc import Mapping
from typing import Any, TypedDict

from celery import Celery

from flower.cluster.calls import parse_rate_limit, parse_seconds
from flower.cluster.connection import app_or_current
from flower.cluster.remote_control import REPLY_TIMEOUT, call_workers
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest


class ControlReplies(TypedDict):
    """`message` is the reply of the first worker that accepted, `workers` the reply of each worker by name."""

    message: str
    workers: dict[str, str]


async def task_rate_limit(
    task_name: str, rate_limit: str, workername: str | None = None, *, app: Celery | None = None
) -> ControlReplies:
    """Set the rate limit of a task type on one worker or on all: `10/s`, `90/m`, `5/h`, `200`; 0 removes the limit.

    Raises Forbidden with the reply of a worker that rejects it, DeadlineExceeded if no worker replies, InvalidRequest.
    """
    arguments = {"task_name": _check_task_name(task_name), "rate_limit": parse_rate_limit(rate_limit)}
    return await _control_workers(app, "rate_limit", arguments, workername)


async def task_timeout(
    task_name: str,
    soft: float | None = None,
    hard: float | None = None,
    workername: str | None = None,
    *,
    app: Celery | None = None,
) -> ControlReplies:
    """Set the time limits of a task type, in seconds, on one worker or on all; None removes a limit.

    Workers of Celery 5 store new limits at once, but apply them only after their next reconnect to the broker. Raises
    the same errors as `task_rate_limit`.
    """
    limits = {
        "soft": parse_seconds(soft, "Invalid soft time limit"),
        "hard": parse_seconds(hard, "Invalid hard time limit"),
    }
    return await _control_workers(app, "time_limit", {"task_name": _check_task_name(task_name), **limits}, workername)


async def _control_workers(
    app: Celery | None, command: str, arguments: Mapping[str, Any], workername: str | None
) -> ControlReplies:
    app = app_or_current(app)
    replies = await call_workers(app, command, arguments, [workername] if workername else None)
    if not replies:
        target = f"worker '{workername}'" if workername else "any worker"
        raise DeadlineExceeded(f"Timeout: no reply from {target} within {REPLY_TIMEOUT:g} s")
    accepted = {worker: str(reply["ok"]) for worker, reply in replies.items() if "ok" in reply}
    rejected = {worker: str(reply.get("error", reply)) for worker, reply in replies.items() if "ok" not in reply}
    if rejected and (workername or not accepted):
        raise Forbidden("; ".join(dict.fromkeys(rejected.values())))
    # Workers that do not have the task reply with an error; the command succeeds if at least one worker has it.
    return {"message": next(iter(accepted.values())), "workers": {**accepted, **rejected}}


def _check_task_name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidRequest("the task name must be a string")
    return name
