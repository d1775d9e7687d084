"""Asking the workers how they are."""

from collections.abc import Sequence
from typing import Any

from celery import Celery

from flower.cluster.inspected import COMMON, KINDS, Answers
from flower.cluster.mailbox import ask_together

#: Arguments of those kinds of questions that have some.
_ARGUMENTS: dict[str, dict[str, Any]] = {"registered": {"taskinfoitems": []}, "conf": {"with_defaults": False}}


async def inspect(app: Celery, workers: Sequence[str] | None, timeout: float) -> Answers:
    """What all workers or those named say within so many seconds. Raises Unavailable.

    All are asked for what they are; those that are named also for the tasks that they have."""
    kinds = COMMON if workers is None else KINDS
    answers = await ask_together(app, {kind: _ARGUMENTS.get(kind, {}) for kind in kinds}, workers, timeout)
    for stats in answers["stats"].values():
        broker = stats.get("broker") if isinstance(stats, dict) else None
        if isinstance(broker, dict):
            broker.pop("alternates", None)  # other brokers' URLs, with their passwords
    return answers
