"""Figures and groups of tasks that a query has found. Tasks come with their keys, in the order of these."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isnan

from flower.fingerprint import Fingerprint, fingerprint_of
from flower.records import FAILURE, FINAL_STATES, RECEIVED, STARTED, WAITING_STATES, Task
from flower.sketch import Sketch, sketch_of, slow_thresholds
from flower.store.answers import (
    Facet,
    Facets,
    FailureGroup,
    Failures,
    Family,
    Histogram,
    Seen,
    Span,
    Summaries,
    Summary,
    Value,
    Workflow,
)
from flower.store.grouping import bucket_of, facet_counts, facet_value, first, frequent
from flower.store.order import Item
from flower.tallies import InFlight, Living

#: How many types and workers of a failure group are named.
_NAMED = 5


def facets(items: Sequence[Item], wanted: Sequence[Facet], limit: int, containing: str | None) -> Facets:
    found = {facet: Counter(facet_value(task, facet) for _, task in items) for facet in wanted}
    return Facets(len(items), {facet: facet_counts(counts, limit, containing) for facet, counts in found.items()})


def histogram(items: Iterable[Item], span: Span) -> Histogram:
    states: dict[str, list[int]] = {}
    for _, task in items:
        place = bucket_of(span, getattr(task, span.key))
        if place is not None:
            states.setdefault(task.state, [0] * span.buckets)[place] += 1
    return Histogram(span, {state: tuple(counts) for state, counts in sorted(states.items())})


def summary(group: str | float | None, tasks: Sequence[Task]) -> Summary:
    return Summary(
        group,
        len(tasks),
        dict(sorted(Counter(task.state for task in tasks).items())),
        _sketch(task.runtime for task in tasks),
        _sketch(task.wait for task in tasks),
    )


def summaries(items: Sequence[Item], by: Facet | None, limit: int) -> Summaries:
    total = summary(None, [task for _, task in items])
    if by is None:
        return Summaries(total)
    groups: dict[str | None, list[Task]] = {}
    for _, task in items:
        groups.setdefault(facet_value(task, by), []).append(task)
    names = [value for value, _ in frequent({value: len(tasks) for value, tasks in groups.items()})]
    shown = first(names, limit)
    return Summaries(total, tuple(summary(value, groups[value]) for value in shown), len(names) - len(shown))


def timeline(items: Iterable[Item], span: Span) -> Summaries:
    stretches: list[list[Task]] = [[] for _ in range(span.buckets)]
    for _, task in items:
        place = bucket_of(span, getattr(task, span.key))
        if place is not None:
            stretches[place].append(task)
    total = summary(None, [task for tasks in stretches for task in tasks])
    return Summaries(total, tuple(summary(span.start + span.width * n, tasks) for n, tasks in enumerate(stretches)))


def failures(items: Iterable[Item], limit: int, span: Span | None) -> Failures:
    groups: dict[Fingerprint, list[Task]] = {}
    for _, task in items:
        fingerprint = fingerprint_of(task.exception, task.traceback)
        if fingerprint is not None:
            groups.setdefault(fingerprint, []).append(task)
    found = [_failure(fingerprint, tasks, span) for fingerprint, tasks in groups.items()]
    found.sort(key=_largest_and_latest_first)
    shown = first(found, limit)
    return Failures(tuple(shown), sum(group.count for group in found), len(found) - len(shown))


def failures_seen(items: Sequence[Item]) -> dict[str, Seen]:
    found = failures(items, len(items), None)
    return {group.fingerprint.id: Seen(group.first, group.last, group.count) for group in found.groups}


def _failure(fingerprint: Fingerprint, tasks: Sequence[Task], span: Span | None) -> FailureGroup:
    """`tasks` in the order of their keys."""
    times = [task.timestamp for task in tasks if task.timestamp is not None and not isnan(task.timestamp)]
    return FailureGroup(
        fingerprint,
        len(tasks),
        min(times, default=None),
        max(times, default=None),
        _trend(tasks, span),
        _named(task.name for task in tasks),
        _named(task.hostname for task in tasks),
        tasks[-1].uuid,
    )


def _largest_and_latest_first(group: FailureGroup) -> tuple[int, bool, float, str]:
    return -group.count, group.last is None, -(group.last or 0.0), group.fingerprint.id


def _trend(tasks: Iterable[Task], span: Span | None) -> tuple[int, ...]:
    if span is None:
        return ()
    counts = Counter(bucket_of(span, getattr(task, span.key)) for task in tasks)
    return tuple(counts[place] for place in range(span.buckets))


def _named(values: Iterable[str | None]) -> tuple[Value, ...]:
    return tuple(Value(value, count) for value, count in frequent(Counter(values))[:_NAMED])


def family(items: Iterable[Item], task: Task, limit: int) -> Family:
    root = task.uuid if task.root_id is None else task.root_id
    found = [other for _, other in items if root in (other.root_id, other.uuid)]
    return Family(root, tuple(first(found, limit)), len(found) <= max(0, limit))


def members(items: Iterable[Item]) -> dict[str, list[Task]]:
    """The tasks that name another one as their root, by that root's id."""
    found: dict[str, list[Task]] = {}
    for _, task in items:
        if task.root_id is not None and task.root_id != task.uuid:
            found.setdefault(task.root_id, []).append(task)
    return found


def workflow(root: Task, others: Iterable[Task]) -> Workflow:
    tasks = [root, *others]
    states = Counter(task.state for task in tasks)
    begun = [next((time for time in (t.sent, t.received, t.started) if time is not None), None) for t in tasks]
    return Workflow(
        root,
        len(tasks),
        sum(states[state] for state in FINAL_STATES),
        states[FAILURE],
        sum(count for state, count in states.items() if state not in FINAL_STATES | WAITING_STATES),
        min((time for time in begun if time is not None), default=None),
        max((task.timestamp for task in tasks if task.timestamp is not None), default=None),
    )


def slow(items: Iterable[Item]) -> dict[str, float]:
    runtimes: dict[str, list[float | None]] = {}
    for _, task in items:
        if task.name is not None:
            runtimes.setdefault(task.name, []).append(task.runtime)
    return slow_thresholds({name: _sketch(values) for name, values in runtimes.items()})


def _sketch(values: Iterable[float | None]) -> Sketch:
    return sketch_of(value for value in values if value is not None and not isnan(value))


def in_flight(tasks: Iterable[Task], living: Living) -> list[InFlight]:
    found: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        alive = living.get(task.hostname or "")
        if alive and task.state in (RECEIVED, STARTED) and not task.eta and alive.has(task.received, task.pid):
            found.setdefault((task.hostname or "", task.name or ""), []).append(task)
    all_pairs = (InFlight(*pair, *_waiting(group)) for pair, group in found.items())
    return [each for each in all_pairs if each.waiting or each.waited is not None]


def _waiting(tasks: Sequence[Task]) -> tuple[int, float | None]:
    running = [(task.started, task.received) for task in tasks if task.state == STARTED]
    known = [(started, received) for started, received in running if started is not None and received is not None]
    last = max(known, default=None)
    waiting = sum(task.state == RECEIVED for task in tasks)
    return waiting, None if last is None else max(last[0] - last[1], 0.0)
