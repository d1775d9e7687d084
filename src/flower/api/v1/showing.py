"""What a live stream tells, in the form that all answers have here."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from flower.api.answers import encode
from flower.api.asking import where_of
from flower.api.formatting import as_shown
from flower.api.reading import read
from flower.api.v1 import asked as ask
from flower.api.v1 import handlers
from flower.api.v1.answers import StatusAnswer, WorkerList, worker_row
from flower.api.v1.rows import TaskRow, rows
from flower.api.v1.streamed import Streamed
from flower.live import Interest, Said
from flower.live.telling import Ask, Teller
from flower.live.wire import MEDIA_TYPE, event, retry
from flower.records import Task
from flower.search.match import predicate
from flower.search.tree import Node
from flower.store.port import Reader

T = TypeVar("T")


class Hello(msgspec.Struct, frozen=True):
    """The first event. `sequence` is the number of the change sequence after which the stream goes on."""

    sequence: int
    at: float


class TouchedTasks(msgspec.Struct, frozen=True):
    """At most four a second. `tasks` have changed and match the query now, those with the newest events first, at most
    200; `more` such are not shown. `gone` have changed and do not match now, or are not there any more. `touched`
    counts all that have changed, and `unread` those of them of which nothing more is known: they were too many."""

    sequence: int
    tasks: tuple[TaskRow, ...]
    gone: tuple[str, ...]
    more: int
    touched: int
    unread: int


class Reset(msgspec.Struct, frozen=True):
    """What has changed is not known: read everything again. The stream goes on after `sequence`."""

    sequence: int
    why: str


class Bye(msgspec.Struct, frozen=True):
    """The last event."""

    why: str


#: `workers` tells those that changed, and all of them first; `status` comes every two seconds.
EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "hello": Hello,
    "tasks": TouchedTasks,
    "workers": WorkerList,
    "status": StatusAnswer,
    "reset": Reset,
    "bye": Bye,
}


@dataclass(frozen=True, slots=True)
class Showing:
    """`flower.live.Source` on a store: `records` as they were captured, `store` as they are shown."""

    records: Reader
    store: Reader

    async def read(self, look: Callable[[], T]) -> T:
        return await read(look)

    def where(self, interest: Interest, now: float) -> Node:
        return where_of(
            interest.query, start=interest.start, end=interest.end, time=interest.time, tz=interest.tz, now=now
        )

    def rows(self, tasks: Sequence[Task], interest: Interest) -> Sequence[bytes]:
        shown = tasks if self.records is self.store else as_shown(self.store, tasks)
        return [encode(row) for row in rows(self.store, shown, interest.columns, interest.text_limit)]

    def workers(self, now: float) -> Mapping[str, bytes]:
        return {name: encode(worker_row(worker, now)) for name, worker in self.store.workers().items()}

    def status(self) -> Said:
        said = handlers.status(self.store, ask.Nothing())
        recorder = said.recorder
        urgent = (said.recording, recorder.running, recorder.connected, recorder.trouble, said.store.damaged)
        return Said((*urgent, len(said.gaps)), encode(said))

    def encode(self, value: Any) -> bytes:
        return encode(value)


def interest_of(asked: ask.Followed) -> Interest | None:
    if "tasks" not in asked.topics:
        return None
    return Interest(asked.query, asked.start, asked.end, asked.time, asked.tz, asked.columns, asked.text_limit)


def check(source: Showing, asked: ask.Followed) -> None:
    """Before the stream begins, when there is still a place for an error. Raises SearchError and Invalid."""
    interest = interest_of(asked) or Interest(asked.query, asked.start, asked.end, asked.time, asked.tz)
    predicate(source.where(interest, time.time()))
    rows(source.store, (), asked.columns)


def hello(position: int, at: float) -> bytes:
    return retry() + event("hello", encode(Hello(position, at)), position)


def bye(why: str) -> bytes:
    return event("bye", encode(Bye(why)))


def sample(store: Reader, asked: ask.Followed) -> Streamed:
    """How a stream begins, for the document."""
    return Streamed(MEDIA_TYPE, _beginning(store, asked))


def _beginning(store: Reader, asked: ask.Followed) -> Iterator[bytes]:
    at = dict(store.recorder_status()).get("at", 0.0)
    position, interest = asked.after or 0, interest_of(asked)
    yield hello(position, at)
    if interest is not None:
        asking = Ask(position, interest)
        _, told = Teller().tell(Showing(store, store), [asking], at)
        yield told[asking].message
