"""Summaries as people read them: percentiles, rates, failure rates."""

from itertools import accumulate

import msgspec

from flower.quantile_sketch import RELATIVE_ERROR, Sketch, bucket_midpoint
from flower.records import FAILURE, SUCCESS, Task
from flower.store.query_results import BucketSpan, FailureGroup, Summaries, Summary


class Percentiles(msgspec.Struct, frozen=True):
    """Of `count` durations in seconds, by nearest rank; each is at most `error` (a part of it) off. None: there are no
    durations."""

    count: int
    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    relative_error: float = RELATIVE_ERROR


class GroupStats(msgspec.Struct, frozen=True):
    """One group of tasks. `group` is the value that they share, or the start of the stretch of time.

    `failure_rate` is FAILURE / (SUCCESS + FAILURE), None before any of these. `throughput` is tasks per second of the
    window or stretch, None if that has no two ends. `wait` is seconds from being sent to being started, `runtime`
    that of the last attempt."""

    group: str | float | None
    count: int
    states: dict[str, int]
    failure_rate: float | None
    throughput: float | None
    runtime: Percentiles
    wait: Percentiles


class Stats(msgspec.Struct, frozen=True):
    """`total` is over all groups, also those left out (`more`). `span` is there if the groups are stretches of time."""

    total: GroupStats
    groups: tuple[GroupStats, ...] = ()
    more: int = 0
    span: BucketSpan | None = None
    partial: str | None = None


class FailureGroupList(msgspec.Struct, frozen=True):
    """Groups of alike failures, the largest first. `count` tasks are in all groups, `more` groups were left out; `span`
    tells the stretches of time of each `trend`."""

    groups: tuple[FailureGroup, ...]
    count: int
    more: int
    span: BucketSpan
    partial: str | None = None


class FailureDetail(msgspec.Struct, frozen=True):
    """A group, and its latest tasks."""

    group: FailureGroup
    span: BucketSpan
    tasks: tuple[Task, ...]


def build_stats(summaries: Summaries, *, seconds: float | None, span: BucketSpan | None = None) -> Stats:
    """`seconds` is how long the window is, None if it is open."""
    each = seconds if span is None else span.width
    return Stats(
        build_group_stats(summaries.total, seconds),
        tuple(build_group_stats(group, each) for group in summaries.groups),
        summaries.more,
        span,
        summaries.partial,
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
    )


def compute_percentiles(sketch: Sketch) -> Percentiles:
    """All in one pass; the same values as `Sketch.quantile` gives."""
    numbers = sorted(sketch.counts)
    seen = list(accumulate(sketch.counts[number] for number in numbers))
    if not seen or not seen[-1]:
        return Percentiles(0)
    count, at = seen[-1], 0
    found = []
    for part in (0.5, 0.75, 0.9, 0.95, 0.99):
        rank = max(1, -int(-part * count // 1))
        while seen[at] < rank:
            at += 1
        found.append(bucket_midpoint(numbers[at]))
    return Percentiles(count, *found)
