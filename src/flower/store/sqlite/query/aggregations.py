"""Counts, facets, histograms and summaries of what a query finds: from columns alone, segment by segment. What
comes too late is left out, and the answer says so.

Above which run time a task of each type counts as slow: from all run times that the store holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from flower.errors import DeadlineExceeded
from flower.quantile_sketch import BUCKET_COUNT, derive_slow_thresholds
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
    sketch_from_counts,
)

#: The exception class or failure group with this number; None for none.
NameResolver = Callable[[Facet, int], str | None]

_INITIAL_STATES: Final = 64


class PartialScan:
    """Goes through the segments until the time is over."""

    def __init__(self, question: QueryContext, entries: Sequence[SegmentInfo]) -> None:
        self._ctx = question
        self._segments = entries
        self.reason: str | None = None

    def iter_views(self) -> Iterator[tuple[SegmentView, Any]]:
        """Each segment with the slots that the query finds there, newest first."""
        for entry in reversed(self._segments):
            if not entry.rows or can_skip_segment(entry, self._ctx.where):
                continue
            try:
                look = self._ctx.open_view(entry)
                slots = np.flatnonzero(match_rows(look, self._ctx.where))
            except SegmentUnavailable:
                continue
            except DeadlineExceeded as error:
                self.reason = explain_partial(error)
                return
            if len(slots):
                yield look, slots


def explain_partial(error: DeadlineExceeded) -> str:
    return f"{error.message}; this is what was found until then. To see all, {error.hint}."


def scan_count(question: QueryContext, entries: Sequence[SegmentInfo]) -> Count:
    total = 0
    for entry in reversed(entries):
        try:
            total += count_matches(question, entry, question.where)
        except SegmentUnavailable:
            continue
        except DeadlineExceeded as error:
            return Count(total, explain_partial(error))
    return Count(total)


def scan_facets(
    question: QueryContext,
    entries: Sequence[SegmentInfo],
    wanted: Sequence[Facet],
    names: NameResolver,
    *,
    limit: int,
    containing: str | None,
) -> Facets:
    partial = PartialScan(question, entries)
    total = 0
    counts: dict[Facet, dict[Any, int]] = {facet: {} for facet in wanted}
    for look, slots in partial.iter_views():
        total += len(slots)
        for facet in wanted:
            known = counts[facet]
            for value, number in _count_facet(look, facet, slots).items():
                known[value] = known.get(value, 0) + number
    found: dict[str, FacetCounts] = {
        facet: _rank_facet(facet, counts[facet], names, limit, containing) for facet in wanted
    }
    return Facets(total, found, partial.reason)


def _count_facet(look: SegmentView, facet: Facet, slots: Any) -> dict[Any, int]:
    where = look.ctx.where
    asked = (look.snapshot_id, look.count, "facet", facet, where, look.ctx.slow_version_for(where))
    memory = look.ctx.resources.result_cache
    known: dict[Any, int] | None = memory.get(asked)
    if known is None:
        column = look.column(FACET_COLUMNS.get(facet, facet))[slots]
        if facet in ("exception", "failure"):
            values, numbers = np.unique(column, return_counts=True)
            known = dict(zip(values.tolist(), numbers.tolist(), strict=True))
        else:
            counts = np.bincount(column, minlength=1)
            words = look.dictionary.values
            known = {
                words[number] if number else None: int(counts[number]) for number in np.flatnonzero(counts).tolist()
            }
        memory.put(asked, known, 120 * len(known))
    return known


def _rank_facet(
    facet: Facet, counts: dict[Any, int], names: NameResolver, limit: int, containing: str | None
) -> FacetCounts:
    if facet in ("exception", "failure"):
        named: dict[str | None, int] = {}
        for number, found in counts.items():
            name = names(facet, number)
            named[name] = named.get(name, 0) + found
        counts = named
    return build_facet_counts(counts, limit, containing)


def assign_buckets(look: SegmentView, span: BucketSpan, slots: Any) -> tuple[Any, Any]:
    """Those of the slots that are in the span, and the bucket of each (`grouping.bucket_of`)."""
    with np.errstate(invalid="ignore", over="ignore"):
        places = np.floor((look.column(span.time)[slots] - span.start_at) / span.width)
        inside = (places >= 0) & (places < span.buckets)
    return slots[inside], places[inside].astype(np.int64)


def restrict_to_span(question: QueryContext, span: BucketSpan) -> QueryContext:
    """The same question for tasks that can be in the span: segments that are not are not looked at."""
    if span.time not in BOUNDED_KEYS:
        return question
    window = Term(span.time, "range", (span.start_at - span.width, span.end + span.width))
    return question.with_filter(all_of([question.where, window]))


def scan_histogram(question: QueryContext, entries: Sequence[SegmentInfo], span: BucketSpan) -> Histogram:
    partial = PartialScan(restrict_to_span(question, span), entries)
    states = GroupNumbering()
    grid = CountGrid(span.buckets)
    for look, slots in partial.iter_views():
        inside, places = assign_buckets(look, span, slots)
        grid.add(states.assign_rows(look, "state", inside), places, len(states))
    found = {state: grid.cells[number].tolist() for number, state in enumerate(states.values)}
    return Histogram(span, {state: tuple(found[state]) for state in sorted(found) if any(found[state])}, partial.reason)


class _GroupStatistics:
    """States and sketches by group."""

    def __init__(self) -> None:
        self.states = GroupNumbering()
        self._counts = CountGrid(_INITIAL_STATES)
        self._runtime, self._wait = GroupSketches(BUCKET_COUNT), GroupSketches(BUCKET_COUNT)

    def add(self, look: SegmentView, slots: Any, groups: Any, count: int) -> None:
        states = self.states.assign_rows(look, "state", slots)
        if len(self.states) > self._counts.width:
            self._widen()
        self._counts.add(groups, states, count)
        self._runtime.add(groups, look.column("runtime_bucket")[slots], count)
        self._wait.add(groups, look.column("wait_bucket")[slots], count)

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
            value, int(counts.sum()), self._by_state(counts), self._runtime.sketch(group), self._wait.sketch(group)
        )

    def total(self) -> Summary:
        counts = self._counts.cells.sum(axis=0)
        return Summary(None, int(counts.sum()), self._by_state(counts), self._runtime.total(), self._wait.total())

    def _by_state(self, counts: Any) -> dict[str, int]:
        found = {self.states.values[number]: int(counts[number]) for number in np.flatnonzero(counts).tolist()}
        return dict(sorted(found.items()))


def scan_summaries(
    question: QueryContext, entries: Sequence[SegmentInfo], by: Facet | None, names: NameResolver, *, limit: int
) -> Summaries:
    partial = PartialScan(question, entries)
    groups = GroupNumbering()
    figures = _GroupStatistics()
    for look, slots in partial.iter_views():
        which = np.zeros(len(slots), np.int64) if by is None else groups.assign_rows(look, by, slots)
        figures.add(look, slots, which, max(1, len(groups)))
    if by is None:
        return Summaries(figures.total(), partial=partial.reason)
    named = {
        number: names(by, value) if by in ("exception", "failure") else value
        for number, value in enumerate(groups.values)
    }
    order = sorted(named, key=lambda number: (-figures.count(number), named[number] is None, named[number] or ""))
    chosen = tuple(figures.summary(number, named[number]) for number in order[: max(0, limit)])
    return Summaries(figures.total(), chosen, len(order) - len(chosen), partial.reason)


def scan_timeline(question: QueryContext, entries: Sequence[SegmentInfo], span: BucketSpan) -> Summaries:
    partial = PartialScan(restrict_to_span(question, span), entries)
    figures = _GroupStatistics()
    for look, slots in partial.iter_views():
        inside, places = assign_buckets(look, span, slots)
        figures.add(look, inside, places, span.buckets)
    stretches = tuple(figures.summary(place, span.start_at + place * span.width) for place in range(span.buckets))
    return Summaries(figures.total(), stretches, partial=partial.reason)


def scan_slow_thresholds(question: QueryContext, entries: Sequence[SegmentInfo]) -> Mapping[str, float]:
    groups = GroupNumbering()
    grid = CountGrid(BUCKET_COUNT)
    for entry in entries:
        question.deadline.raise_if_expired()
        try:
            names, which, buckets, counts = _segment_runtimes(question.open_view(entry))
        except SegmentUnavailable:
            continue
        numbers = np.array([groups.assign(name) for name in names], np.int64)
        grid.add_counts(numbers[which] if len(names) else which, buckets, counts, len(groups))
    return derive_slow_thresholds(
        {name: sketch_from_counts(grid.cells[number]) for number, name in enumerate(groups.values) if name is not None}
    )


def _segment_runtimes(look: SegmentView) -> tuple[list[str | None], Any, Any, Any]:
    """Names, and how many run times of each are in each bucket: place of the name, bucket, count."""
    memory = look.ctx.resources.result_cache
    asked = (look.snapshot_id, look.count, "run times")
    known: tuple[list[str | None], Any, Any, Any] | None = memory.get(asked)
    if known is None:
        groups = GroupNumbering()
        slots = np.flatnonzero((look.column("live") == 1) & (look.column("runtime_bucket") != NO_BUCKET))
        which = groups.assign_rows(look, "name", slots)
        (which, buckets), counts = count_combinations(
            (which, look.column("runtime_bucket")[slots]), (max(1, len(groups)), BUCKET_COUNT)
        )
        known = (groups.values, which, buckets, counts)
        memory.put(asked, known, 24 * len(counts) + 100 * len(groups))
    return known
