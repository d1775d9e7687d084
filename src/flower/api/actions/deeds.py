"""What each kind of bulk job does to its tasks. What is wrong with one of them is its outcome; what is raised
concerns all that were given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flower.api.actions.means import Means
from flower.api.actions.running import rerun_task
from flower.api.actions.stopping import ABORTED, tell_workers, why_ended, why_not_aborted
from flower.api.reading import read
from flower.cluster.tasks import task_abort
from flower.errors import FlowerError, Unavailable
from flower.records import Task
from flower.store.ledger.jobs import Ended, Item, Job, JobAction

Act: TypeAlias = Callable[[Means, Job, Sequence[Item]], Awaitable[list[Ended]]]


@dataclass(frozen=True, slots=True)
class Deed:
    """`batch`: so many tasks are begun together, and after a crash in doubt together."""

    batch: int
    act: Act


async def _rerun(means: Means, job: Job, items: Sequence[Item]) -> list[Ended]:
    return [await _rerun_one(means, job, item) for item in items]


async def _rerun_one(means: Means, job: Job, item: Item) -> Ended:
    try:
        sent = await rerun_task(means, item.task, by=job.by, task_id=item.new_task, job=job.id)
    except Unavailable as error:
        if not await _is_noted(means, item):
            raise
        return Ended(item.place, "unknown", f"{error.message}; it may have been sent all the same: look at it")
    except FlowerError as error:
        return Ended(item.place, "refused", str(error))
    return Ended(item.place, "done", f"sent as {sent.task}")


async def _is_noted(means: Means, item: Item) -> bool:
    """Whether it had come so far that it was being sent."""
    ledger, new = means.ledger, item.new_task
    if ledger is None or new is None:
        return False
    return await read(lambda: ledger.reruns.origin(new)) is not None


async def _abort(means: Means, job: Job, items: Sequence[Item]) -> list[Ended]:
    return [await _abort_one(means, item) for item in items]


async def _abort_one(means: Means, item: Item) -> Ended:
    record = await read(lambda: means.store.task(item.task))
    if ended := why_ended(record):
        return Ended(item.place, "skipped", ended)
    if refusal := why_not_aborted(means.app, record):
        return Ended(item.place, "refused", refusal)
    done = await task_abort(item.task, app=means.app)
    if done.get("state") != ABORTED:
        return Ended(item.place, "skipped", f"Task '{item.task}' has ended: {done.get('state')}")
    return Ended(item.place, "done", "its result says that it is to stop")


async def _revoke(means: Means, job: Job, items: Sequence[Item]) -> list[Ended]:
    """One message for all: each of them goes to every worker."""
    records = await read(lambda: {item.task: means.store.task(item.task) for item in items})
    ended = [_skipped(item, reason) for item in items if (reason := why_ended(records[item.task]))]
    skipped = {one.place for one in ended}
    left = [item for item in items if item.place not in skipped]
    if left:
        signal = job.signal if job.action == "terminate" else None
        try:
            said = await tell_workers(means, [item.task for item in left], signal)
        except FlowerError as error:
            return [*ended, *(Ended(item.place, "failed", str(error)) for item in left)]
        ended += [_told(item, records[item.task], said, job.signal) for item in left]
    return ended


def _skipped(item: Item, reason: str) -> Ended:
    return Ended(item.place, "skipped", reason)


def _told(item: Item, record: Task | None, said: Mapping[str, str], signal: str) -> Ended:
    at = [worker for worker, words in said.items() if words.startswith("terminate: ") and item.task in words]
    if at:
        return Ended(item.place, "done", f"{signal} was sent to its process at {', '.join(at)}")
    return Ended(item.place, "done", f"noted by {len(said)} worker{'' if len(said) == 1 else 's'}")


DEEDS: Mapping[JobAction, Deed] = {
    "rerun": Deed(1, _rerun),
    "abort": Deed(1, _abort),
    "revoke": Deed(100, _revoke),
    "terminate": Deed(100, _revoke),
}
