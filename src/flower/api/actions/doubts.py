"""What became of a task that was begun by a server that is gone, as far as it can be known. Nothing is done twice."""

from flower.api.actions.deeds import BULK_ACTIONS
from flower.api.actions.means import ActionContext
from flower.api.actions.stopping import ABORTED
from flower.api.reading import run_in_thread
from flower.cluster import origins
from flower.cluster.tasks import has_result_backend, lookup_result
from flower.records import FINAL_STATES, REVOKED
from flower.store.ledger.jobs import ItemResult, Job, JobItem


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
    if known or await origins.is_in_backend(means.app, new):
        await run_in_thread(lambda: ledger.reruns.mark_sent(new))
        return ItemResult(item.index, "done", f"sent as {new}")
    return None
