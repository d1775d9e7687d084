"""Aggregation of the tasks that match a query. Tasks come with their keys, in key order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isnan

from flower.counters import InFlight, LiveWorkers
from flower.fingerprint import Fingerprint, compute_fingerprint
from flower.quantile_sketch import Sketch, create_sketch, derive_slow_thresholds
from flower.records import FAILURE, FINAL_STATES, RECEIVED, STARTED, WAITING_STATES, Task
from flower.store.aggregation import build_facet_counts, facet_value, sort_by_frequency, span_bucket_index, take_first
from flower.store.query_results import (
    BucketSpan,
    Facet,
    Facets,
    FacetValue,
    FailureGroup,
    Failures,
    Histogram,
    SeenRange,
    Summaries,
    Summary,
    TaskFamily,
    Workflow,
)
from flower.store.sorting import KeyedTask

#: Maximum number of task types and workers of a failure group.
_MAX_NAMED_VALUES = 5


def aggregate_facets(items: Sequence[KeyedTask], names: Sequence[Facet], limit: int, containing: str | None) -> Facets:
    counters = {facet: Counter(facet_value(task, facet) for _, task in items) for facet in names}
    return Facets(
        len(items), {facet: build_facet_counts(counts, limit, containing) for facet, counts in counters.items()}
    )


def aggregate_histogram(items: Iterable[KeyedTask], span: BucketSpan) -> Histogram:
    states: dict[str, list[int]] = {}
    for _, task in items:
        index = span_bucket_index(span, getattr(task, span.time))
        if index is not None:
            states.setdefault(task.state, [0] * span.buckets)[index] += 1
    return Histogram(span, {state: tuple(counts) for state, counts in sorted(states.items())})


def summarize_group(group: str | float | None, tasks: Sequence[Task]) -> Summary:
    return Summary(
        group,
        len(tasks),
        dict(sorted(Counter(task.state for task in tasks).items())),
        _build_sketch(task.runtime for task in tasks),
        _build_sketch(task.wait for task in tasks),
        sum(task.retry_count for task in tasks),
    )


def aggregate_summaries(items: Sequence[KeyedTask], by: Facet | None, limit: int) -> Summaries:
    total = summarize_group(None, [task for _, task in items])
    if by is None:
        return Summaries(total)
    groups: dict[str | None, list[Task]] = {}
    for _, task in items:
        groups.setdefault(facet_value(task, by), []).append(task)
    names = [value for value, _ in sort_by_frequency({value: len(tasks) for value, tasks in groups.items()})]
    selected = take_first(names, limit)
    return Summaries(
        total, tuple(summarize_group(value, groups[value]) for value in selected), len(names) - len(selected)
    )


def aggregate_timeline(items: Iterable[KeyedTask], span: BucketSpan) -> Summaries:
    buckets: list[list[Task]] = [[] for _ in range(span.buckets)]
    for _, task in items:
        index = span_bucket_index(span, getattr(task, span.time))
        if index is not None:
            buckets[index].append(task)
    total = summarize_group(None, [task for tasks in buckets for task in tasks])
    return Summaries(
        total, tuple(summarize_group(span.start_at + span.width * n, tasks) for n, tasks in enumerate(buckets))
    )


def aggregate_failures(items: Iterable[KeyedTask], limit: int, span: BucketSpan | None) -> Failures:
    fingerprints: dict[str, Fingerprint] = {}
    groups: dict[str, list[Task]] = {}
    for _, task in items:
        fingerprint = compute_fingerprint(task.exception, task.traceback)
        if fingerprint is not None:
            fingerprints[fingerprint.id] = fingerprint  # that of the example, which is the last task
            groups.setdefault(fingerprint.id, []).append(task)
    failure_groups = [_failure_group(fingerprints[failure], tasks, span) for failure, tasks in groups.items()]
    failure_groups.sort(key=_failure_group_order)
    selected = take_first(failure_groups, limit)
    return Failures(tuple(selected), sum(group.count for group in failure_groups), len(failure_groups) - len(selected))


def aggregate_failures_seen(items: Sequence[KeyedTask]) -> dict[str, SeenRange]:
    failures = aggregate_failures(items, len(items), None)
    return {
        group.fingerprint.id: SeenRange(group.first_failure_at, group.last_failure_at, group.count)
        for group in failures.groups
    }


def _failure_group(fingerprint: Fingerprint, tasks: Sequence[Task], span: BucketSpan | None) -> FailureGroup:
    """`tasks` in key order."""
    times = [task.timestamp for task in tasks if task.timestamp is not None and not isnan(task.timestamp)]
    return FailureGroup(
        fingerprint,
        len(tasks),
        min(times, default=None),
        max(times, default=None),
        _count_trend(tasks, span),
        _most_frequent(task.name for task in tasks),
        _most_frequent(task.hostname for task in tasks),
        tasks[-1].uuid,
    )


def _failure_group_order(group: FailureGroup) -> tuple[int, bool, float, str]:
    return -group.count, group.last_failure_at is None, -(group.last_failure_at or 0.0), group.fingerprint.id


def _count_trend(tasks: Iterable[Task], span: BucketSpan | None) -> tuple[int, ...]:
    if span is None:
        return ()
    counts = Counter(span_bucket_index(span, getattr(task, span.time)) for task in tasks)
    return tuple(counts[index] for index in range(span.buckets))


def _most_frequent(values: Iterable[str | None]) -> tuple[FacetValue, ...]:
    return tuple(FacetValue(value, count) for value, count in sort_by_frequency(Counter(values))[:_MAX_NAMED_VALUES])


def collect_family(items: Iterable[KeyedTask], task: Task, limit: int) -> TaskFamily:
    root = task.uuid if task.root_id is None else task.root_id
    members = [other for _, other in items if root in (other.root_id, other.uuid)]
    return TaskFamily(root, tuple(take_first(members, limit)), len(members) <= max(0, limit))


def workflow_members(items: Iterable[KeyedTask]) -> dict[str, list[Task]]:
    """The tasks that name another task as their root, by the id of that root."""
    members: dict[str, list[Task]] = {}
    for _, task in items:
        if task.root_id is not None and task.root_id != task.uuid:
            members.setdefault(task.root_id, []).append(task)
    return members


def summarize_workflow(root: Task, others: Iterable[Task]) -> Workflow:
    tasks = [root, *others]
    states = Counter(task.state for task in tasks)
    running = [task for task in tasks if task.state not in FINAL_STATES | WAITING_STATES and task.lost is None]
    start_times = [next((time for time in (t.sent, t.received, t.started) if time is not None), None) for t in tasks]
    return Workflow(
        root,
        len(tasks),
        sum(states[state] for state in FINAL_STATES),
        states[FAILURE],
        len(running),
        min((time for time in start_times if time is not None), default=None),
        max((task.timestamp for task in tasks if task.timestamp is not None), default=None),
    )


def aggregate_slow_thresholds(items: Iterable[KeyedTask]) -> dict[str, float]:
    runtimes: dict[str, list[float | None]] = {}
    for _, task in items:
        if task.name is not None:
            runtimes.setdefault(task.name, []).append(task.runtime)
    return derive_slow_thresholds({name: _build_sketch(values) for name, values in runtimes.items()})


def _build_sketch(values: Iterable[float | None]) -> Sketch:
    return create_sketch(value for value in values if value is not None and not isnan(value))


def aggregate_in_flight(tasks: Iterable[Task], live_workers: LiveWorkers) -> list[InFlight]:
    groups: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        incarnation = live_workers.get(task.hostname or "")
        if (
            incarnation
            and task.state in (RECEIVED, STARTED)
            and not task.eta
            and task.lost is None
            and incarnation.owns_task(task.received, task.pid)
        ):
            groups.setdefault((task.hostname or "", task.name or ""), []).append(task)
    rows = (InFlight(*pair, *_count_waiting(group)) for pair, group in groups.items())
    return [each for each in rows if each.prefetched or each.prefetch_time is not None]


def _count_waiting(tasks: Sequence[Task]) -> tuple[int, float | None]:
    running = [(task.started, task.received) for task in tasks if task.state == STARTED]
    timed = [(started, received) for started, received in running if started is not None and received is not None]
    latest = max(timed, default=None)
    prefetched = sum(task.state == RECEIVED for task in tasks)
    return prefetched, None if latest is None else max(latest[0] - latest[1], 0.0)
