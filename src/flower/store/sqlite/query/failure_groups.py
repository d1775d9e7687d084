"""Failure groups, aggregated from columns: the list of groups, and when each was first and last seen.

One row of each listed group is read for its fingerprint.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from flower.errors import DeadlineExceeded
from flower.fingerprint import Fingerprint, compute_fingerprint, exception_class_id, fingerprint_to_int
from flower.search.tree import Term, all_of
from flower.store.aggregation import build_facet_counts
from flower.store.query_results import BucketSpan, Facet, FacetValue, FailureGroup, Failures, SeenRange
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.aggregations import PartialScan, explain_partial, find_buckets
from flower.store.sqlite.query.bitmasks import FAILURE_ID_PATTERN
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.group_counts import CountGrid, GroupNumbering, count_combinations
from flower.store.sqlite.row_codec import unpack_id

#: task names and workers listed for each group
_MAX_NAMES: Final = 5


def scan_failures(
    ctx: QueryContext, segments: Sequence[SegmentInfo], *, limit: int, span: BucketSpan | None
) -> Failures:
    """Return the largest groups of the matching tasks that failed. `span`: buckets of the trend of each group."""
    failed = ctx.with_filter(all_of([ctx.where, Term("failure", "present", "")]))
    partial = PartialScan(failed, segments)
    aggregation = _FailureAggregation(span)
    views: dict[int, SegmentView] = {}

    def add(view: SegmentView, slots: Any) -> None:
        aggregation.add(view, slots)
        views[view.segment.first] = view

    partial.visit(add)
    order = aggregation.rank()
    groups: list[FailureGroup] = []
    reason = partial.reason
    try:
        for number in order[: max(0, limit)]:
            group = aggregation.build_group(number, views)
            if group is not None:
                groups.append(group)
    except DeadlineExceeded as error:
        reason = explain_partial(error)
    return Failures(tuple(groups), aggregation.total, len(order) - len(groups), reason)


class _FailureAggregation:
    """Counts, times, trend and names of each failure group, over all segments."""

    def __init__(self, span: BucketSpan | None) -> None:
        self._span = span
        self._groups = GroupNumbering()
        self._counts = CountGrid(1)
        self._trend = CountGrid(span.buckets if span else 1)
        self._first_times = np.zeros(0)
        self._last_times = np.zeros(0)
        self._example_keys = np.zeros(0, np.int64)
        #: by column and group, the rows of each word
        self._name_counts: dict[str, dict[int, dict[str | None, int]]] = {"name": {}, "hostname": {}}
        self.total = 0

    def add(self, view: SegmentView, slots: Any) -> None:
        group_numbers = self._groups.assign_rows(view, "failure", slots)
        group_count = len(self._groups)
        # first, because the deadline may pass within it: a segment is counted completely or not at all
        names = {column: _count_names(view, slots, group_numbers, column) for column in self._name_counts}
        self._ensure_size(group_count)
        self.total += len(slots)
        self._counts.add(group_numbers, np.zeros(len(group_numbers), np.int64), group_count)
        times = view.column("timestamp")[slots]
        np.fmin.at(self._first_times, group_numbers, times)
        np.fmax.at(self._last_times, group_numbers, times)
        np.maximum.at(self._example_keys, group_numbers, slots + view.segment.first)
        for column, found in names.items():
            for group, word, count in found:
                counts = self._name_counts[column].setdefault(group, {})
                counts[word] = counts.get(word, 0) + count
        if self._span is not None:
            self._count_trend(view, slots, group_numbers, group_count, self._span)

    def _count_trend(
        self, view: SegmentView, slots: Any, group_numbers: Any, group_count: int, span: BucketSpan
    ) -> None:
        is_inside, buckets = find_buckets(view, span, slots)
        self._trend.add(group_numbers[is_inside], buckets, group_count)

    def _ensure_size(self, group_count: int) -> None:
        missing = group_count - len(self._first_times)
        if missing > 0:
            self._first_times = np.concatenate([self._first_times, np.full(missing, np.nan)])
            self._last_times = np.concatenate([self._last_times, np.full(missing, np.nan)])
            self._example_keys = np.concatenate([self._example_keys, np.full(missing, -1)])

    def rank(self) -> list[int]:
        """Return the group numbers, largest group first, groups of the same size latest first."""

        def key(number: int) -> tuple[int, bool, float, str]:
            last = float(self._last_times[number])
            missing = np.isnan(last)
            group_id = f"{self._groups.values[number]:016x}"
            return (-int(self._counts.cells[number, 0]), bool(missing), 0.0 if missing else -last, group_id)

        return sorted(range(len(self._last_times)), key=key)

    def build_group(self, number: int, views: dict[int, SegmentView]) -> FailureGroup | None:
        key = int(self._example_keys[number])
        view = views[max(first for first in views if first <= key)]
        result = read_fingerprint(view, key, int(self._groups.values[number]))
        if result is None:
            return None
        fingerprint, uuid = result
        first, last = float(self._first_times[number]), float(self._last_times[number])
        trend = self._trend.cells[number] if number < len(self._trend.cells) else np.zeros(self._trend.width, np.int64)
        return FailureGroup(
            fingerprint,
            int(self._counts.cells[number, 0]),
            None if np.isnan(first) else first,
            None if np.isnan(last) else last,
            tuple(trend.tolist()) if self._span else (),
            self._most_frequent("name", number),
            self._most_frequent("hostname", number),
            uuid,
        )

    def _most_frequent(self, column: str, number: int) -> tuple[FacetValue, ...]:
        return build_facet_counts(self._name_counts[column].get(number, {}), _MAX_NAMES).values


def _count_names(view: SegmentView, slots: Any, group_numbers: Any, column: str) -> list[tuple[int, str | None, int]]:
    """Return each combination of a group and a word, and its number of rows. Raises DeadlineExceeded."""
    numbers = view.column(column)[slots]
    sizes = (int(group_numbers.max(initial=0)) + 1, int(numbers.max(initial=0)) + 1)
    (groups, words), counts = count_combinations((group_numbers, numbers), sizes)
    values = view.dictionary.values
    rows = zip(groups.tolist(), words.tolist(), counts.tolist(), strict=True)
    return [
        (group, values[word] if word else None, count) for group, word, count in view.ctx.deadline.check_during(rows)
    ]


def read_fingerprint(view: SegmentView, key: int, number: int) -> tuple[Fingerprint, str] | None:
    """Return the fingerprint and the UUID of the row; None if the row has changed since, or is damaged."""
    rows = view.read_rows_by_id("SELECT exception, traceback, uuid FROM task", [key])
    fingerprint = compute_fingerprint(*rows[0][:2]) if rows else None
    if fingerprint is None or fingerprint_to_int(fingerprint) != number:
        return None
    return fingerprint, unpack_id(rows[0][2])


class StoredNameResolver:
    """Exception class or failure group by its number. A class name is read from one row that has it, then cached."""

    def __init__(self, ctx: QueryContext, segments: Sequence[SegmentInfo]) -> None:
        self._ctx = ctx
        self._segments = segments

    def __call__(self, facet: Facet, number: int) -> str | None:
        if number == 0:
            return None
        if facet == "failure":
            return f"{number:016x}"
        cache = self._ctx.resources.result_cache
        cached: str | None = cache.get(("class", number))
        if cached is None:
            cached = self._read_class_name(number)
            if cached is not None:
                cache.put(("class", number), cached)
        return cached

    def _read_class_name(self, number: int) -> str | None:
        for segment in reversed(self._segments):
            try:
                view = self._ctx.open_view(segment)
                slots = np.flatnonzero((view.column("exception") == number) & (view.column("live") == 1))
                if len(slots) == 0:
                    continue
                key = int(slots[-1]) + segment.first
                for row in view.read_rows("SELECT exception, traceback FROM task WHERE id = ?", (key,)):
                    fingerprint = compute_fingerprint(*row)
                    if fingerprint is not None and exception_class_id(fingerprint.exception) == number:
                        return fingerprint.exception
            except SegmentUnavailable:
                continue
        return None


#: Group numbers in ascending order, with the first time, the last time and the count of each.
_GroupTimes = tuple[Any, Any, Any, Any]


def scan_failures_seen(
    ctx: QueryContext, segments: Sequence[SegmentInfo], failures: Collection[str] | None
) -> Mapping[str, SeenRange]:
    """Return the time range and the count of each of these groups; of all groups for None."""
    wanted = None if failures is None else _parse_failure_ids(failures)
    parts: list[_GroupTimes] = []
    for segment in segments:
        ctx.deadline.raise_if_expired()
        if not segment.rows:
            continue
        try:
            times = _segment_group_times(ctx.open_view(segment))
        except SegmentUnavailable:
            continue
        parts.append(times if wanted is None else _select_groups(times, wanted))
    if not parts:
        return {}
    groups, first, last, count = _merge_group_times(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    return {
        f"{group:016x}": SeenRange(_nan_to_none(first[index]), _nan_to_none(last[index]), int(count[index]))
        for index, group in enumerate(groups.tolist())
    }


def _parse_failure_ids(failures: Collection[str]) -> Any:
    """Parse failure group ids; text that is not such an id matches no group."""
    return np.array([int(failure, 16) for failure in failures if FAILURE_ID_PATTERN.fullmatch(failure)], np.uint64)


def _select_groups(times: _GroupTimes, wanted: Any) -> _GroupTimes:
    groups, first, last, count = times
    if not len(groups) or not len(wanted):
        return groups[:0], first[:0], last[:0], count[:0]
    indexes = np.unique(np.minimum(np.searchsorted(groups, wanted), len(groups) - 1))
    selected = indexes[np.isin(groups[indexes], wanted)]
    return groups[selected], first[selected], last[selected], count[selected]


def _segment_group_times(view: SegmentView) -> _GroupTimes:
    cache = view.ctx.resources.result_cache
    cache_key = (view.snapshot_id, view.count, "failures seen")
    cached: _GroupTimes | None = cache.get(cache_key)
    if cached is None:
        failure = view.column("failure")
        slots = np.flatnonzero((failure != 0) & (view.column("live") == 1))
        times = view.column("timestamp")[slots]
        cached = _merge_group_times(failure[slots], times, times, np.ones(len(slots), np.int64))
        cache.put(cache_key, cached, sum(part.nbytes for part in cached))
    return cached


def _merge_group_times(groups: Any, firsts: Any, lasts: Any, counts: Any) -> _GroupTimes:
    values, indexes = np.unique(groups, return_inverse=True)
    first, last = np.full(len(values), np.nan), np.full(len(values), np.nan)
    count = np.zeros(len(values), np.int64)
    np.fmin.at(first, indexes, firsts)
    np.fmax.at(last, indexes, lasts)
    np.add.at(count, indexes, counts)
    return values, first, last, count


def _nan_to_none(time: Any) -> float | None:
    return None if np.isnan(time) else float(time)
