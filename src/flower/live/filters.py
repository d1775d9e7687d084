"""Which tasks a subscriber wants to hear of, and whether a task is one of them now.

What the rooms above lend to a stream: the records, and how they are shown."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from flower.records import Task
from flower.search.matcher import Predicate, compile_predicate, needs_slow_thresholds
from flower.search.tree import Node
from flower.store.protocols import Reader
from flower.store.query_results import TimeKey

#: Seconds that the thresholds of `is:slow` are used before they are computed again.
SLOW_THRESHOLDS_TTL: Final = 30.0

#: A query that means the same so many seconds later (a bit over a day) does not count from now.
_TIME_SHIFT: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """A query, its window, the columns that are told and how many characters of a text. Those who ask for the same
    share the work."""

    query: str = ""
    start: str = ""
    end: str = ""
    time: TimeKey = "received"
    tz: str = ""
    columns: tuple[str, ...] = ()
    text_limit: int = sys.maxsize

    @property
    def row_format(self) -> tuple[object, ...]:
        """Of its rows."""
        return self.columns, self.text_limit


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StatusText:
    """How store and recorder are, as JSON. When `state` differs from before, people want to know at once."""

    urgent_state: tuple[Any, ...]
    json_text: bytes


class StreamBackend(Protocol):
    """All but `read` is called in a thread, by one at a time."""

    @property
    def recorded_reader(self) -> Reader:
        """As they were captured: by these it is found out what matches."""
        ...

    async def run_in_thread(self, look: Callable[[], T]) -> T:
        """Do this in a thread."""
        ...

    def build_filter(self, interest: StreamFilter, now: float) -> Node:
        """Raises SearchError and Invalid."""
        ...

    def encode_rows(self, tasks: Sequence[Task], interest: StreamFilter) -> Sequence[bytes]:
        """Each task as JSON on one line, as every other answer shows it, in the shape that is asked for."""
        ...

    def encode_workers(self, now: float) -> Mapping[str, bytes]:
        """Each worker as JSON, by name."""
        ...

    def encode_status(self) -> StatusText: ...

    def encode_json(self, value: Any) -> bytes:
        """JSON on one line."""
        ...


@dataclass(slots=True)
class _CompiledFilter:
    predicate: Predicate
    #: by the clock of `now`
    expires: float


class FilterCache:
    """The queries as functions of a task. `-1h` and `is:slow` mean something else as time goes by, so those are made
    anew."""

    def __init__(self) -> None:
        self._compiled: dict[StreamFilter, _CompiledFilter] = {}
        self._slow_thresholds: Mapping[str, float] = {}
        self._slow_thresholds_expire = 0.0

    def get_predicate(self, source: StreamBackend, interest: StreamFilter, now: float) -> Predicate:
        """Raises SearchError and Invalid."""
        found = self._compiled.get(interest)
        if found is None or now >= found.expires:
            found = self._compiled[interest] = self._compile(source, interest, now)
        return found.predicate

    def _compile(self, source: StreamBackend, interest: StreamFilter, now: float) -> _CompiledFilter:
        where = source.build_filter(interest, now)
        counts_from_now = where != source.build_filter(interest, now + _TIME_SHIFT)
        if not needs_slow_thresholds(where):
            return _CompiledFilter(compile_predicate(where), now if counts_from_now else float("inf"))
        slow = self._get_slow_thresholds(source, now)
        return _CompiledFilter(compile_predicate(where, slow), now if counts_from_now else self._slow_thresholds_expire)

    def _get_slow_thresholds(self, source: StreamBackend, now: float) -> Mapping[str, float]:
        if now >= self._slow_thresholds_expire:
            self._slow_thresholds = source.recorded_reader.slow_thresholds()
            self._slow_thresholds_expire = now + SLOW_THRESHOLDS_TTL
        return self._slow_thresholds

    def retain(self, interests: Iterable[StreamFilter]) -> None:
        wanted = set(interests)
        for interest in self._compiled.keys() - wanted:
            del self._compiled[interest]
