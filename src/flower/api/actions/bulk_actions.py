"""What each kind of bulk job does to its tasks. What is wrong with one of them is its outcome; what is raised
concerns all that were given.

What became of a task that was begun by a server that is gone, as far as it can be known. Nothing is done twice."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flower.api.actions.models import ActionContext
from flower.api.actions.rerun import rerun_task
from flower.api.actions.stop import ABORTED, describe_final_state, find_abort_error, revoke_at_workers
from flower.api.thread_pool import run_in_thread
from flower.cluster import task_metadata
from flower.cluster.tasks import has_result_backend, lookup_result, task_abort
from flower.errors import BackendUnavailable, FlowerError
from flower.records import FINAL_STATES, REVOKED, Task
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


async def resolve_interrupted_item(means: ActionContext, job: Job, item: JobItem) -> ItemResult | None:
    """None if nothing tells (yet). Raises Unavailable."""
    if job.action == "rerun":
        return await _resolve_rerun(means, job, item)
    record = await run_in_thread(lambda: means.store.task(item.task))
    if record is not None and record.state == REVOKED and job.action != "abort":
        return ItemResult(item.index, "done", "it is revoked")
    if job.action == "abort" and await has_result_backend(means.app):
        state = (await lookup_result(means.app, item.task, None))["state"]
        if state == ABORTED:
            return ItemResult(item.index, "done", "its result says that it is to stop")
    if record is not None and record.state in FINAL_STATES:
        return ItemResult(item.index, "skipped", f"Task '{item.task}' has ended: {record.state}")
    return None


async def _resolve_rerun(means: ActionContext, job: Job, item: JobItem) -> ItemResult | None:
    """The new id was fixed beforehand, so that it can be asked for. It is noted before it is sent, and only once: where
    there is no note nothing was sent, and who else might still be about to send it will find ours."""
    ledger, new = means.ledger, item.new_task
    assert ledger is not None
    assert new is not None
    note = await run_in_thread(lambda: ledger.reruns.find_origin(new))
    if note is None:
        return (await BULK_ACTIONS["rerun"].handler(means, job, [item]))[0]
    known = note.sent or await run_in_thread(lambda: means.store.task(new)) is not None
    if known or await task_metadata.is_in_backend(means.app, new):
        await run_in_thread(lambda: ledger.reruns.mark_sent(new))
        return ItemResult(item.index, "done", f"sent as {new}")
    return None
