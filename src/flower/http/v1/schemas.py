"""Response schemas that several routes share."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.gaps import GapRow
from flower.http.v1.task_rows import TaskRow
from flower.recorder_status import RecorderState, RecorderStatus
from flower.records import Worker
from flower.running_tasks import count_running_tasks
from flower.store.protocols import Reader
from flower.worker_state import WorkerState, WorkerStateName, duplicate_pids, judge_workers, last_sign


class Error(msgspec.Struct, frozen=True):
    """`code` is stable, `message` states what failed, and `hint` what to do about it ("" if nothing). `position` is the
    index of the invalid character in the trimmed query."""

    code: str
    message: str
    hint: str = ""
    position: int | UnsetType = UNSET


class ErrorResponse(msgspec.Struct, frozen=True):
    error: Error


class TaskList(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is the `cursor` of the next page, `next_url` its relative URL; both are null on the last
    page. A page by `offset` has no `next_cursor`."""

    tasks: tuple[TaskRow, ...]
    next_url: str | None = None
    next_cursor: str | None = None
    partial: str | None = None


class TopTasks(msgspec.Struct, frozen=True):
    tasks: tuple[TaskRow, ...]
    partial: str | None = None


class WorkerRow(msgspec.Struct, frozen=True):
    """`state` is `online`, `busy` (it runs a task, and its pool cannot send events meanwhile), `no_heartbeats` (it runs
    with `--without-heartbeat` and sends other events or answers), `silent`, `offline` (shut down) or `unknown`; `alive`
    is null if it is unknown. `state_since` is null for a state without a start. `online`: the worker has not reported
    that it shuts down. `last_seen_at` is when the recorder received the last event or answer, `last_heartbeat_at` the
    last heartbeat; `last_event_at` is the time of the last worker event by the worker's clock. `clock_offset`: seconds
    by which that clock is ahead of the recorder's. `active` is the number of running tasks (`is:running`);
    `processed` is the worker's own count since it started. `duplicate_pids`: processes that send events under this name
    alternately, empty if there is one."""

    name: str
    state: WorkerStateName
    state_reason: str
    state_since: float | None
    alive: bool | None
    online: bool
    last_seen_at: float | None
    last_heartbeat_at: float | None
    last_event_at: float | None
    freq: float | None
    pid: int | None
    active: int | None
    processed: int | None
    loadavg: tuple[float, ...] | None
    sw_ident: str | None
    sw_ver: str | None
    sw_sys: str | None
    pool: str | None
    sends_heartbeats: bool | None
    clock_offset: float | None
    duplicate_pids: tuple[int, ...]


class WorkerList(msgspec.Struct, frozen=True):
    workers: tuple[WorkerRow, ...]


class MigrationState(msgspec.Struct, frozen=True):
    """Of the `total` files of an earlier version, `done` are up to date. Results are complete meanwhile; searches are
    slower. `error` is why a file cannot be converted; "" without a failure. `interrupted`: no recorder is running."""

    done: int
    total: int
    started_at: float
    error: str
    interrupted: bool


class StoreState(msgspec.Struct, frozen=True):
    """`sequence` is the number of the last write. `damaged` are the names of the unreadable parts. `migration` is null
    if all files are up to date."""

    sequence: int
    task_count: int
    size_bytes: int
    segment_count: int
    damaged: tuple[str, ...]
    migration: MigrationState | None


class ReconcileRow(msgspec.Struct, frozen=True, kw_only=True):
    """What reconciliation costs and found since the recorder started."""

    last_pass_at: float | None
    passes: int | None
    worker_requests: Annotated[int | None, Meta(description="Number of messages broadcast to workers.")]
    worker_replies: int | None
    broker_requests: int | None
    backend_requests: Annotated[int | None, Meta(description="Number of requests to the result backend.")]
    seconds: Annotated[float | None, Meta(description="Seconds that it has taken.")]
    checked: Annotated[int | None, Meta(description="Number of tasks that were checked.")]
    corrected: Annotated[int | None, Meta(description="Number of tasks of which the state was corrected.")]
    lost: Annotated[int | None, Meta(description="Number of tasks that were marked as lost.")]
    found: Annotated[int | None, Meta(description="Number of tasks that were found without a record.")]
    error: Annotated[str | None, Meta(description="Why the last pass failed, or the result backend is unreachable.")]
    backend_error: Annotated[str | None, Meta(description="Why the result backend cannot be read.")]
    backend_failed_at: Annotated[float | None, Meta(description="Since when it cannot be read.")]


class UnreadableRow(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that could not be read since the recorder started: their number, also by reason and by content type or
    compression, and the beginning of the first one, with secrets masked."""

    count: int
    last_at: float | None
    reasons: dict[str, int]
    encodings: dict[str, int]
    sample: str


class RecorderRow(msgspec.Struct, frozen=True, kw_only=True):
    """The last status report of the recorder, at `reported_at`. `state` is `unknown` without a report, `stopped`,
    `blocked` by an `error` of the store, `disconnected` from the broker, or `recording`. `current_at` is the time up to
    which the records are complete; `interruption` is why they are not complete now, "" if they are."""

    state: RecorderState
    reported_at: float | None
    running: bool | None
    connected: Annotated[bool | None, Meta(description="Whether it is connected to the broker.")]
    events: Annotated[int | None, Meta(description="Number of recorded events since its start.")]
    last_event_at: float | None
    error: Annotated[str | None, Meta(description="Why the store cannot be written to.")]
    connection_error: Annotated[str | None, Meta(description="Why the broker is unreachable.")]
    lag: Annotated[float | None, Meta(description="Seconds that the events of the last write waited in the recorder.")]
    reconcile: Annotated[ReconcileRow | None, Meta(description="Null if reconciliation is disabled.")]
    unreadable: Annotated[UnreadableRow | None, Meta(description="Null if every message could be read.")]
    blocked_since: Annotated[
        float | None, Meta(description="Since when RabbitMQ blocks publishers; null if it does not.")
    ]
    current_at: float | None
    interruption: str


class StatusResponse(msgspec.Struct, frozen=True):
    """`recording`: the recorder reported recently, is connected to the broker and can write. `gaps` are the intervals
    in which events may have been missed, oldest first, without those that a user has dismissed."""

    recording: bool
    store: StoreState
    recorder: RecorderRow
    gaps: tuple[GapRow, ...]


def worker_row(worker: Worker, state: WorkerState, running: Mapping[str, int] | None, now: float) -> WorkerRow:
    """`running`: number of running tasks by worker, None if unknown."""
    return WorkerRow(
        name=worker.hostname,
        state=state.name,
        state_reason=state.reason,
        state_since=state.since,
        alive=None if state.name == "unknown" else state.alive,
        online=worker.online,
        last_seen_at=last_sign(worker),
        last_heartbeat_at=worker.heartbeat,
        last_event_at=worker.timestamp,
        freq=worker.freq,
        pid=worker.pid,
        active=worker.active if running is None else running.get(worker.hostname, 0),
        processed=worker.processed,
        loadavg=worker.loadavg,
        sw_ident=worker.sw_ident,
        sw_ver=worker.sw_ver,
        sw_sys=worker.sw_sys,
        pool=worker.pool,
        sends_heartbeats=worker.sends_heartbeats,
        clock_offset=worker.clock_offset,
        duplicate_pids=duplicate_pids(worker, now),
    )


def read_worker_rows(store: Reader, now: float) -> list[WorkerRow]:
    """One row for each worker. Raises StoreError."""
    workers, running = store.workers(), count_running_tasks(store)
    states = judge_workers(workers, RecorderStatus.from_dict(store.recorder_status()), now)
    return [worker_row(worker, states[name], running, now) for name, worker in workers.items()]
