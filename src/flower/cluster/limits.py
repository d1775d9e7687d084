"""Limits of a task at the workers: how often it may run, and for how long."""

from collections.abc import Mapping
from typing import Any, TypedDict

from celery import Celery

from flower.cluster.application import app_or_current
from flower.cluster.calls import rate, seconds
from flower.cluster.mailbox import REPLY_TIMEOUT, ask
from flower.errors import Forbidden, Invalid, WaitedTooLong


class Answers(TypedDict):
    """`message` is what the workers said; `workers` what each said, by name."""

    message: str
    workers: dict[str, str]


async def task_rate_limit(
    task_name: str, rate_limit: str, workername: str | None = None, *, app: Celery | None = None
) -> Answers:
    """Set how often a task may run at one worker, or at all: `10/s`, `90/m`, `5/h`, `200`; 0 lifts the limit.

    Raises Forbidden with the words of a worker that refuses, WaitedTooLong if none answers, Invalid.
    """
    arguments = {"task_name": _name(task_name), "rate_limit": rate(rate_limit)}
    return await _told(app, "rate_limit", arguments, workername)


async def task_timeout(
    task_name: str,
    soft: float | None = None,
    hard: float | None = None,
    workername: str | None = None,
    *,
    app: Celery | None = None,
) -> Answers:
    """Set the time limits of a task, in seconds, at one worker or at all; None lifts a limit.

    The workers of Celery 5 note new limits at once, but keep using the old ones until they next connect to the broker.
    Raises as `task_rate_limit`."""
    limits = {"soft": seconds(soft, "Invalid soft time limit"), "hard": seconds(hard, "Invalid hard time limit")}
    return await _told(app, "time_limit", {"task_name": _name(task_name), **limits}, workername)


async def _told(app: Celery | None, command: str, arguments: Mapping[str, Any], workername: str | None) -> Answers:
    app = app_or_current(app)
    replies = await ask(app, command, arguments, [workername] if workername else None)
    if not replies:
        who = f"worker '{workername}'" if workername else "any worker"
        raise WaitedTooLong(f"Timeout: no answer from {who} within {REPLY_TIMEOUT:g} s")
    said = {worker: str(answer["ok"]) for worker, answer in replies.items() if "ok" in answer}
    refused = {worker: str(answer.get("error", answer)) for worker, answer in replies.items() if "ok" not in answer}
    if refused and (workername or not said):
        raise Forbidden("; ".join(dict.fromkeys(refused.values())))
    # Workers that do not have the task say so; it is no failure as long as some have it.
    return {"message": next(iter(said.values())), "workers": {**said, **refused}}


def _name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise Invalid("the task's name must be a text")
    return name
