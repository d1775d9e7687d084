"""The state of a worker, with its reason. Health, metrics, `/api/v1`, Flower's routes, pages, live updates and the
command line show what `judge_worker` returns.

Every event and every answer of a worker is a sign of life, by the recorder's clock. A worker is silent only if signs of
life could have been received and there was none. So workers are judged at the time up to which the records are current
(`RecorderStatus.view`), and a worker is not silent before a complete heartbeat window has passed since recording
resumed.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from flower.recorder_status import RecorderStatus
from flower.records import Worker

#: online         it sent an event or an answer within its heartbeat window
#: busy           it started a task, and its pool cannot send anything before the task ends
#: no_heartbeats  it runs with `--without-heartbeat`, and sends events or answers
#: silent         it sent nothing for longer than its heartbeat window, and did not shut down
#: offline        it reported that it shut down
#: unknown        it cannot be known at present
WorkerStateName: TypeAlias = Literal["online", "busy", "no_heartbeats", "silent", "offline", "unknown"]

#: A worker that sends heartbeats is silent after this number of heartbeat intervals without a sign of life.
WINDOW_INTERVALS: Final = 2.0
#: Seconds between heartbeats if the worker has not reported its interval: Celery's default.
DEFAULT_INTERVAL: Final = 2.0
#: Seconds without an event and an answer after which the state of a worker without heartbeats is unknown.
NO_HEARTBEATS_TIMEOUT: Final = 90.0
#: Seconds after which a worker of unknown state no longer counts as alive. It is also the maximum run time of a task
#: for which a busy worker is assumed to be running it.
MAX_SILENCE: Final = 86_400.0
#: Pools that run tasks in the process and the thread that sends events.
BLOCKING_POOLS: Final = frozenset({"solo"})
#: Seconds for which two workers with one name are reported after the last sign of both.
DUPLICATE_TIMEOUT: Final = 60.0


class WorkerState(msgspec.Struct, frozen=True):
    """`since`: epoch seconds by the recorder's clock, None if the state has no start. `alive`: whether the worker
    counts as running; for `unknown` this is the last known value."""

    name: WorkerStateName
    reason: str
    since: float | None
    alive: bool

    def is_stale(self, now: float, after: float) -> bool:
        """Whether the worker has not been alive for at least `after` seconds."""
        return not self.alive and (self.since is None or now - self.since >= after)


_ONLINE: Final = WorkerState("online", "The worker sends events.", None, True)
_NO_HEARTBEATS: Final = WorkerState(
    "no_heartbeats",
    "The worker does not send heartbeats (--without-heartbeat). Other events and answers show that it is alive.",
    None,
    True,
)


def judge_worker(worker: Worker, recorder: RecorderStatus, now: float) -> WorkerState:
    """The state of a worker at `now` (epoch seconds)."""
    view = recorder.view(now)
    state = _judge_at(worker, view.as_of)
    if state.name == "silent" and _is_within_first_window(worker, recorder, view.as_of):
        before = recorder.interrupted_at
        if before is None or _judge_at(worker, before).alive:
            reason = "Recording has just resumed, and the worker has not sent a heartbeat since."
            return WorkerState("unknown", reason, last_sign(worker) if before is None else before, True)
    if view.interruption and state.alive:
        return WorkerState("unknown", view.interruption, view.as_of, True)
    return state


def judge_workers(workers: Mapping[str, Worker], recorder: RecorderStatus, now: float) -> dict[str, WorkerState]:
    """The states by name."""
    return {name: judge_worker(worker, recorder, now) for name, worker in workers.items()}


def last_sign(worker: Worker) -> float | None:
    """When the last event or answer of the worker was received, by the recorder's clock."""
    signs = [at for at in (worker.heartbeat, worker.seen_at, worker.answered_at) if at is not None]
    return max(signs, default=None)


def duplicate_pids(worker: Worker, now: float) -> tuple[int, ...]:
    """The processes that share the name of this worker, ascending; empty if there is one."""
    if worker.duplicate_at is None or now - worker.duplicate_at > DUPLICATE_TIMEOUT:
        return ()
    others = {pid for pid, seen_at in worker.pids if now - seen_at <= DUPLICATE_TIMEOUT}
    return tuple(sorted(others if worker.pid is None else {*others, worker.pid}))


def _judge_at(worker: Worker, at: float) -> WorkerState:
    last = last_sign(worker)
    if not worker.online:
        return WorkerState("offline", "The worker shut down.", worker.timestamp if last is None else last, False)
    if last is None:
        return WorkerState("unknown", "No event and no answer of the worker is recorded.", None, False)
    silence = at - last
    if silence <= _heartbeat_window(worker):
        return _NO_HEARTBEATS if worker.sends_heartbeats is False else _ONLINE
    if worker.pool in BLOCKING_POOLS:
        if worker.started_at is not None and silence <= MAX_SILENCE:
            reason = f"The worker started a task. With the {worker.pool} pool it sends nothing before the task ends."
            return WorkerState("busy", reason, worker.started_at, True)
        # Celery sends the event task-started of such a task after the task, if the transport has an event loop (Redis).
        reason = f"A worker with the {worker.pool} pool sends nothing while it runs a task: it is busy, or has stopped."
        return WorkerState("unknown", reason, last, silence <= MAX_SILENCE)
    sends_heartbeats = _sends_heartbeats(worker)
    if sends_heartbeats is None:
        reason = "The worker has not sent a second heartbeat: it may run with --without-heartbeat, or have stopped."
        return WorkerState("unknown", reason, last, silence <= MAX_SILENCE)
    if not sends_heartbeats:
        if silence <= NO_HEARTBEATS_TIMEOUT:
            return _NO_HEARTBEATS
        reason = "The worker does not send heartbeats, and there was no event and no answer since."
        return WorkerState("unknown", reason, last, silence <= MAX_SILENCE)
    reason = "The worker missed two heartbeats, sent no other event and no answer, and did not shut down."
    return WorkerState("silent", reason, last, False)


def _sends_heartbeats(worker: Worker) -> bool | None:
    """None if it is not known yet. True for a worker that an earlier version recorded: it knew workers from their
    heartbeats only."""
    if worker.sends_heartbeats is None and worker.seen_at is None and worker.answered_at is None:
        return True
    return worker.sends_heartbeats


def _heartbeat_window(worker: Worker) -> float:
    # The interval in a requested heartbeat is not that of the worker.
    interval = DEFAULT_INTERVAL if _sends_heartbeats(worker) is None else worker.freq or DEFAULT_INTERVAL
    return WINDOW_INTERVALS * interval


def _is_within_first_window(worker: Worker, recorder: RecorderStatus, at: float) -> bool:
    """Whether recording resumed after the last sign of the worker, and a heartbeat may still be on its way."""
    resumed_at, last = recorder.resumed_at, last_sign(worker)
    if resumed_at is None or last is None:
        return False
    return last < resumed_at and at - resumed_at <= _heartbeat_window(worker)
