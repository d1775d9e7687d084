"""Revoke, terminate and abort tasks, with the replies of the workers."""

import signal as signals
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flower import cluster
from flower.api.actions.models import ActionContext, WorkerReplies
from flower.api.thread_pool import run_in_thread
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest
from flower.records import FINAL_STATES, Task

if TYPE_CHECKING:
    from celery import Celery

ABORTED: Final = "ABORTED"


async def revoke_task(ctx: ActionContext, uuid: str) -> WorkerReplies:
    """Revoke a task on all workers: they skip it. Raises Forbidden if it has finished, DeadlineExceeded if no worker
    replies."""
    await _require_unfinished(ctx, uuid)
    return WorkerReplies(task=uuid, message=f"Revoked '{uuid}'", replies=await revoke_at_workers(ctx, [uuid]))


async def terminate_task(ctx: ActionContext, uuid: str, signal: str = "SIGTERM") -> WorkerReplies:
    """Revoke a task; a worker that is running it sends this signal to its process. Raises Forbidden, DeadlineExceeded,
    and InvalidRequest for an unknown signal."""
    name = parse_signal(signal)
    await _require_unfinished(ctx, uuid)
    replies = await revoke_at_workers(ctx, [uuid], name)
    return WorkerReplies(task=uuid, message=f"Revoked '{uuid}', sent {name} to its process", replies=replies)


async def abort_task(ctx: ActionContext, uuid: str) -> WorkerReplies:
    """Abort an abortable task. Raises Forbidden if it has finished or is not abortable, NoResultBackend,
    InvalidRequest."""
    record = await run_in_thread(lambda: ctx.store.task(uuid))
    error = find_abort_error(ctx.app, record)
    if error:
        raise Forbidden(error)
    result = await cluster.tasks.task_abort(uuid, app=ctx.app)
    if result.get("state") != ABORTED:
        raise Forbidden(f"Task '{uuid}' has already finished ({result.get('state')})")
    return WorkerReplies(task=uuid, message=f"Aborted '{uuid}'")


async def revoke_at_workers(ctx: ActionContext, uuids: Sequence[str], signal: str | None = None) -> dict[str, str]:
    """Revoke tasks with one message to all workers; returns the reply of each worker. Raises DeadlineExceeded if none
    replies: workers hold revoked ids in memory, so the revocation is lost then."""
    arguments = {"task_id": list(uuids), "terminate": signal is not None, "signal": signal or "SIGTERM"}
    raw_replies = await cluster.remote_control.call_workers(ctx.app, "revoke", arguments)
    if not raw_replies:
        hint = (
            "workers hold revoked ids in memory: a worker that starts later will run the task; "
            "check that workers are online"
        )
        timeout = cluster.remote_control.REPLY_TIMEOUT
        raise DeadlineExceeded(f"No worker replied within {timeout:g} s", hint=hint)
    replies = {worker: _format_reply(reply) for worker, reply in raw_replies.items()}
    refused = {worker for worker, reply in raw_replies.items() if isinstance(reply, dict) and "error" in reply}
    if refused == replies.keys():
        raise Forbidden("; ".join(dict.fromkeys(replies.values())))
    return replies


def parse_signal(signal: str) -> str:
    """The full name of a signal: `usr1` is `SIGUSR1`, `9` is `SIGKILL`. Raises InvalidRequest."""
    name = str(signal).upper()
    if name.isdecimal() and int(name) in set(signals.Signals):
        name = signals.Signals(int(name)).name
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in cluster.tasks.SIGNALS:
        raise InvalidRequest(f"Unknown signal '{signal}'", hint=f"one of {', '.join(sorted(cluster.tasks.SIGNALS))}")
    return name


def describe_final_state(record: Task | None) -> str | None:
    """The message about a task that has finished; None if it has not, or if it is not recorded."""
    if record is None or record.state not in FINAL_STATES:
        return None
    return f"Task '{record.uuid}' has already finished ({record.state})"


def find_abort_error(app: "Celery", record: Task | None) -> str | None:
    """Why a task cannot be aborted; None if it can, or if it is not recorded."""
    if finished := describe_final_state(record):
        return finished
    if record is not None and cluster.task_registry.is_abortable(app, record.name) is False:
        return f"{record.name} is not an AbortableTask and does not check for abort requests; terminate it instead"
    return None


async def _require_unfinished(ctx: ActionContext, uuid: str) -> None:
    if not uuid:
        raise InvalidRequest("The task id must not be empty")
    record = await run_in_thread(lambda: ctx.store.task(uuid))
    if finished := describe_final_state(record):
        raise Forbidden(finished)


def _format_reply(reply: object) -> str:
    if isinstance(reply, dict):
        return str(reply.get("ok", reply.get("error", reply)))
    # without terminate, a worker replies with the list of revoked ids
    return "revoked" if isinstance(reply, list) else str(reply)
