"""Summaries as people read them: percentiles, rates, failure rates."""

from itertools import accumulate

import msgspec

from flower.records import FAILURE, SUCCESS, Task
from flower.sketch import ERROR, Sketch, middle
from flower.store.answers import FailureGroup, Span, Summaries, Summary


class Percentiles(msgspec.Struct, frozen=True):
    """Of `count` durations in seconds, by nearest rank; each is at most `error` (a part of it) off. None: there are no
    durations."""

    count: int
    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    error: float = ERROR


class Figures(msgspec.Struct, frozen=True):
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

    total: Figures
    groups: tuple[Figures, ...] = ()
    more: int = 0
    span: Span | None = None
    partial: str | None = None


class FailureList(msgspec.Struct, frozen=True):
    """Groups of alike failures, the largest first. `count` tasks are in all groups, `more` groups were left out; `span`
    tells the stretches of time of each `trend`."""

    groups: tuple[FailureGroup, ...]
    count: int
    more: int
    span: Span
    partial: str | None = None


class FailureDetail(msgspec.Struct, frozen=True):
    """A group, and its latest tasks."""

    group: FailureGroup
    span: Span
    tasks: tuple[Task, ...]


def stats_of(summaries: Summaries, *, seconds: float | None, span: Span | None = None) -> Stats:
    """`seconds` is how long the window is, None if it is open."""
    each = seconds if span is None else span.width
    return Stats(
        figures_of(summaries.total, seconds),
        tuple(figures_of(group, each) for group in summaries.groups),
        summaries.more,
        span,
        summaries.partial,
    )


def figures_of(summary: Summary, seconds: float | None) -> Figures:
    succeeded, failed = summary.states.get(SUCCESS, 0), summary.states.get(FAILURE, 0)
    return Figures(
        group=summary.group,
        count=summary.count,
        states=summary.states,
        failure_rate=failed / (succeeded + failed) if succeeded + failed else None,
        throughput=summary.count / seconds if seconds else None,
        runtime=percentiles(summary.runtime),
        wait=percentiles(summary.wait),
    )


def percentiles(sketch: Sketch) -> Percentiles:
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
        found.append(middle(numbers[at]))
    return Percentiles(count, *found)
