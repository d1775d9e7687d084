"""Counts, facets, histograms, summaries and slow thresholds of matching tasks, computed from columns alone.

When the deadline passes, the result is partial and gives the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Final

import numpy as np

from flower.errors import DeadlineExceeded
from flower.quantile_sketch import BUCKET_COUNT, Sketch, derive_slow_thresholds
from flower.search.tree import Term, all_of
from flower.store.aggregation import build_facet_counts
from flower.store.query_results import (
    BucketSpan,
    Count,
    Facet,
    FacetCounts,
    Facets,
    Histogram,
    Summaries,
    Summary,
)
from flower.store.sqlite.catalog import BOUNDED_KEYS, SegmentInfo
from flower.store.sqlite.columns.layout import NO_BUCKET
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.evaluate import can_skip_segment, count_matches, match_rows
from flower.store.sqlite.query.group_counts import (
    FACET_COLUMNS,
    CountGrid,
    GroupNumbering,
    GroupSketches,
    count_combinations,
)

#: Returns the exception class or failure group with this number; None for number 0 (no value).
NameResolver = Callable[[Facet, int], str | None]

_INITIAL_STATES: Final = 64
#: Groups with a sketch of run times and wait times each, which needs 22 kB of memory.
MAX_GROUPS: Final = 2_000
#: Counts of segments that are summed together: cells of a name and a bucket.
_MAX_PENDING_CELLS: Final = 100_000


class PartialScan:
    """Iterates over the segments until the deadline passes; `reason` then explains the partial result."""

    def __init__(self, ctx: QueryContext, segments: Sequence[SegmentInfo]) -> None:
        self._ctx = ctx
        self._segments = segments
        self.reason: str | None = None

    def iter_views(self) -> Iterator[tuple[SegmentView, Any]]:
        """Yield each segment with the slots that match, newest segment first."""
        for segment in reversed(self._segments):
            if not segment.rows or can_skip_segment(segment, self._ctx.where):
                continue
            try:
                view = self._ctx.open_view(segment)
                slots = np.flatnonzero(match_rows(view, self._ctx.where))
                if len(slots):
                    # the callers need it, and cannot continue with the next segment if it is unreadable
                    _ = view.dictionary
            except SegmentUnavailable:
                continue
            except DeadlineExceeded as error:
                self.reason = explain_partial(error)
                return
            if len(slots):
                yield view, slots

    def visit(self, step: Callable[[SegmentView, Any], None]) -> None:
        """Call `step` with each segment and the slots that match; the deadline may pass within it."""
        for view, slots in self.iter_views():
            try:
                step(view, slots)
            except SegmentUnavailable:
                continue
            except DeadlineExceeded as error:
                self.reason = explain_partial(error)
                return


def explain_partial(error: DeadlineExceeded) -> str:
    return f"{error.message}; the result is incomplete. For the complete result, {error.hint}."


def scan_count(ctx: QueryContext, segments: Sequence[SegmentInfo]) -> Count:
    total = 0
    for segment in reversed(segments):
        try:
            total += count_matches(ctx, segment, ctx.where)
        except SegmentUnavailable:
            continue
        except DeadlineExceeded as error:
            return Count(total, explain_partial(error))
    return Count(total)


def scan_facets(
    ctx: QueryContext,
    segments: Sequence[SegmentInfo],
    wanted: Sequence[Facet],
    names: NameResolver,
    *,
    limit: int,
    containing: str | None,
) -> Facets:
    partial = PartialScan(ctx, segments)
    total = 0
    counts: dict[Facet, dict[Any, int]] = {facet: {} for facet in wanted}

    def count(view: SegmentView, slots: Any) -> None:
        nonlocal total
        by_facet = [_count_facet(view, facet, slots) for facet in wanted]
        ctx.deadline.raise_if_expired()  # not later: the counts of all facets are of the same segments
        total += len(slots)
        for facet, found in zip(wanted, by_facet, strict=True):
            _add_counts(counts[facet], found)

    partial.visit(count)
    ranked: dict[str, FacetCounts] = {
        facet: _rank_facet(facet, counts[facet], names, limit, containing) for facet in wanted
    }
    return Facets(total, ranked, partial.reason)


def _count_facet(view: SegmentView, facet: Facet, slots: Any) -> dict[Any, int]:
    where = view.ctx.where
    cache_key = (view.snapshot_id, view.count, "facet", facet, where, view.ctx.slow_version_for(where))
    cache = view.ctx.resources.result_cache
    cached: dict[Any, int] | None = cache.get(cache_key)
    if cached is None:
        column = view.column(FACET_COLUMNS.get(facet, facet))[slots]
        if facet in ("exception", "failure"):
            values, numbers = np.unique(column, return_counts=True)
            cached = dict(zip(values.tolist(), numbers.tolist(), strict=True))
        else:
            counts = np.bincount(column, minlength=1)
            words = view.dictionary.values
            cached = {
                words[number] if number else None: int(counts[number])
                for number in view.ctx.deadline.check_during(np.flatnonzero(counts).tolist())
            }
        cache.put(cache_key, cached, 120 * len(cached))
    return cached


def _rank_facet(
    facet: Facet, counts: dict[Any, int], names: NameResolver, limit: int, containing: str | None
) -> FacetCounts:
    if facet in ("exception", "failure"):
        by_name: dict[str | None, int] = {}
        for number, count in counts.items():
            name = names(facet, number)
            by_name[name] = by_name.get(name, 0) + count
        counts = by_name
    return build_facet_counts(counts, limit, containing)


def find_buckets(view: SegmentView, span: BucketSpan, slots: Any) -> tuple[Any, Any]:
    """Return a mask of the slots in the span, and the bucket of each of these (`aggregation.span_bucket_index`)."""
    with np.errstate(invalid="ignore", over="ignore"):
        buckets = np.floor((view.column(span.time)[slots] - span.start_at) / span.width)
        is_inside = (buckets >= 0) & (buckets < span.buckets)
    return is_inside, buckets[is_inside].astype(np.int64)


def restrict_to_span(ctx: QueryContext, span: BucketSpan) -> QueryContext:
    """Return the same query limited to the time of the span, so that other segments are skipped."""
    if span.time not in BOUNDED_KEYS:
        return ctx
    window = Term(span.time, "range", (span.start_at - span.width, span.end + span.width))
    return ctx.with_filter(all_of([ctx.where, window]))


def scan_histogram(ctx: QueryContext, segments: Sequence[SegmentInfo], span: BucketSpan) -> Histogram:
    partial = PartialScan(restrict_to_span(ctx, span), segments)
    states = GroupNumbering()
    grid = CountGrid(span.buckets)

    def add(view: SegmentView, slots: Any) -> None:
        is_inside, buckets = find_buckets(view, span, slots)
        grid.add(states.assign_rows(view, "state", slots[is_inside]), buckets, len(states))

    partial.visit(add)
    by_state = {state: tuple(cells.tolist()) for state, cells in zip(states.values, grid.cells, strict=False)}
    return Histogram(
        span, {state: by_state[state] for state in sorted(by_state) if any(by_state[state])}, partial.reason
    )


class _GroupStatistics:
    """Number of tasks by state, and sketches of run time and wait time, for each group."""

    def __init__(self) -> None:
        self.states = GroupNumbering()
        self._counts = CountGrid(_INITIAL_STATES)
        self._runtime, self._wait = GroupSketches(BUCKET_COUNT), GroupSketches(BUCKET_COUNT)
        self._retries = np.zeros(0, np.int64)

    def add(self, view: SegmentView, slots: Any, groups: Any, group_count: int) -> None:
        states = self.states.assign_rows(view, "state", slots)
        if len(self.states) > self._counts.width:
            self._widen()
        self._counts.add(groups, states, group_count)
        self._add_retries(groups, view.column("retry_count")[slots], group_count)
        self._runtime.add(groups, view.column("runtime_bucket")[slots], group_count)
        self._wait.add(groups, view.column("wait_bucket")[slots], group_count)

    def _add_retries(self, groups: Any, retries: Any, group_count: int) -> None:
        retried = np.flatnonzero(retries)
        if len(self._retries) < group_count:
            self._retries = np.concatenate((self._retries, np.zeros(group_count - len(self._retries), np.int64)))
        if len(retried):
            np.add.at(self._retries, groups[retried], retries[retried].astype(np.int64))

    def _widen(self) -> None:
        wider = CountGrid(2 * max(self._counts.width, len(self.states)))
        wider.cells = np.zeros((len(self._counts.cells), wider.width), np.int64)
        wider.cells[:, : self._counts.width] = self._counts.cells
        self._counts = wider

    def count(self, group: int) -> int:
        return int(self._counts.cells[group].sum()) if group < len(self._counts.cells) else 0

    def summary(self, group: int, value: str | float | None) -> Summary:
        counts = self._counts.cells[group] if group < len(self._counts.cells) else np.zeros(0, np.int64)
        return Summary(
            value, int(counts.sum()), self._by_state(counts), self._runtime.sketch(group), self._wait.sketch(group),
            int(self._retries[group]) if group < len(self._retries) else 0,
        )  # fmt: skip

    def total(self) -> Summary:
        counts = self._counts.cells.sum(axis=0)
        return Summary(
            None, int(counts.sum()), self._by_state(counts), self._runtime.total(), self._wait.total(),
            int(self._retries.sum()),
        )  # fmt: skip

    def _by_state(self, counts: Any) -> dict[str, int]:
        by_state = {self.states.values[number]: int(counts[number]) for number in np.flatnonzero(counts).tolist()}
        return dict(sorted(by_state.items()))


def scan_summaries(
    ctx: QueryContext, segments: Sequence[SegmentInfo], by: Facet | None, names: NameResolver, *, limit: int
) -> Summaries:
    """Return the summary of all rows and of the largest groups."""
    partial = PartialScan(ctx, segments)
    statistics = _GroupStatistics()
    if by is None:
        partial.visit(lambda view, slots: statistics.add(view, slots, np.zeros(len(slots), np.int64), 1))
        return Summaries(statistics.total(), partial=partial.reason)
    groups = GroupNumbering()

    def add(view: SegmentView, slots: Any) -> None:
        group_numbers = groups.assign_rows(view, by, slots)
        if len(groups) > MAX_GROUPS:
            raise _TooManyGroups
        statistics.add(view, slots, group_numbers, len(groups))

    try:
        partial.visit(add)
    except _TooManyGroups:
        return _scan_largest_groups(ctx, segments, by, names, min(max(0, limit), MAX_GROUPS))
    values = {
        number: names(by, value) if by in ("exception", "failure") else value
        for number, value in enumerate(groups.values)
        if statistics.count(number)
    }
    order = sorted(values, key=lambda number: (-statistics.count(number), values[number] is None, values[number] or ""))
    listed = tuple(statistics.summary(number, values[number]) for number in order[: max(0, limit)])
    return Summaries(statistics.total(), listed, len(order) - len(listed), partial.reason)


class _TooManyGroups(Exception):
    """More groups than MAX_GROUPS."""


def _scan_largest_groups(
    ctx: QueryContext, segments: Sequence[SegmentInfo], by: Facet, names: NameResolver, limit: int
) -> Summaries:
    """Return the same for a large number of groups, from two scans: a sketch of each group would need gigabytes. If the
    time limit is reached in the first scan, no group is listed."""
    partial = PartialScan(ctx, segments)
    counts: dict[Any, int] = {}
    total, statistics = _GroupStatistics(), _GroupStatistics()

    def count(view: SegmentView, slots: Any) -> None:
        total.add(view, slots, np.zeros(len(slots), np.int64), 1)
        _add_counts(counts, _count_facet(view, by, slots))

    partial.visit(count)
    if partial.reason is not None:
        return Summaries(total.total(), (), len(counts), partial.reason)
    items = ctx.deadline.check_during(counts.items())
    try:
        largest = nsmallest(limit, items, key=lambda item: (-item[1], item[0] is None, str(item[0] or "")))
    except DeadlineExceeded as error:
        return Summaries(total.total(), (), len(counts), explain_partial(error))
    groups = GroupNumbering([value for value, _ in largest])

    def add(view: SegmentView, slots: Any) -> None:
        group_numbers = groups.assign_rows(view, by, slots)
        is_listed = group_numbers < len(groups)
        statistics.add(view, slots[is_listed], group_numbers[is_listed], len(groups))

    partial.visit(add)
    listed = tuple(
        statistics.summary(number, names(by, value) if by in ("exception", "failure") else value)
        for number, value in enumerate(groups.values)
    )
    return Summaries(total.total(), listed, len(counts) - len(listed), partial.reason)


def _add_counts(totals: dict[Any, int], counts: Mapping[Any, int]) -> None:
    for value, number in counts.items():
        totals[value] = totals.get(value, 0) + number


def scan_timeline(ctx: QueryContext, segments: Sequence[SegmentInfo], span: BucketSpan) -> Summaries:
    partial = PartialScan(restrict_to_span(ctx, span), segments)
    statistics = _GroupStatistics()

    def add(view: SegmentView, slots: Any) -> None:
        is_inside, buckets = find_buckets(view, span, slots)
        statistics.add(view, slots[is_inside], buckets, span.buckets)

    partial.visit(add)
    summaries = tuple(statistics.summary(bucket, span.start_at + bucket * span.width) for bucket in range(span.buckets))
    return Summaries(statistics.total(), summaries, partial=partial.reason)


def scan_slow_thresholds(ctx: QueryContext, segments: Sequence[SegmentInfo]) -> Mapping[str, float]:
    """Return, by task name, the run time in seconds above which a task is slow, from all run times in the store."""
    groups = GroupNumbering()
    parts: list[tuple[Any, Any]] = []
    pending = 0
    for segment in segments:
        ctx.deadline.raise_if_expired()
        try:
            names, group_numbers, buckets, counts = _segment_runtimes(ctx.open_view(segment))
        except SegmentUnavailable:
            continue
        numbers = np.array([groups.assign(name) for name in ctx.deadline.check_during(names)], np.int64)
        if len(names):
            parts.append((numbers[group_numbers] * BUCKET_COUNT + buckets, counts))
            pending += len(counts)
            if pending > _MAX_PENDING_CELLS:  # limits memory, whatever the number of segments
                parts, pending = [_sum_counts(parts)], 0
    if not parts:
        return {}
    cells, counts = _sum_counts(parts)
    thresholds: dict[str, float] = {}
    for first in range(0, len(groups), MAX_GROUPS):
        ctx.deadline.raise_if_expired()
        names = groups.values[first : first + MAX_GROUPS]
        thresholds |= derive_slow_thresholds(_build_sketches(names, first, cells, counts))
    return thresholds


def _sum_counts(parts: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Return each cell that occurs in a part, in ascending order, and its count in all of them."""
    cells, positions = np.unique(np.concatenate([cells for cells, _ in parts]), return_inverse=True)
    counts = np.zeros(len(cells), np.int64)
    np.add.at(counts, positions.ravel(), np.concatenate([counts for _, counts in parts]))
    return cells, counts


def _build_sketches(names: Sequence[str | None], first: int, cells: Any, counts: Any) -> dict[str, Sketch]:
    """Return the sketch of each name; `first`: the number of the first one. `cells`: number of the name and bucket."""
    bounds = np.searchsorted(cells, np.arange(first, first + len(names) + 1) * BUCKET_COUNT).tolist()
    sketches = {}
    for index, name in enumerate(names):
        if name is not None:
            part = slice(bounds[index], bounds[index + 1])
            buckets = (cells[part] - (first + index) * BUCKET_COUNT).tolist()
            sketches[name] = Sketch(dict(zip(buckets, counts[part].tolist(), strict=True)))
    return sketches


def _segment_runtimes(view: SegmentView) -> tuple[list[str | None], Any, Any, Any]:
    """Return the names, and the number of run times of each name in each bucket: index of the name, bucket, count."""
    cache = view.ctx.resources.result_cache
    cache_key = (view.snapshot_id, view.count, "run times")
    cached: tuple[list[str | None], Any, Any, Any] | None = cache.get(cache_key)
    if cached is None:
        groups = GroupNumbering()
        slots = np.flatnonzero((view.column("live") == 1) & (view.column("runtime_bucket") != NO_BUCKET))
        group_numbers = groups.assign_rows(view, "name", slots)
        (group_numbers, buckets), counts = count_combinations(
            (group_numbers, view.column("runtime_bucket")[slots]), (max(1, len(groups)), BUCKET_COUNT)
        )
        small = group_numbers.astype(np.uint32), buckets.astype(np.uint16), counts.astype(np.uint32)
        cached = (groups.values, *small)
        cache.put(cache_key, cached, sum(array.nbytes for array in small) + 100 * len(groups))
    return cached
