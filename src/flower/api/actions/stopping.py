"""Revoke, terminate and abort, with the words of the workers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flower.api.actions.answers import Told
from flower.api.actions.means import Means
from flower.api.reading import read
from flower.cluster.mailbox import REPLY_TIMEOUT, ask
from flower.cluster.registered import is_abortable
from flower.cluster.tasks import SIGNALS, task_abort
from flower.errors import Forbidden, Invalid, WaitedTooLong
from flower.records import FINAL_STATES, Task

if TYPE_CHECKING:
    from celery import Celery

ABORTED = "ABORTED"


async def revoke_task(means: Means, uuid: str) -> Told:
    """Tell all workers not to run a task. Raises Forbidden if it has ended, WaitedTooLong if no worker heard it."""
    await _check_running(means, uuid)
    return Told(task=uuid, message=f"Revoked '{uuid}'", workers=await tell_workers(means, [uuid]))


async def terminate_task(means: Means, uuid: str, signal: str = "SIGTERM") -> Told:
    """The same; a worker that runs it also ends its process with this signal. Raises Invalid for no signal."""
    name = signal_name(signal)
    await _check_running(means, uuid)
    said = await tell_workers(means, [uuid], name)
    return Told(task=uuid, message=f"Revoked '{uuid}', and sent {name} to the process that runs it", workers=said)


async def abort_task(means: Means, uuid: str) -> Told:
    """Ask an abortable task to stop. Raises Forbidden if it has ended or never looks whether it is to stop,
    NoResultBackend, Invalid."""
    record = await read(lambda: means.store.task(uuid))
    refusal = why_not_aborted(means.app, record)
    if refusal:
        raise Forbidden(refusal)
    done = await task_abort(uuid, app=means.app)
    if done.get("state") != ABORTED:
        raise Forbidden(f"Task '{uuid}' has ended: {done.get('state')}")
    return Told(task=uuid, message=f"Aborted '{uuid}'")


async def tell_workers(means: Means, uuids: Sequence[str], signal: str | None = None) -> dict[str, str]:
    """Revoke them, in one message; gives what each worker said. Raises WaitedTooLong if none says anything: workers
    keep what is revoked in memory, so that nobody has noted it."""
    arguments = {"task_id": list(uuids), "terminate": signal is not None, "signal": signal or "SIGTERM"}
    answers = await ask(means.app, "revoke", arguments)
    if not answers:
        hint = "workers keep this in memory: one that starts later will run it; look whether any is there"
        raise WaitedTooLong(f"No worker answered within {REPLY_TIMEOUT:g} s", hint=hint)
    said = {worker: _words(answer) for worker, answer in answers.items()}
    refused = {worker for worker, answer in answers.items() if isinstance(answer, dict) and "error" in answer}
    if refused == said.keys():
        raise Forbidden("; ".join(dict.fromkeys(said.values())))
    return said


def signal_name(signal: str) -> str:
    """`usr1` is `SIGUSR1`. Raises Invalid."""
    name = str(signal).upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in SIGNALS:
        raise Invalid(f"Unknown signal '{signal}'", hint=f"one of {', '.join(sorted(SIGNALS))}")
    return name


def why_ended(record: Task | None) -> str | None:
    """What there is to say of a task that is to be stopped and has ended; None if it may still be."""
    if record is None or record.state not in FINAL_STATES:
        return None
    return f"Task '{record.uuid}' has ended: {record.state}"


def why_not_aborted(app: "Celery", record: Task | None) -> str | None:
    if ended := why_ended(record):
        return ended
    if record is not None and is_abortable(app, record.name) is False:
        return f"{record.name} is no AbortableTask: it never looks whether it is to stop; terminate it instead"
    return None


async def _check_running(means: Means, uuid: str) -> None:
    if not uuid:
        raise Invalid("the task's id must be a text")
    record = await read(lambda: means.store.task(uuid))
    if refusal := why_ended(record):
        raise Forbidden(refusal)


def _words(answer: object) -> str:
    if isinstance(answer, dict):
        return str(answer.get("ok", answer.get("error", answer)))
    # a worker that only notes it says the ids that it noted
    return "noted" if isinstance(answer, list) else str(answer)
