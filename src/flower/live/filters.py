"""The tasks that a subscriber receives: a stream filter and its compiled predicate; and the backend of a stream, which
the HTTP layer implements: data access and serialization."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from flower.records import Task
from flower.search.matcher import Predicate, compile_predicate, needs_slow_thresholds
from flower.search.tree import Node
from flower.store.protocols import Reader
from flower.store.query_results import TimeKey

T = TypeVar("T")

#: Seconds for which the thresholds of `is:slow` are used before they are computed again.
SLOW_THRESHOLDS_TTL: Final = 30.0
#: A query that compiles to the same tree this many seconds later (a bit more than a day) does not depend on the current
#: time.
_TIME_SHIFT: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """A query, its time window, the columns of a row and the maximum length of a text. Subscribers with equal filters
    share one evaluation."""

    query: str = ""
    start: str = ""
    end: str = ""
    time: TimeKey = "time"
    tz: str = ""
    columns: tuple[str, ...] = ()
    text_limit: int = sys.maxsize

    @property
    def row_format(self) -> tuple[object, ...]:
        """Filters with the same row format share rows."""
        return self.columns, self.text_limit


@dataclass(frozen=True, slots=True)
class StatusText:
    """The state of store and recorder as JSON. A change of `urgent_state` is sent immediately."""

    urgent_state: tuple[Any, ...]
    json_text: bytes


class StreamBackend(Protocol):
    """Data access and serialization for a stream. All methods but `run_in_thread` are called in a thread, one call at a
    time."""

    @property
    def recorded_reader(self) -> Reader:
        """Tasks as they were recorded; filters are evaluated on these."""
        ...

    async def run_in_thread(self, function: Callable[[], T]) -> T: ...

    def build_filter(self, stream_filter: StreamFilter, now: float) -> Node:
        """Raises SearchError and InvalidRequest."""
        ...

    def encode_rows(self, tasks: Sequence[Task], stream_filter: StreamFilter) -> Sequence[bytes]:
        """Each task as one line of JSON, in the same form as in all other responses."""
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
    #: epoch seconds
    expires: float


class FilterCache:
    """Compiled predicates by filter. Filters that depend on the current time (`-1h`, `is:slow`) expire and are compiled
    again."""

    def __init__(self) -> None:
        self._compiled: dict[StreamFilter, _CompiledFilter] = {}
        self._slow_thresholds: Mapping[str, float] = {}
        self._slow_thresholds_expire = 0.0

    def get_predicate(self, backend: StreamBackend, stream_filter: StreamFilter, now: float) -> Predicate:
        """Raises SearchError and InvalidRequest."""
        compiled = self._compiled.get(stream_filter)
        if compiled is None or now >= compiled.expires:
            compiled = self._compiled[stream_filter] = self._compile(backend, stream_filter, now)
        return compiled.predicate

    def _compile(self, backend: StreamBackend, stream_filter: StreamFilter, now: float) -> _CompiledFilter:
        where = backend.build_filter(stream_filter, now)
        depends_on_time = where != backend.build_filter(stream_filter, now + _TIME_SHIFT)
        if not needs_slow_thresholds(where):
            return _CompiledFilter(compile_predicate(where), now if depends_on_time else float("inf"))
        thresholds = self._get_slow_thresholds(backend, now)
        expires = now if depends_on_time else self._slow_thresholds_expire
        return _CompiledFilter(compile_predicate(where, thresholds), expires)

    def _get_slow_thresholds(self, backend: StreamBackend, now: float) -> Mapping[str, float]:
        if now >= self._slow_thresholds_expire:
            self._slow_thresholds = backend.recorded_reader.slow_thresholds()
            self._slow_thresholds_expire = now + SLOW_THRESHOLDS_TTL
        return self._slow_thresholds

    def retain(self, stream_filters: Iterable[StreamFilter]) -> None:
        """Remove all other filters."""
        retained = set(stream_filters)
        for stream_filter in self._compiled.keys() - retained:
            del self._compiled[stream_filter]
