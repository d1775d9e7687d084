"""What became of a task that was begun by a server that is gone, as far as it can be known. Nothing is done twice."""

from flower.api.actions.deeds import DEEDS
from flower.api.actions.means import Means
from flower.api.actions.stopping import ABORTED
from flower.api.reading import read
from flower.cluster import origins
from flower.cluster.tasks import has_backend, look_up
from flower.records import FINAL_STATES, REVOKED
from flower.store.ledger.jobs import Ended, Item, Job


async def became(means: Means, job: Job, item: Item) -> Ended | None:
    """None if nothing tells (yet). Raises Unavailable."""
    if job.action == "rerun":
        return await _rerun(means, job, item)
    record = await read(lambda: means.store.task(item.task))
    if record is not None and record.state == REVOKED and job.action != "abort":
        return Ended(item.place, "done", "it is revoked")
    if job.action == "abort" and await has_backend(means.app):
        state = (await look_up(means.app, item.task, None))["state"]
        if state == ABORTED:
            return Ended(item.place, "done", "its result says that it is to stop")
    if record is not None and record.state in FINAL_STATES:
        return Ended(item.place, "skipped", f"Task '{item.task}' has ended: {record.state}")
    return None


async def _rerun(means: Means, job: Job, item: Item) -> Ended | None:
    """The new id was fixed beforehand, so that it can be asked for. It is noted before it is sent, and only once: where
    there is no note nothing was sent, and who else might still be about to send it will find ours."""
    ledger, new = means.ledger, item.new_task
    assert ledger is not None
    assert new is not None
    note = await read(lambda: ledger.reruns.origin(new))
    if note is None:
        return (await DEEDS["rerun"].act(means, job, [item]))[0]
    known = note.sent or await read(lambda: means.store.task(new)) is not None
    if known or await origins.is_known(means.app, new):
        await read(lambda: ledger.reruns.sent(new))
        return Ended(item.place, "done", f"sent as {new}")
    return None
