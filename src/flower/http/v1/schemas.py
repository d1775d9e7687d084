"""Response schemas that several routes share."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.http.v1.task_rows import TaskRow
from flower.recorder_status import RecorderState
from flower.records import Gap, Worker


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


class WorkerRow(msgspec.Struct, frozen=True):
    """`online`: the worker has not reported that it shuts down. `alive`: it is online, and its last heartbeat is not
    older than two heartbeat intervals (`freq`). `last_heartbeat_at` is when the recorder received the heartbeat,
    `last_event_at` the time of the last event by the worker's clock. `active` and `processed` are the worker's own task
    counts."""

    name: str
    alive: bool
    online: bool
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


class WorkerList(msgspec.Struct, frozen=True):
    workers: tuple[WorkerRow, ...]


class StoreState(msgspec.Struct, frozen=True):
    """`sequence` is the number of the last write. `damaged` are the names of the unreadable parts."""

    sequence: int
    task_count: int
    size_bytes: int
    segment_count: int
    damaged: tuple[str, ...]


class RecorderRow(msgspec.Struct, frozen=True, kw_only=True):
    """The last status report of the recorder, at `reported_at`. `state` is `unknown` without a report, `stopped`,
    `blocked` by an `error` of the store, `disconnected` from the broker, or `recording`."""

    state: RecorderState
    reported_at: float | None
    running: bool | None
    connected: Annotated[bool | None, Meta(description="Whether it is connected to the broker.")]
    events: Annotated[int | None, Meta(description="Number of recorded events since its start.")]
    last_event_at: float | None
    error: Annotated[str | None, Meta(description="Why the store cannot be written to.")]
    connection_error: Annotated[str | None, Meta(description="Why the broker is unreachable.")]
    lag: Annotated[float | None, Meta(description="Seconds that the events of the last write waited in the recorder.")]


class GapRow(msgspec.Struct, frozen=True):
    """An interval in which events may have been missed; `ended_at` is null while it lasts."""

    started_at: float
    ended_at: float | None
    reason: str


class StatusResponse(msgspec.Struct, frozen=True):
    """`recording`: the recorder reported recently, is connected to the broker and can write. `gaps` are the intervals
    in which events may have been missed."""

    recording: bool
    store: StoreState
    recorder: RecorderRow
    gaps: tuple[GapRow, ...]


def worker_row(worker: Worker, now: float) -> WorkerRow:
    return WorkerRow(
        name=worker.hostname,
        alive=worker.is_alive(now),
        online=worker.online,
        last_heartbeat_at=worker.heartbeat,
        last_event_at=worker.timestamp,
        freq=worker.freq,
        pid=worker.pid,
        active=worker.active,
        processed=worker.processed,
        loadavg=worker.loadavg,
        sw_ident=worker.sw_ident,
        sw_ver=worker.sw_ver,
        sw_sys=worker.sw_sys,
    )


def worker_list(workers: Mapping[str, Worker], now: float) -> WorkerList:
    return WorkerList(tuple(worker_row(worker, now) for worker in workers.values()))


def gap_row(gap: Gap) -> GapRow:
    return GapRow(gap.start, gap.end, gap.reason)
