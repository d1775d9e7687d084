"""Crash recovery of bulk jobs: the outcome of items that were in progress when their server stopped."""

from flower import cluster
from flower.api.actions.bulk_actions import ABORT_REQUESTED, rerun_item, skip_item
from flower.api.actions.models import ActionContext
from flower.api.actions.stop import ABORTED
from flower.api.thread_pool import run_in_thread
from flower.records import FINAL_STATES, REVOKED
from flower.store.ledger.jobs import ItemResult, Job, JobItem


async def resolve_interrupted_item(ctx: ActionContext, job: Job, item: JobItem) -> ItemResult | None:
    """The outcome of an item that was in progress when its server stopped; None if it is not known (yet). Raises
    BackendUnavailable."""
    if job.action == "rerun":
        return await _resolve_rerun(ctx, job, item)
    record = await run_in_thread(lambda: ctx.store.task(item.task))
    if record is not None and record.state == REVOKED and job.action != "abort":
        return ItemResult(item.index, "done", "revoked")
    if job.action == "abort" and await cluster.tasks.has_result_backend(ctx.app):
        state = (await cluster.tasks.lookup_result(ctx.app, item.task, None))["state"]
        if state == ABORTED:
            return ItemResult(item.index, "done", ABORT_REQUESTED)
    if record is not None and record.state in FINAL_STATES:
        return skip_item(item, f"Task '{item.task}' has already finished ({record.state})")
    return None


async def _resolve_rerun(ctx: ActionContext, job: Job, item: JobItem) -> ItemResult | None:
    """The id of the re-run was chosen with the job, and its link is recorded once, before the task is sent. Without a
    link nothing was sent, so the item is executed now; a server that is still about to send it will find this link."""
    ledger, new_id = ctx.ledger, item.new_task
    assert ledger is not None
    assert new_id is not None
    link = await run_in_thread(lambda: ledger.reruns.find_origin(new_id))
    if link is None:
        return await rerun_item(ctx, job, item)
    was_sent = link.sent or await run_in_thread(lambda: ctx.store.task(new_id)) is not None
    if was_sent or await cluster.task_metadata.is_in_backend(ctx.app, new_id):
        await run_in_thread(lambda: ledger.reruns.mark_sent(new_id))
        return ItemResult(item.index, "done", f"sent as {new_id}")
    return None
