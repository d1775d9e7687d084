"""What a live stream tells, in the form that all answers have here."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from flower.api.format_task import format_tasks
from flower.api.json_encoder import dump_json
from flower.api.query_params import build_filter
from flower.api.thread_pool import run_in_thread
from flower.http.v1 import handlers
from flower.http.v1 import params as ask
from flower.http.v1.schemas import StatusResponse, WorkerList, worker_row
from flower.http.v1.streaming_body import StreamingBody
from flower.http.v1.task_rows import TaskRow, task_rows
from flower.live import StatusText, StreamFilter
from flower.live.messages import MessageBuilder, StreamRequest
from flower.live.sse import EVENT_STREAM_MEDIA_TYPE, format_event, format_retry
from flower.records import Task
from flower.search.matcher import compile_predicate
from flower.search.tree import Node
from flower.store.protocols import Reader

T = TypeVar("T")


class StreamStart(msgspec.Struct, frozen=True):
    """The first event. `sequence` is the number of the change sequence after which the stream goes on."""

    sequence: int
    opened_at: float


class TaskChanges(msgspec.Struct, frozen=True):
    """At most four a second. `tasks` have changed and match the query now, those with the newest events first, at most
    200; `more` such are not shown. `gone` have changed and do not match now, or are not there any more. `touched`
    counts all that have changed, and `unread` those of them of which nothing more is known: they were too many."""

    sequence: int
    tasks: tuple[TaskRow, ...]
    removed: tuple[str, ...]
    more: int
    changed: int
    omitted: int


class StreamReset(msgspec.Struct, frozen=True):
    """What has changed is not known: read everything again. The stream goes on after `sequence`."""

    sequence: int
    reason: str


class StreamEnd(msgspec.Struct, frozen=True):
    """The last event."""

    reason: str


#: `workers` tells those that changed, and all of them first; `status` comes every two seconds.
STREAM_EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "hello": StreamStart,
    "tasks": TaskChanges,
    "workers": WorkerList,
    "status": StatusResponse,
    "reset": StreamReset,
    "bye": StreamEnd,
}


@dataclass(frozen=True, slots=True)
class StoreStreamBackend:
    """`flower.live.Source` on a store: `records` as they were captured, `store` as they are shown."""

    recorded_reader: Reader
    reader: Reader

    async def run_in_thread(self, look: Callable[[], T]) -> T:
        return await run_in_thread(look)

    def build_filter(self, interest: StreamFilter, now: float) -> Node:
        return build_filter(
            interest.query, start=interest.start, end=interest.end, time=interest.time, tz=interest.tz, now=now
        )

    def encode_rows(self, tasks: Sequence[Task], interest: StreamFilter) -> Sequence[bytes]:
        shown = tasks if self.recorded_reader is self.reader else format_tasks(self.reader, tasks)
        return [dump_json(row) for row in task_rows(self.reader, shown, interest.columns, interest.text_limit)]

    def encode_workers(self, now: float) -> Mapping[str, bytes]:
        return {name: dump_json(worker_row(worker, now)) for name, worker in self.reader.workers().items()}

    def encode_status(self) -> StatusText:
        said = handlers.get_status(self.reader, ask.EmptyParams())
        recorder = said.recorder
        urgent = (said.recording, recorder.running, recorder.connected, recorder.error, said.store.damaged)
        return StatusText((*urgent, len(said.gaps)), dump_json(said))

    def encode_json(self, value: Any) -> bytes:
        return dump_json(value)


def stream_filter(asked: ask.StreamParams) -> StreamFilter | None:
    if "tasks" not in asked.topics:
        return None
    return StreamFilter(asked.query, asked.start, asked.end, asked.time, asked.tz, asked.columns, asked.text_limit)


def validate_stream(source: StoreStreamBackend, asked: ask.StreamParams) -> None:
    """Before the stream begins, when there is still a place for an error. Raises SearchError and Invalid."""
    interest = stream_filter(asked) or StreamFilter(asked.query, asked.start, asked.end, asked.time, asked.tz)
    compile_predicate(source.build_filter(interest, time.time()))
    task_rows(source.reader, (), asked.columns)


def start_event(position: int, at: float) -> bytes:
    return format_retry() + format_event("hello", dump_json(StreamStart(position, at)), position)


def end_event(reason: str) -> bytes:
    return format_event("bye", dump_json(StreamEnd(reason)))


def example_stream(store: Reader, asked: ask.StreamParams) -> StreamingBody:
    """How a stream begins, for the document."""
    return StreamingBody(EVENT_STREAM_MEDIA_TYPE, _example_events(store, asked))


def _example_events(store: Reader, asked: ask.StreamParams) -> Iterator[bytes]:
    at = dict(store.recorder_status()).get("at", 0.0)
    position, interest = asked.after or 0, stream_filter(asked)
    yield start_event(position, at)
    if interest is not None:
        asking = StreamRequest(position, interest)
        _, told = MessageBuilder().build(StoreStreamBackend(store, store), [asking], at)
        yield told[asking].message
