"""Revoke, terminate and abort, with the words of the workers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flower.api.actions.models import ActionContext, WorkerReplies
from flower.api.thread_pool import run_in_thread
from flower.cluster.registered import is_abortable
from flower.cluster.remote_control import REPLY_TIMEOUT, call_workers
from flower.cluster.tasks import SIGNALS, task_abort
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest
from flower.records import FINAL_STATES, Task

if TYPE_CHECKING:
    from celery import Celery

ABORTED = "ABORTED"


async def revoke_task(means: ActionContext, uuid: str) -> WorkerReplies:
    """Tell all workers not to run a task. Raises Forbidden if it has ended, WaitedTooLong if no worker heard it."""
    await _require_unfinished(means, uuid)
    return WorkerReplies(task=uuid, message=f"Revoked '{uuid}'", replies=await revoke_at_workers(means, [uuid]))


async def terminate_task(means: ActionContext, uuid: str, signal: str = "SIGTERM") -> WorkerReplies:
    """The same; a worker that runs it also ends its process with this signal. Raises Invalid for no signal."""
    name = parse_signal(signal)
    await _require_unfinished(means, uuid)
    said = await revoke_at_workers(means, [uuid], name)
    return WorkerReplies(
        task=uuid, message=f"Revoked '{uuid}', and sent {name} to the process that runs it", replies=said
    )


async def abort_task(means: ActionContext, uuid: str) -> WorkerReplies:
    """Ask an abortable task to stop. Raises Forbidden if it has ended or never looks whether it is to stop,
    NoResultBackend, Invalid."""
    record = await run_in_thread(lambda: means.store.task(uuid))
    refusal = find_abort_error(means.app, record)
    if refusal:
        raise Forbidden(refusal)
    done = await task_abort(uuid, app=means.app)
    if done.get("state") != ABORTED:
        raise Forbidden(f"Task '{uuid}' has ended: {done.get('state')}")
    return WorkerReplies(task=uuid, message=f"Aborted '{uuid}'")


async def revoke_at_workers(means: ActionContext, uuids: Sequence[str], signal: str | None = None) -> dict[str, str]:
    """Revoke them, in one message; gives what each worker said. Raises WaitedTooLong if none says anything: workers
    keep what is revoked in memory, so that nobody has noted it."""
    arguments = {"task_id": list(uuids), "terminate": signal is not None, "signal": signal or "SIGTERM"}
    answers = await call_workers(means.app, "revoke", arguments)
    if not answers:
        hint = "workers keep this in memory: one that starts later will run it; look whether any is there"
        raise DeadlineExceeded(f"No worker answered within {REPLY_TIMEOUT:g} s", hint=hint)
    said = {worker: _format_reply(answer) for worker, answer in answers.items()}
    refused = {worker for worker, answer in answers.items() if isinstance(answer, dict) and "error" in answer}
    if refused == said.keys():
        raise Forbidden("; ".join(dict.fromkeys(said.values())))
    return said


def parse_signal(signal: str) -> str:
    """`usr1` is `SIGUSR1`. Raises Invalid."""
    name = str(signal).upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in SIGNALS:
        raise InvalidRequest(f"Unknown signal '{signal}'", hint=f"one of {', '.join(sorted(SIGNALS))}")
    return name


def describe_final_state(record: Task | None) -> str | None:
    """What there is to say of a task that is to be stopped and has ended; None if it may still be."""
    if record is None or record.state not in FINAL_STATES:
        return None
    return f"Task '{record.uuid}' has ended: {record.state}"


def find_abort_error(app: "Celery", record: Task | None) -> str | None:
    if ended := describe_final_state(record):
        return ended
    if record is not None and is_abortable(app, record.name) is False:
        return f"{record.name} is no AbortableTask: it never looks whether it is to stop; terminate it instead"
    return None


async def _require_unfinished(means: ActionContext, uuid: str) -> None:
    if not uuid:
        raise InvalidRequest("the task's id must be a text")
    record = await run_in_thread(lambda: means.store.task(uuid))
    if refusal := describe_final_state(record):
        raise Forbidden(refusal)


def _format_reply(answer: object) -> str:
    if isinstance(answer, dict):
        return str(answer.get("ok", answer.get("error", answer)))
    # a worker that only notes it says the ids that it noted
    return "noted" if isinstance(answer, list) else str(answer)
