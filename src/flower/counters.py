"""Event counters and duration histograms of `/metrics`: value types and bucket bounds.

A duration is counted in the bucket with the smallest upper bound that it does not exceed, and a bucket is identified by
that bound. Therefore the bounds may change between two runs without loss of counts. The configured bounds (option
`task_runtime_metric_buckets`) are exact. For other bounds there is a grid of eleven bounds per power of ten: such a
duration is counted at most one grid step too high, never too low.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import inf, isfinite
from typing import Final

import msgspec

#: Replaces names beyond the limit of distinct label values.
OTHER: Final = "__other__"


def duration_bucket_bounds(exact: Iterable[float] = ()) -> tuple[float, ...]:
    """Upper bounds of the buckets, ascending; the last one is infinite. Includes the bounds in `exact`."""
    steps = ("1", "1.25", "1.5", "2", "2.5", "3", "4", "5", "6", "7.5", "8")
    # parsed from text, so that the bounds equal the numbers that users configure
    fixed = (float(f"{step}e{power}") for power in range(-4, 7) for step in steps)
    return (*sorted({*fixed, *(bound for bound in exact if isfinite(bound))}), inf)


class DurationHistogram(msgspec.Struct, frozen=True, array_like=True):
    """`counts`: number of durations by upper bound; `created`: when counting began, epoch seconds."""

    counts: dict[float, int]
    sum: float
    created: float

    def cumulative(self, bounds: tuple[float, ...]) -> list[int]:
        """Number of durations up to each of these bounds, as in Prometheus. The last bound must be infinite."""
        totals = [0] * len(bounds)
        for bound, count in self.counts.items():
            totals[bisect_left(bounds, bound)] += count
        return list(accumulate(totals))


class TaskCounters(msgspec.Struct, frozen=True, array_like=True):
    """Counters of one task type on one worker. `worker` is the sender of the events, for `task-sent` the producer.
    `events`: number of events by type, and when counting began (epoch seconds). Events of workers have the task "".

    With `worker` None the counters are of all workers together: `wait` is the time from `sent` (or `received`) to the
    first start of tasks without an ETA; `backoff` is the time from a retry to the next start; `runtime` is the sum over
    workers whose own counters were dropped.
    """

    worker: str | None
    task: str
    events: dict[str, tuple[int, float]]
    runtime: DurationHistogram | None = None
    wait: DurationHistogram | None = None
    backoff: DurationHistogram | None = None

    @property
    def key(self) -> "CounterKey":
        return self.worker, self.task


#: Worker (None: all workers) and task type.
CounterKey = tuple[str | None, str]


class CounterDelta(msgspec.Struct, frozen=True):
    """Counters that changed after a number of the change sequence, as of `sequence`. With `is_snapshot` these are all
    counters: counters that are absent were dropped."""

    sequence: int
    changed: tuple[TaskCounters, ...]
    is_snapshot: bool


class InFlight(msgspec.Struct, frozen=True):
    """Unfinished tasks of one type on one worker, without those that have an ETA: `prefetched` tasks were received and
    not started; `prefetch_time` is how long the most recently started task waited at the worker, in seconds (None if no
    task is running)."""

    worker: str
    task: str
    prefetched: int
    prefetch_time: float | None


class WorkerIncarnation(msgspec.Struct, frozen=True):
    """A running worker process: its start by the clock of the worker, and its pid; None if unknown."""

    since: float | None = None
    pid: int | None = None

    def owns_task(self, received: float | None, pid: int | None) -> bool:
        """Whether a task with this time of receipt and pid belongs to this incarnation of the worker."""
        if self.since is not None and (received is None or received < self.since):
            return False
        return self.pid is None or pid is None or self.pid == pid


#: By hostname.
LiveWorkers = Mapping[str, WorkerIncarnation]


@dataclass(frozen=True, slots=True)
class CounterLimits:
    """Cardinality limits: `max_names` for each of workers, tasks and event types, `max_pairs` for (worker, task) pairs.
    `bucket_bounds` are the exact bucket bounds of durations, in seconds."""

    max_names: int = 1_000
    max_pairs: int = 20_000
    bucket_bounds: tuple[float, ...] = ()
