"""How often something happened and how long it took, counted from the beginning: what `/metrics` tells.

Nouns, and the buckets that durations are counted in. A duration is counted in the bucket of the least bound that it
does not exceed, and a bucket is known by that bound: so bounds may change from one run to the next without
anything that was counted before being lost. The bounds that the recorder is configured with (the option
`task_runtime_metric_buckets`) are exact; for others there is a grid of eleven bounds for each power of ten,
and then a duration is counted one step of it too high at most, never too low.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import inf, isfinite
from typing import Final

import msgspec

#: In place of names beyond the limits of what is told apart.
OTHER: Final = "__other__"


def duration_bucket_bounds(exact: Iterable[float] = ()) -> tuple[float, ...]:
    """The bounds of the buckets, rising, the last one infinite; `exact` are among them."""
    steps = ("1", "1.25", "1.5", "2", "2.5", "3", "4", "5", "6", "7.5", "8")
    # out of texts, so that they are the very numbers that people write
    fixed = (float(f"{step}e{power}") for power in range(-4, 7) for step in steps)
    return (*sorted({*fixed, *(bound for bound in exact if isfinite(bound))}), inf)


class DurationHistogram(msgspec.Struct, frozen=True, array_like=True):
    """`counts`: by the bound of a bucket, how many are in it; `created`: when counting began, epoch seconds."""

    counts: dict[float, int]
    sum: float
    created: float

    def cumulative(self, bounds: tuple[float, ...]) -> list[int]:
        """How many do not exceed each of these bounds, as far as is known; the last bound must be infinite."""
        found = [0] * len(bounds)
        for bound, count in self.counts.items():
            found[bisect_left(bounds, bound)] += count
        return list(accumulate(found))


class TaskCounters(msgspec.Struct, frozen=True, array_like=True):
    """What was counted of the tasks of one type on one worker. `worker` is who sent the events, for `task-sent` the
    producer. `events`: by type of event, how many and when counting began (epoch seconds).

    `worker` None is the type on all workers together: `wait` is from being sent, or received, to being started, of
    tasks without an ETA; `runtime` is only what workers had that were forgotten since."""

    worker: str | None
    task: str
    events: dict[str, tuple[int, float]]
    runtime: DurationHistogram | None = None
    wait: DurationHistogram | None = None

    @property
    def key(self) -> "CounterKey":
        return self.worker, self.task


#: Worker (None: all together) and task.
CounterKey = tuple[str | None, str]


class CounterDelta(msgspec.Struct, frozen=True):
    """Those that changed after a number of the change sequence, as of another. `whole`: these are all there are, and
    what was known before and is not among them was forgotten."""

    sequence: int
    changed: tuple[TaskCounters, ...]
    is_snapshot: bool


class InFlight(msgspec.Struct, frozen=True):
    """Tasks of one type on one worker that have not ended and have no ETA: how many it has received and not started,
    and how long the one that was started last waited at the worker, in seconds (None: none is running)."""

    worker: str
    task: str
    prefetched: int
    prefetch_time: float | None


class WorkerIncarnation(msgspec.Struct, frozen=True):
    """A worker that lives: since when by its own clock, and its process; as far as is known."""

    since: float | None = None
    pid: int | None = None

    def owns_task(self, received: float | None, pid: int | None) -> bool:
        """Whether a task that was received then, by this process, is one of this life of the worker's."""
        if self.since is not None and (received is None or received < self.since):
            return False
        return self.pid is None or pid is None or self.pid == pid


#: By hostname.
LiveWorkers = Mapping[str, WorkerIncarnation]
