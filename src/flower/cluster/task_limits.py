"""Limits of a task at the workers: how often it may run, and for how long."""

from collections.abc import Mapping
from typing import Any, TypedDict

from celery import Celery

from flower.cluster.calls import parse_rate_limit, parse_seconds
from flower.cluster.connection import app_or_current
from flower.cluster.remote_control import REPLY_TIMEOUT, call_workers
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest


class ControlReplies(TypedDict):
    """`message` is what the workers said; `workers` what each said, by name."""

    message: str
    workers: dict[str, str]


async def task_rate_limit(
    task_name: str, rate_limit: str, workername: str | None = None, *, app: Celery | None = None
) -> ControlReplies:
    """Set how often a task may run at one worker, or at all: `10/s`, `90/m`, `5/h`, `200`; 0 lifts the limit.

    Raises Forbidden with the words of a worker that refuses, WaitedTooLong if none answers, Invalid.
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
    """Set the time limits of a task, in seconds, at one worker or at all; None lifts a limit.

    The workers of Celery 5 note new limits at once, but keep using the old ones until they next connect to the broker.
    Raises as `task_rate_limit`."""
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
        who = f"worker '{workername}'" if workername else "any worker"
        raise DeadlineExceeded(f"Timeout: no answer from {who} within {REPLY_TIMEOUT:g} s")
    said = {worker: str(answer["ok"]) for worker, answer in replies.items() if "ok" in answer}
    refused = {worker: str(answer.get("error", answer)) for worker, answer in replies.items() if "ok" not in answer}
    if refused and (workername or not said):
        raise Forbidden("; ".join(dict.fromkeys(refused.values())))
    # Workers that do not have the task say so; it is no failure as long as some have it.
    return {"message": next(iter(said.values())), "workers": {**said, **refused}}


def _check_task_name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidRequest("the task's name must be a text")
    return name
