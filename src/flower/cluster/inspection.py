"""Asking the workers how they are."""

from collections.abc import Sequence
from typing import Any

from celery import Celery

from flower.cluster.inspected import COMMON_KINDS, INSPECT_KINDS, InspectReplies
from flower.cluster.mailbox import call_workers_with_many

#: Arguments of those kinds of questions that have some.
_ARGUMENTS: dict[str, dict[str, Any]] = {"registered": {"taskinfoitems": []}, "conf": {"with_defaults": False}}


async def inspect_workers(app: Celery, workers: Sequence[str] | None, timeout: float) -> InspectReplies:
    """What all workers or those named say within so many seconds. Raises Unavailable.

    All are asked for what they are; those that are named also for the tasks that they have."""
    kinds = COMMON_KINDS if workers is None else INSPECT_KINDS
    answers = await call_workers_with_many(app, {kind: _ARGUMENTS.get(kind, {}) for kind in kinds}, workers, timeout)
    for stats in answers["stats"].values():
        broker = stats.get("broker") if isinstance(stats, dict) else None
        if isinstance(broker, dict):
            broker.pop("alternates", None)  # other brokers' URLs, with their passwords
    return answers
