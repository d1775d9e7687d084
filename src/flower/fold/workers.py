"""Fold events and answers of workers: (Worker | None, Event | WorkerAnswer) → Worker.

Times of signs of life are those of the recorder's clock. `earliest` is when the event can have been sent at the
earliest (`recorder_status.FreshnessMeter`): while recording, that is a moment ago, whatever the clock of the worker
reports; after an interruption the broker delivers older events first, and their own time is used.
"""

from typing import Any, Final

from msgspec.structs import replace

from flower.records import Event, Worker, WorkerAnswer

_WORKER_FIELDS: Final = ("pid", "freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys", "clock")
#: Seconds between heartbeats if the worker has not reported its interval: Celery's default.
_DEFAULT_INTERVAL: Final = 2.0
#: The interval in a heartbeat that Celery sends as the reply to a request, by workers without heartbeats too.
_REQUESTED_HEARTBEAT_INTERVAL: Final = 5.0
#: A worker without a heartbeat for this number of intervals, with other signs of life, does not send heartbeats.
_MISSED_HEARTBEATS: Final = 3.0
#: Two processes that send events alternately within this number of seconds share one worker name.
_DUPLICATE_WINDOW: Final = 30.0
#: Other processes that are remembered for each worker.
_MAX_PROCESSES: Final = 3
#: An event of another process of the worker that is older by this number of seconds is of an earlier process.
_MAX_CLOCK_DIFFERENCE: Final = 60.0
#: Task events that the worker process sends itself; its pool sends the others.
_MAIN_PROCESS_EVENTS: Final = frozenset({"task-received", "task-started"})


def fold_worker(worker: Worker | None, event: Event, received: float, earliest: float | None = None) -> Worker:
    """The worker after one of its `worker-*` events, received at `received`."""
    if worker is None:
        worker = Worker(event.hostname or "")
    elif _is_late(worker, event):
        return _see(worker, received, earliest, event, is_heartbeat=True) if worker.online else worker
    if event.type == "worker-offline":
        if worker.online and worker.pid is not None and event.pid not in (None, worker.pid):
            return worker  # another worker with this name shut down
        changes = _event_fields(event)
        seen = _sign_time(worker, event, received, earliest)
        return replace(
            worker, online=False, timestamp=event.timestamp, started_at=None, seen_at=_max(worker.seen_at, seen),
            sends_heartbeats=True, **changes,
        )  # fmt: skip
    changes = {**_track_process(worker, event.pid, received), **_event_fields(event)}
    if not is_requested_heartbeat(event):
        changes["sends_heartbeats"] = True
    elif worker.sends_heartbeats:
        del changes["freq"]
    if event.type == "worker-online":
        changes["since"] = event.timestamp
    worker = replace(worker, online=True, timestamp=event.timestamp, **changes)
    return _see(worker, received, earliest, event, is_heartbeat=True)


def fold_worker_sign(
    worker: Worker | None, event: Event, received: float, earliest: float | None = None
) -> Worker | None:
    """The worker after one of the task events that it sent. None if the event does not prove that it exists."""
    is_main_process = event.type in _MAIN_PROCESS_EVENTS
    if worker is None:
        if not is_main_process or not event.hostname:
            return None
        worker = Worker(event.hostname, pid=event.pid)
    elif is_main_process and event.pid is not None and event.pid != worker.pid:
        if event.timestamp < (worker.timestamp or 0.0):
            return worker  # of an earlier process
        # The next heartbeat determines which process it is, if the worker sends any.
        if not worker.sends_heartbeats or not worker.online:
            worker = replace(worker, pid=event.pid, online=True, sends_heartbeats=None, pool=None, known_since=received)
    if not worker.online:
        return worker  # a task that ended after the worker had reported that it shuts down
    return _see(worker, received, earliest, event)


def fold_worker_answer(worker: Worker | None, answer: WorkerAnswer) -> Worker:
    """The worker after its answer to an inspection."""
    at = answer.answered_at
    if worker is None:
        worker = Worker(answer.hostname, pid=answer.pid)
    changes = _track_process(worker, answer.pid, at)
    if answer.pid is not None:
        changes["pid"] = answer.pid
    if answer.pool is not None:
        changes["pool"] = answer.pool
    if worker.freq is None and answer.freq is not None:
        changes["freq"] = answer.freq
    if not worker.online and (worker.seen_at is None or at > worker.seen_at + _DEFAULT_INTERVAL):
        changes["online"] = True
    if worker.known_since is None:
        changes["known_since"] = at
    # A solo worker answers after a long task, before its next heartbeat; it is not busy twice in a row.
    elif _misses_heartbeats(worker, at) and (
        worker.sends_heartbeats is None
        or (worker.answered_at is not None and _misses_heartbeats(worker, worker.answered_at))
    ):
        changes["sends_heartbeats"] = False
    return replace(worker, answered_at=_max(worker.answered_at, at), **changes)


def is_requested_heartbeat(event: Event) -> bool:
    """Whether the event is a reply to Bellflower's request: every worker sends it, also one without heartbeats."""
    return (
        event.type == "worker-heartbeat"
        and event.active is None
        and event.processed is None
        and event.freq == _REQUESTED_HEARTBEAT_INTERVAL
    )


def _see(
    worker: Worker, received: float, earliest: float | None, event: Event, *, is_heartbeat: bool = False
) -> Worker:
    """Record an event as a sign of life."""
    at = _sign_time(worker, event, received, earliest)
    changes: dict[str, Any] = {"seen_at": _max(worker.seen_at, at)}
    if worker.known_since is None:
        changes["known_since"] = at
    if is_heartbeat:
        changes["heartbeat"] = _max(worker.heartbeat, at)
    elif worker.sends_heartbeats is None and _misses_heartbeats(worker, at):
        changes["sends_heartbeats"] = False
    changes["started_at"] = at if event.type == "task-started" else None
    return replace(worker, **changes)


def _sign_time(worker: Worker, event: Event, received: float, earliest: float | None) -> float:
    """When the event was sent, by the recorder's clock."""
    sent = event.timestamp - (worker.clock_offset or 0.0)
    return received if earliest is None else min(received, max(earliest, sent))


def _is_late(worker: Worker, event: Event) -> bool:
    """Whether the event was sent before the newest one of the worker. The clock of a worker can be set back, and two
    workers with one name have two clocks."""
    if worker.timestamp is None or event.timestamp >= worker.timestamp or event.type == "worker-online":
        return False
    if event.pid is not None and worker.pid is not None and event.pid != worker.pid:
        return event.timestamp < worker.timestamp - _MAX_CLOCK_DIFFERENCE
    # Celery's logical clock only increases.
    return event.clock is None or worker.clock is None or event.clock <= worker.clock


def _track_process(worker: Worker, pid: int | None, at: float) -> dict[str, Any]:
    """The changes if the event is of another process than the one before."""
    if pid is None or worker.pid is None or pid == worker.pid:
        return {}
    seen_at = dict(worker.pids).get(pid)
    others = ((worker.pid, _last_sign(worker) or at), *(each for each in worker.pids if each[0] != pid))
    changes: dict[str, Any] = {"pids": others[:_MAX_PROCESSES]}
    if seen_at is None:
        # a restart, as far as known
        return {**changes, "pool": None, "sends_heartbeats": None, "known_since": at}
    if at - seen_at <= _DUPLICATE_WINDOW:
        changes["duplicate_at"] = at
    return changes


def _misses_heartbeats(worker: Worker, at: float) -> bool:
    """Whether the worker, alive at `at`, should have sent a heartbeat before."""
    expected_since = _max(worker.heartbeat, worker.known_since)
    return expected_since is not None and at - expected_since > _MISSED_HEARTBEATS * _interval(worker)


def _event_fields(event: Event) -> dict[str, Any]:
    return {field: value for field in _WORKER_FIELDS if (value := getattr(event, field)) is not None}


def _interval(worker: Worker) -> float:
    return worker.freq or _DEFAULT_INTERVAL if worker.sends_heartbeats else _DEFAULT_INTERVAL


def _last_sign(worker: Worker) -> float | None:
    return _max(_max(worker.heartbeat, worker.seen_at), worker.answered_at)


def _max(one: float | None, other: float | None) -> float | None:
    return max((at for at in (one, other) if at is not None), default=None)
