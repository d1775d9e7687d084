"""The action of a bulk job on each of its tasks. Each item is executed at most once.

An error of one task is the outcome of its item; an exception applies to all items of the batch.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from flower import cluster
from flower.api.actions.models import ActionContext
from flower.api.actions.rerun import rerun_task
from flower.api.actions.stop import ABORTED, describe_final_state, find_abort_error, revoke_at_workers
from flower.api.thread_pool import run_in_thread
from flower.errors import BackendUnavailable, FlowerError
from flower.store.ledger.jobs import ItemResult, Job, JobAction, JobItem

BulkHandler: TypeAlias = Callable[[ActionContext, Job, Sequence[JobItem]], Awaitable[list[ItemResult]]]

ABORT_REQUESTED: Final = "abort requested"


@dataclass(frozen=True, slots=True)
class BulkAction:
    """`batch_size`: number of tasks that are started together, and whose outcome is unknown together after a crash."""

    batch_size: int
    handler: BulkHandler


async def _rerun_items(ctx: ActionContext, job: Job, items: Sequence[JobItem]) -> list[ItemResult]:
    return [await rerun_item(ctx, job, item) for item in items]


async def rerun_item(ctx: ActionContext, job: Job, item: JobItem) -> ItemResult:
    try:
        sent = await rerun_task(ctx, item.task, by=job.created_by, task_id=item.new_task, job=job.id)
    except BackendUnavailable as error:
        if not await _is_link_recorded(ctx, item):
            raise
        return ItemResult(item.index, "unknown", f"{error.message}; the task may have been sent")
    except FlowerError as error:
        return ItemResult(item.index, "refused", str(error))
    return ItemResult(item.index, "done", f"sent as {sent.task}")


async def _is_link_recorded(ctx: ActionContext, item: JobItem) -> bool:
    """Whether the re-run was about to be sent."""
    ledger, new_id = ctx.ledger, item.new_task
    if ledger is None or new_id is None:
        return False
    return await run_in_thread(lambda: ledger.reruns.find_origin(new_id)) is not None


async def _abort_items(ctx: ActionContext, job: Job, items: Sequence[JobItem]) -> list[ItemResult]:
    return [await _abort_item(ctx, item) for item in items]


async def _abort_item(ctx: ActionContext, item: JobItem) -> ItemResult:
    record = await run_in_thread(lambda: ctx.store.task(item.task))
    if finished := describe_final_state(record):
        return skip_item(item, finished)
    if error := find_abort_error(ctx.app, record):
        return ItemResult(item.index, "refused", error)
    result = await cluster.tasks.task_abort(item.task, app=ctx.app)
    if result.get("state") != ABORTED:
        return skip_item(item, f"Task '{item.task}' has already finished ({result.get('state')})")
    return ItemResult(item.index, "done", ABORT_REQUESTED)


async def _revoke_items(ctx: ActionContext, job: Job, items: Sequence[JobItem]) -> list[ItemResult]:
    """Revoke or terminate with one message for all items, because each message goes to every worker."""
    records = await run_in_thread(lambda: {item.task: ctx.store.task(item.task) for item in items})
    results = [skip_item(item, finished) for item in items if (finished := describe_final_state(records[item.task]))]
    skipped = {result.index for result in results}
    remaining = [item for item in items if item.index not in skipped]
    if remaining:
        signal = job.signal if job.action == "terminate" else None
        try:
            replies = await revoke_at_workers(ctx, [item.task for item in remaining], signal)
        except FlowerError as error:
            return [*results, *(ItemResult(item.index, "failed", str(error)) for item in remaining)]
        results += [_revoke_result(item, replies, job.signal) for item in remaining]
    return results


def skip_item(item: JobItem, reason: str) -> ItemResult:
    return ItemResult(item.index, "skipped", reason)


def _revoke_result(item: JobItem, replies: Mapping[str, str], signal: str) -> ItemResult:
    workers = [worker for worker, reply in replies.items() if reply.startswith("terminate: ") and item.task in reply]
    if workers:
        return ItemResult(item.index, "done", f"{signal} sent to its process on {', '.join(workers)}")
    return ItemResult(item.index, "done", f"revoked on {len(replies)} worker{'' if len(replies) == 1 else 's'}")


BULK_ACTIONS: Final[Mapping[JobAction, BulkAction]] = {
    "rerun": BulkAction(1, _rerun_items),
    "abort": BulkAction(1, _abort_items),
    "revoke": BulkAction(100, _revoke_items),
    "terminate": BulkAction(100, _revoke_items),
}
