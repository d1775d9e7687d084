"""All metrics as one text. Only what has changed since the last time is read and written anew."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from flower.config import DEFAULTS
from flower.errors import FlowerError
from flower.metrics import queues, recording, workers
from flower.metrics.pairs import Pairs
from flower.metrics.text import CONTENT_TYPE
from flower.metrics.types import Types
from flower.store.ledger.samples import QueueSample
from flower.store.port import Reader, StoreStatus
from flower.tallies import InFlight, Key, Living, Tally

__all__ = ["CONTENT_TYPE", "Metrics", "Settings"]

#: Seconds after an answer for which somebody is taken to ask again.
WANTED_FOR: Final = 150.0

#: Seconds for which what `keep_up` has read is told.
FRESH: Final = 1.5

#: Seconds for which the size of the store is not asked again: it is added up file by file.
SIZE_FOR: Final = 5.0


class NewestSamples(Protocol):
    def newest(self, after: float = 0.0) -> Sequence[QueueSample]: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """`bounds` of the histograms, seconds. `names`: so many workers and queues are told apart. Limits of 0 are none."""

    bounds: tuple[float, ...] = DEFAULTS.task_runtime_metric_buckets
    names: int = 1_000
    purge_offline_workers: float | None = None
    max_bytes: int = 0
    max_tasks: int = 0


class Metrics:
    """May be asked from any thread; those who ask at once wait for each other."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._pairs = Pairs(self._settings.bounds)
        self._types = Types(self._settings.bounds)
        self._lock = threading.Lock()
        self._sequence = 0
        self._asked = self._kept_up = -inf
        #: what was counted, and for whom it is left out; None: it has changed since
        self._counted: tuple[frozenset[str], bytes] | None = None
        self._flight: tuple[int, Living, Sequence[InFlight]] = (-1, {}, ())
        self._told = b""
        self._size: tuple[float, StoreStatus] | None = None
        self._process = CollectorRegistry()
        PlatformCollector(self._process)
        ProcessCollector(registry=self._process)
        GCCollector(self._process)

    def text(self, store: Reader, samples: NewestSamples, now: float) -> bytes:
        """Raises StoreError."""
        self._asked = time.monotonic()
        if self._asked - self._kept_up > FRESH:
            self._tell(store, now)
        most, known = self._settings.names, store.workers()
        hidden = workers.purged(known, (), self._settings.purge_offline_workers, now)
        told = {name: worker for name, worker in known.items() if name not in hidden}
        parts = [
            generate_latest(self._process),
            self._told,
            *workers.gauges(told, most, now),
            *queues.gauges(samples.newest(now - queues.STALE), most),
            *recording.recorder(store.recorder_status(), now),
            *recording.gaps(store.gaps(), now),
            *recording.store(self._status(store), self._settings.max_bytes, self._settings.max_tasks),
        ]
        return b"".join(parts)

    @property
    def wanted(self) -> bool:
        """Whether somebody asks now and then."""
        return time.monotonic() - self._asked < WANTED_FOR

    def keep_up(self, store: Reader, now: float) -> None:
        """Read what was counted since: on a busy cluster the next answer would otherwise have to make up for all the
        time since the last one. Raises StoreError."""
        self._tell(store, now)
        self._kept_up = time.monotonic()

    def _tell(self, store: Reader, now: float) -> None:
        """Write what was counted, and what is in flight."""
        with self._lock:
            self._follow(store)
            known = store.workers()
            hidden = workers.purged(known, self._senders(), self._settings.purge_offline_workers, now)
            living = workers.living({name: each for name, each in known.items() if name not in hidden}, now)
            before = self._counted, self._flight
            if self._counted is None or self._counted[0] != hidden:
                self._counted = hidden, b"".join([*self._pairs.counted(hidden), *self._types.lines()])
            self._look_at_flight(store, living)
            if before != (self._counted, self._flight):
                self._told = b"".join([self._counted[1], *self._pairs.gauges(self._in_flight())])

    def _follow(self, store: Reader) -> None:
        found = store.tallies(self._sequence)
        if found.whole:
            self._pairs.clear()
            self._types.clear()
        for tally in found.changed:
            self._put(tally)
        if found.changed or found.whole:
            self._counted = None
        self._sequence = found.sequence

    def _put(self, tally: Tally) -> None:
        cumulative = None if tally.runtime is None else tally.runtime.cumulative(self._pairs.buckets.bounds)
        self._types.put(tally, cumulative)
        if tally.worker is not None:
            self._pairs.put(tally, cumulative)

    def _senders(self) -> set[str]:
        return set() if self._settings.purge_offline_workers is None else self._pairs.workers()

    def _look_at_flight(self, store: Reader, living: Living) -> None:
        if self._flight[:2] != (self._sequence, living):
            with suppress(FlowerError):  # it took too long: as it was
                self._flight = self._sequence, living, store.in_flight(living)

    def _in_flight(self) -> dict[Key, InFlight]:
        """By the pairs that stand for them."""
        together: dict[Key, InFlight] = {}
        for each in self._flight[2]:
            key = self._pairs.standing_for(each.worker, each.task)
            before = together.get(key)
            together[key] = each if before is None else _joined(before, each)
        return together

    def _status(self, store: Reader) -> StoreStatus:
        begun = time.monotonic()
        if self._size is None or begun - self._size[0] > SIZE_FOR:
            self._size = begun, store.status()
        return self._size[1]


def _joined(one: InFlight, other: InFlight) -> InFlight:
    waited = [each for each in (one.waited, other.waited) if each is not None]
    return InFlight(one.worker, one.task, one.waiting + other.waiting, max(waited, default=None))
