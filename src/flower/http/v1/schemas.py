"""What goes back where the structs of the store and of `questions` do not say it already."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.failures import FailureRow
from flower.http.v1.task_rows import TaskRow
from flower.records import Gap, Worker
from flower.store.query_results import BucketSpan, WorkerSnapshot


class Error(msgspec.Struct, frozen=True):
    """`code` is a stable word for programs, `message` and `hint` are for people. `position` is where in the trimmed
    query the error lies, in characters from 0."""

    code: str
    message: str
    hint: str = ""
    position: int | UnsetType = UNSET


class ErrorResponse(msgspec.Struct, frozen=True):
    error: Error


class TaskList(msgspec.Struct, frozen=True):
    """`next` is the address of the next page, null on the last one; `cursor` is the same for those who build addresses
    themselves."""

    tasks: tuple[TaskRow, ...]
    next_url: str | None = None
    next_cursor: str | None = None
    partial: str | None = None


class TopTasks(msgspec.Struct, frozen=True):
    tasks: tuple[TaskRow, ...]


class FailureTasks(msgspec.Struct, frozen=True):
    """A group of alike failures; `span` tells the stretches of time of its `trend`."""

    failure: FailureRow
    span: BucketSpan
    tasks: Annotated[tuple[TaskRow, ...], Meta(description="The latest ones.")]


class WorkflowRow(msgspec.Struct, frozen=True):
    """A task that others name as their root: its id, name and state. Of all the `tasks` of the workflow, it among them,
    `ended` have ended, `failed` of these in FAILURE, and `running` are being worked on. From `started`, when the first
    was sent, to `last`, the newest event of any, it is `seconds`. `root` has the columns that were asked for."""

    uuid: str
    name: str | None
    state: str
    task_count: int
    finished_count: int
    failed_count: int
    running_count: int
    started_at: float | None
    last_event_at: float | None
    duration: float | None
    root: TaskRow | UnsetType = UNSET


class WorkflowList(msgspec.Struct, frozen=True):
    """Newest root first. `cursor` gives the next page, null on the last one."""

    workflows: tuple[WorkflowRow, ...]
    next_cursor: str | None = None
    partial: str | None = None


class WorkerRow(msgspec.Struct, frozen=True):
    """`alive`: it said that it is online, and was heard in the last two heartbeats. Times are epoch seconds,
    `heartbeat` by our clock; `active` and `processed` are the worker's own count of tasks."""

    hostname: str
    alive: bool
    online: bool
    heartbeat: float | None
    timestamp: float | None
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


class WorkerDetail(msgspec.Struct, frozen=True):
    """`states`: how many of its tasks are in each state."""

    worker: WorkerRow
    task_count: int
    states: dict[str, int]
    partial: str | None = None


class WorkerHistory(msgspec.Struct, frozen=True):
    """Newest first."""

    events: tuple[WorkerSnapshot, ...]


class TaskType(msgspec.Struct, frozen=True):
    name: str
    count: int


class TaskTypeList(msgspec.Struct, frozen=True):
    """The most frequent first; `more` names were left out."""

    task_types: tuple[TaskType, ...]
    more: int = 0
    partial: str | None = None


class SearchField(msgspec.Struct, frozen=True):
    """A field of the search language. `kind` says how it is compared, `cost` what it is answered from (see the
    documentation of the search)."""

    name: str
    type: str
    cost: str
    description: str
    example: str


class QueryWarningRow(msgspec.Struct, frozen=True):
    """A part of a query that is allowed and probably not what was meant; `position` as in errors."""

    message: str
    position: int


class ParsedQuery(msgspec.Struct, frozen=True):
    """How a query was understood: `canonical` is the plainest query that means the same, its times in the server's
    zone."""

    query: str
    canonical: str
    warnings: tuple[QueryWarningRow, ...]
    fields: tuple[SearchField, ...]


class StoreState(msgspec.Struct, frozen=True):
    """`sequence` counts the writes; `damaged` names the parts that could not be read."""

    sequence: int
    task_count: int
    size_bytes: int
    segment_count: int
    damaged: tuple[str, ...]


class RecorderState(msgspec.Struct, frozen=True):
    """What the recorder last said of itself, at `at`; null what it did not say. `connected`: to the broker."""

    reported_at: float | None = None
    running: bool | None = None
    connected: bool | None = None
    events: int | None = None
    last_event_at: float | None = None
    error: str | None = None
    connection_error: Annotated[str | None, Meta(description="Why the broker cannot be reached, as long as so.")] = None
    lag: Annotated[float | None, Meta(description="Seconds that the oldest event of the last write waited.")] = None


class StatusResponse(msgspec.Struct, frozen=True):
    """`recording`: the recorder was heard in the last seconds, is connected and writes. `gaps` are the stretches of
    time in which events may be missing."""

    recording: bool
    store: StoreState
    recorder: RecorderState
    gaps: tuple[Gap, ...]


def worker_row(worker: Worker, now: float) -> WorkerRow:
    values = {name: getattr(worker, name) for name in WorkerRow.__struct_fields__ if name != "alive"}
    return WorkerRow(alive=worker.is_alive(now), **values)
