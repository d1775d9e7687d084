"""What health is judged by: everything of one moment, read from store and ledger once."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from flower.api.failure_states import FailureRow, FailureStatus, Standings, standings
from flower.api.queue_rates import SILENCE, QueueRates
from flower.records import STARTED, Gap, Worker
from flower.search.tree import Term, all_of, any_of
from flower.store.answers import Span
from flower.store.ledger import Ledger
from flower.store.ledger.samples import QueueSample
from flower.store.port import Query, Reader, Sort, StoreStatus

#: Stretches of time by which failures are compared, and their width in seconds.
BUCKETS: Final = 7
WIDTH: Final = 600.0
#: Groups of failures that are looked at: the largest, and those that are new or have returned.
_GROUPS: Final = 10
#: So many tasks that run are looked at, the oldest ones; what started longer ago than _DAY is taken for a lost event.
MOST_RUNNING: Final = 200
_DAY: Final = 86_400.0
#: Seconds after which a sample of a queue says nothing of now.
_FRESH: Final = 60.0


@dataclass(frozen=True, slots=True)
class QueueSigns:
    newest: QueueSample
    rates: QueueRates
    #: names of the workers that eat from it, as far as inspection knows
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A task that was started at `started`. `slow` is the 95th percentile of its type, None if that is not known."""

    uuid: str
    name: str | None
    worker: str | None
    started: float
    slow: float | None


@dataclass(frozen=True)
class Signs:
    now: float
    #: what the recorder said of itself
    status: Mapping[str, Any] = field(default_factory=dict)
    store: StoreStatus = field(default_factory=lambda: StoreStatus(0, 0, 0, 0))
    gaps: Sequence[Gap] = ()
    workers: Mapping[str, Worker] = field(default_factory=dict)
    queues: Sequence[QueueSigns] = ()
    #: groups with failures within the last BUCKETS * WIDTH seconds; their `trend` has these buckets
    failures: Sequence[FailureRow] = ()
    #: how many groups that failed within that time are new, and how many have returned, those not in `failures` too
    remarkable: Mapping[FailureStatus, int] = field(default_factory=dict)
    running: Sequence[Running] = ()

    @property
    def capture(self) -> Mapping[str, Any]:
        found = self.status.get("capture")
        return found if isinstance(found, Mapping) else {}

    @property
    def heard(self) -> float | None:
        """When the recorder was last heard."""
        return number(self.status.get("at"))

    @property
    def silent(self) -> bool:
        """The recorder was there and is not any more."""
        return self.heard is not None and (not self.status.get("running") or self.now - self.heard > SILENCE)

    @cached_property
    def recording(self) -> bool:
        """What is on record is how things are now."""
        return (
            self.heard is not None
            and not self.silent
            and not self.status.get("trouble")
            and bool(self.capture.get("connected"))
        )

    @cached_property
    def alive(self) -> frozenset[str]:
        return frozenset(name for name, worker in self.workers.items() if worker.is_alive(self.now))


def number(value: Any) -> float | None:
    """What another process wrote, if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def gather(
    store: Reader,
    ledger: Ledger | None = None,
    *,
    rates: Mapping[str, QueueRates] | None = None,
    consumers: Mapping[str, tuple[str, ...]] | None = None,
    now: float | None = None,
) -> Signs:
    """Without a ledger nothing is known of queues, nor of what people said of failures."""
    now = time.time() if now is None else now
    failures, remarkable = _failures(store, ledger, now)
    return Signs(
        now=now,
        status=store.recorder_status(),
        store=store.status(),
        gaps=store.gaps(),
        workers=store.workers(),
        queues=() if ledger is None else _queues(ledger, rates or {}, consumers or {}, now),
        failures=failures,
        remarkable=remarkable,
        running=_running(store, now),
    )


def _queues(
    ledger: Ledger, rates: Mapping[str, QueueRates], consumers: Mapping[str, tuple[str, ...]], now: float
) -> tuple[QueueSigns, ...]:
    return tuple(
        QueueSigns(sample, rates.get(sample.queue, QueueRates()), consumers.get(sample.queue, ()))
        for sample in ledger.samples.newest(now - _FRESH)
    )


def _failures(
    store: Reader, ledger: Ledger | None, now: float
) -> tuple[tuple[FailureRow, ...], Mapping[FailureStatus, int]]:
    known = Standings(store.failures_seen(), {}, {}, now) if ledger is None else standings(store, ledger, now)
    span = Span(now - BUCKETS * WIDTH, WIDTH, BUCKETS, "timestamp")
    recent = Term("timestamp", "range", (span.start, None))
    groups = store.failures(recent, limit=_GROUPS, span=span).groups
    told = {group.fingerprint.id for group in groups}
    remarkable = dict(_remarkable(known, span.start))
    missing = [failure for failure in remarkable if failure not in told][:_GROUPS]
    if missing:
        these = any_of(Term("failure", "equals", failure) for failure in missing)
        groups = (*groups, *store.failures(all_of([recent, these]), limit=_GROUPS, span=span).groups)
    return tuple(map(known.row, groups)), Counter(remarkable.values())


def _remarkable(known: Standings, since: float) -> Iterable[tuple[str, FailureStatus]]:
    """Groups that are new or have returned, those that failed last first."""
    active = [(seen.last, failure) for failure, seen in known.seen.items() if seen.last is not None]
    for last, failure in sorted(active, reverse=True):
        if last < since:
            return
        status = known.status(failure)
        if status in ("new", "returning"):
            yield failure, status


def _running(store: Reader, now: float) -> tuple[Running, ...]:
    where = all_of([Term("state", "equals", STARTED), Term("started", "range", (now - _DAY, None))])
    tasks = list(store.tasks(Query(where, (Sort("started"),)), limit=MOST_RUNNING))
    slow = store.slow() if tasks else {}
    return tuple(
        Running(task.uuid, task.name, task.hostname, task.started, None if task.name is None else slow.get(task.name))
        for task in tasks
        if task.started is not None
    )
