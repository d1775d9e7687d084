"""Statistics of task groups: percentiles, throughput, failure rate."""

from itertools import accumulate

import msgspec

from flower.quantile_sketch import RELATIVE_ERROR, Sketch, bucket_midpoint
from flower.records import FAILURE, SUCCESS
from flower.store.query_results import BucketSpan, Summaries, Summary, TimeKey


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of `count` durations in seconds, by nearest rank, with a relative error of at most `relative_error`.
    None without durations."""

    count: int
    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    relative_error: float = RELATIVE_ERROR


class GroupStats(msgspec.Struct, frozen=True):
    """Statistics of one group of tasks. `group` is the value that its tasks share, or the start of its time bucket.

    `failure_rate` is FAILURE / (SUCCESS + FAILURE), None without finished tasks. `throughput`: tasks per second of the
    window or bucket, None for a window without start. `wait`: seconds between sent and the first start; `runtime`: of
    the last attempt. `retries`: number of attempts of these tasks that ended with a retry."""

    group: str | float | None
    count: int
    states: dict[str, int]
    failure_rate: float | None
    throughput: float | None
    runtime: Percentiles
    wait: Percentiles
    retries: int = 0


class StatsWindow(msgspec.Struct, frozen=True):
    """Epoch seconds, both ends included; None: unlimited. `time` is the time of a task that is compared."""

    start_at: float | None = None
    end_at: float | None = None
    time: TimeKey = "time"


class Stats(msgspec.Struct, frozen=True):
    """`total` includes the groups that were left out; `more` is their number. `span` is set if the groups are time
    buckets. `window`: the time that the numbers refer to."""

    total: GroupStats
    groups: tuple[GroupStats, ...] = ()
    more: int = 0
    span: BucketSpan | None = None
    partial: str | None = None
    window: StatsWindow = StatsWindow()


def build_stats(
    summaries: Summaries, *, seconds: float | None, window: StatsWindow, span: BucketSpan | None = None
) -> Stats:
    """`seconds` is the length of the window, until now if it has no end; None if it has no start."""
    group_seconds = seconds if span is None else span.width
    return Stats(
        build_group_stats(summaries.total, seconds),
        tuple(build_group_stats(group, group_seconds) for group in summaries.groups),
        summaries.more,
        span,
        summaries.partial,
        window,
    )


def build_group_stats(summary: Summary, seconds: float | None) -> GroupStats:
    succeeded, failed = summary.states.get(SUCCESS, 0), summary.states.get(FAILURE, 0)
    return GroupStats(
        group=summary.group,
        count=summary.count,
        states=summary.states,
        failure_rate=failed / (succeeded + failed) if succeeded + failed else None,
        throughput=summary.count / seconds if seconds else None,
        runtime=compute_percentiles(summary.runtime),
        wait=compute_percentiles(summary.wait),
        retries=summary.retries,
    )


def compute_percentiles(sketch: Sketch) -> Percentiles:
    """All percentiles in one pass; the same values as `Sketch.quantile`."""
    numbers = sorted(sketch.counts)
    cumulative = list(accumulate(sketch.counts[number] for number in numbers))
    if not cumulative or not cumulative[-1]:
        return Percentiles(0)
    count, index = cumulative[-1], 0
    values = []
    for fraction in (0.5, 0.75, 0.9, 0.95, 0.99):
        rank = max(1, -int(-fraction * count // 1))
        while cumulative[index] < rank:
            index += 1
        values.append(bucket_midpoint(numbers[index]))
    return Percentiles(count, *values)
