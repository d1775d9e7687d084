"""What each kind of bulk job does to its tasks. What is wrong with one of them is its outcome; what is raised
concerns all that were given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flower.api.actions.means import ActionContext
from flower.api.actions.running import rerun_task
from flower.api.actions.stopping import ABORTED, describe_final_state, find_abort_error, revoke_at_workers
from flower.api.reading import run_in_thread
from flower.cluster.tasks import task_abort
from flower.errors import BackendUnavailable, FlowerError
from flower.records import Task
from flower.store.ledger.jobs import ItemResult, Job, JobAction, JobItem

BulkHandler: TypeAlias = Callable[[ActionContext, Job, Sequence[JobItem]], Awaitable[list[ItemResult]]]


@dataclass(frozen=True, slots=True)
class BulkAction:
    """`batch`: so many tasks are begun together, and after a crash in doubt together."""

    batch_size: int
    handler: BulkHandler


async def _rerun_items(means: ActionContext, job: Job, items: Sequence[JobItem]) -> list[ItemResult]:
    return [await _rerun_item(means, job, item) for item in items]


async def _rerun_item(means: ActionContext, job: Job, item: JobItem) -> ItemResult:
    try:
        sent = await rerun_task(means, item.task, by=job.created_by, task_id=item.new_task, job=job.id)
    except BackendUnavailable as error:
        if not await _is_link_recorded(means, item):
            raise
        return ItemResult(item.index, "unknown", f"{error.message}; it may have been sent all the same: look at it")
    except FlowerError as error:
        return ItemResult(item.index, "refused", str(error))
    return ItemResult(item.index, "done", f"sent as {sent.task}")


async def _is_link_recorded(means: ActionContext, item: JobItem) -> bool:
    """Whether it had come so far that it was being sent."""
    ledger, new = means.ledger, item.new_task
    if ledger is None or new is None:
        return False
    return await run_in_thread(lambda: ledger.reruns.find_origin(new)) is not None


async def _abort_items(means: ActionContext, job: Job, items: Sequence[JobItem]) -> list[ItemResult]:
    return [await _abort_item(means, item) for item in items]


async def _abort_item(means: ActionContext, item: JobItem) -> ItemResult:
    record = await run_in_thread(lambda: means.store.task(item.task))
    if ended := describe_final_state(record):
        return ItemResult(item.index, "skipped", ended)
    if refusal := find_abort_error(means.app, record):
        return ItemResult(item.index, "refused", refusal)
    done = await task_abort(item.task, app=means.app)
    if done.get("state") != ABORTED:
        return ItemResult(item.index, "skipped", f"Task '{item.task}' has ended: {done.get('state')}")
    return ItemResult(item.index, "done", "its result says that it is to stop")


async def _revoke_items(means: ActionContext, job: Job, items: Sequence[JobItem]) -> list[ItemResult]:
    """One message for all: each of them goes to every worker."""
    records = await run_in_thread(lambda: {item.task: means.store.task(item.task) for item in items})
    ended = [_skip_item(item, reason) for item in items if (reason := describe_final_state(records[item.task]))]
    skipped = {one.index for one in ended}
    left = [item for item in items if item.index not in skipped]
    if left:
        signal = job.signal if job.action == "terminate" else None
        try:
            said = await revoke_at_workers(means, [item.task for item in left], signal)
        except FlowerError as error:
            return [*ended, *(ItemResult(item.index, "failed", str(error)) for item in left)]
        ended += [_revoke_result(item, records[item.task], said, job.signal) for item in left]
    return ended


def _skip_item(item: JobItem, reason: str) -> ItemResult:
    return ItemResult(item.index, "skipped", reason)


def _revoke_result(item: JobItem, record: Task | None, said: Mapping[str, str], signal: str) -> ItemResult:
    at = [worker for worker, words in said.items() if words.startswith("terminate: ") and item.task in words]
    if at:
        return ItemResult(item.index, "done", f"{signal} was sent to its process at {', '.join(at)}")
    return ItemResult(item.index, "done", f"noted by {len(said)} worker{'' if len(said) == 1 else 's'}")


BULK_ACTIONS: Mapping[JobAction, BulkAction] = {
    "rerun": BulkAction(1, _rerun_items),
    "abort": BulkAction(1, _abort_items),
    "revoke": BulkAction(100, _revoke_items),
    "terminate": BulkAction(100, _revoke_items),
}
