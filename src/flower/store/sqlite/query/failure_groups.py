"""Groups of failures, from columns; one row of each is read to say what they have in common.

When each group of failures was first and last seen: from columns, remembered for each segment."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from flower.fingerprint import Fingerprint, compute_fingerprint, exception_class_id, fingerprint_to_int
from flower.search.tree import Term, all_of
from flower.store.aggregation import sort_by_frequency
from flower.store.query_results import BucketSpan, Facet, FacetValue, FailureGroup, Failures, SeenRange
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.aggregations import PartialScan
from flower.store.sqlite.query.bitmasks import FAILURE_ID_PATTERN
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.group_counts import CountGrid, GroupNumbering, count_combinations
from flower.store.sqlite.row_codec import unpack_id

#: How many types and workers of a group are named.
_MAX_NAMES: Final = 5


def scan_failures(
    question: QueryContext, entries: Sequence[SegmentInfo], *, limit: int, span: BucketSpan | None
) -> Failures:
    there = question.with_filter(all_of([question.where, Term("failure", "present", "")]))
    partial = PartialScan(there, entries)
    gathered = _FailureAggregation(span)
    looks: dict[int, SegmentView] = {}
    for look, slots in partial.iter_views():
        looks[look.segment.first] = look
        gathered.add(look, slots)
    order = gathered.rank()
    groups = []
    for number in order[: max(0, limit)]:
        group = gathered.build_group(number, looks)
        if group is not None:
            groups.append(group)
    return Failures(tuple(groups), gathered.total, len(order) - len(groups), partial.reason)


class _FailureAggregation:
    def __init__(self, span: BucketSpan | None) -> None:
        self._span = span
        self._groups = GroupNumbering()
        self._counts = CountGrid(1)
        self._trend = CountGrid(span.buckets if span else 1)
        self._first_times = np.zeros(0)
        self._last_times = np.zeros(0)
        self._example_keys = np.zeros(0, np.int64)
        self._name_counts: dict[str, dict[tuple[int, str | None], int]] = {"name": {}, "hostname": {}}
        self.total = 0

    def add(self, look: SegmentView, slots: Any) -> None:
        which = self._groups.assign_rows(look, "failure", slots)
        count = len(self._groups)
        self._ensure_size(count)
        self.total += len(slots)
        self._counts.add(which, np.zeros(len(which), np.int64), count)
        times = look.column("timestamp")[slots]
        np.fmin.at(self._first_times, which, times)
        np.fmax.at(self._last_times, which, times)
        np.maximum.at(self._example_keys, which, slots + look.segment.first)
        for column, named in self._name_counts.items():
            numbers = look.column(column)[slots]
            (groups, words), counts = count_combinations((which, numbers), (count, int(numbers.max(initial=0)) + 1))
            for group, word, found in zip(groups.tolist(), words.tolist(), counts.tolist(), strict=True):
                key = (group, look.dictionary.values[word] if word else None)
                named[key] = named.get(key, 0) + found
        if self._span is not None:
            self._count_trend(look, slots, which, count, self._span)

    def _count_trend(self, look: SegmentView, slots: Any, which: Any, count: int, span: BucketSpan) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            places = np.floor((look.column(span.time)[slots] - span.start_at) / span.width)
            inside = (places >= 0) & (places < span.buckets)
        self._trend.add(which[inside], places[inside].astype(np.int64), count)

    def _ensure_size(self, count: int) -> None:
        more = count - len(self._first_times)
        if more > 0:
            self._first_times = np.concatenate([self._first_times, np.full(more, np.nan)])
            self._last_times = np.concatenate([self._last_times, np.full(more, np.nan)])
            self._example_keys = np.concatenate([self._example_keys, np.full(more, -1)])

    def rank(self) -> list[int]:
        """Largest first, equal ones latest first."""

        def key(number: int) -> tuple[int, bool, float, str]:
            last = float(self._last_times[number])
            missing = np.isnan(last)
            ident = f"{self._groups.values[number]:016x}"
            return (-int(self._counts.cells[number, 0]), bool(missing), 0.0 if missing else -last, ident)

        return sorted(range(len(self._groups)), key=key)

    def build_group(self, number: int, looks: dict[int, SegmentView]) -> FailureGroup | None:
        key = int(self._example_keys[number])
        look = looks[max(first for first in looks if first <= key)]
        described = read_fingerprint(look, key, int(self._groups.values[number]))
        if described is None:
            return None
        fingerprint, uuid = described
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
        counts = {word: found for (group, word), found in self._name_counts[column].items() if group == number}
        return tuple(FacetValue(word, found) for word, found in sort_by_frequency(counts)[:_MAX_NAMES])


def read_fingerprint(look: SegmentView, key: int, number: int) -> tuple[Fingerprint, str] | None:
    """What the row has in common with its group, and its id; None if it has changed since."""
    rows = look.read_rows("SELECT exception, traceback, uuid FROM task WHERE id = ?", (key,))
    fingerprint = compute_fingerprint(*rows[0][:2]) if rows else None
    if fingerprint is None or fingerprint_to_int(fingerprint) != number:
        return None
    return fingerprint, unpack_id(rows[0][2])


class StoredNameResolver:
    """The names behind the numbers of exception classes: read from one row that has it, then remembered."""

    def __init__(self, question: QueryContext, entries: Sequence[SegmentInfo]) -> None:
        self._ctx = question
        self._segments = entries

    def __call__(self, facet: Facet, number: int) -> str | None:
        if number == 0:
            return None
        if facet == "failure":
            return f"{number:016x}"
        memory = self._ctx.resources.result_cache
        known: str | None = memory.get(("class", number))
        if known is None:
            known = self._read_class_name(number)
            if known is not None:
                memory.put(("class", number), known)
        return known

    def _read_class_name(self, number: int) -> str | None:
        for entry in reversed(self._segments):
            try:
                look = self._ctx.open_view(entry)
                here = np.flatnonzero((look.column("exception") == number) & (look.column("live") == 1))
                if len(here) == 0:
                    continue
                key = int(here[-1]) + entry.first
                for row in look.read_rows("SELECT exception, traceback FROM task WHERE id = ?", (key,)):
                    fingerprint = compute_fingerprint(*row)
                    if fingerprint is not None and exception_class_id(fingerprint.exception) == number:
                        return fingerprint.exception
            except SegmentUnavailable:
                continue
        return None


#: Numbers of groups, in ascending order, with the first and last time and the count of each.
_GroupTimes = tuple[Any, Any, Any, Any]


def scan_failures_seen(
    question: QueryContext, entries: Sequence[SegmentInfo], failures: Collection[str] | None
) -> Mapping[str, SeenRange]:
    wanted = None if failures is None else _parse_failure_ids(failures)
    parts: list[_GroupTimes] = []
    for entry in entries:
        question.deadline.raise_if_expired()
        if not entry.rows:
            continue
        try:
            times = _segment_group_times(question.open_view(entry))
        except SegmentUnavailable:
            continue
        parts.append(times if wanted is None else _select_groups(times, wanted))
    if not parts:
        return {}
    groups, first, last, count = _merge_group_times(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    return {
        f"{group:016x}": SeenRange(_nan_to_none(first[place]), _nan_to_none(last[place]), int(count[place]))
        for place, group in enumerate(groups.tolist())
    }


def _parse_failure_ids(failures: Collection[str]) -> Any:
    """Texts that are no ids, as people write them, stand for no group."""
    return np.array([int(failure, 16) for failure in failures if FAILURE_ID_PATTERN.fullmatch(failure)], np.uint64)


def _select_groups(times: _GroupTimes, wanted: Any) -> _GroupTimes:
    groups, first, last, count = times
    if not len(groups) or not len(wanted):
        return groups[:0], first[:0], last[:0], count[:0]
    places = np.unique(np.minimum(np.searchsorted(groups, wanted), len(groups) - 1))
    here = places[np.isin(groups[places], wanted)]
    return groups[here], first[here], last[here], count[here]


def _segment_group_times(look: SegmentView) -> _GroupTimes:
    memory = look.ctx.resources.result_cache
    asked = (look.snapshot_id, look.count, "failures seen")
    known: _GroupTimes | None = memory.get(asked)
    if known is None:
        failure = look.column("failure")
        slots = np.flatnonzero((failure != 0) & (look.column("live") == 1))
        times = look.column("timestamp")[slots]
        known = _merge_group_times(failure[slots], times, times, np.ones(len(slots), np.int64))
        memory.put(asked, known, sum(part.nbytes for part in known))
    return known


def _merge_group_times(groups: Any, firsts: Any, lasts: Any, counts: Any) -> _GroupTimes:
    values, places = np.unique(groups, return_inverse=True)
    first, last = np.full(len(values), np.nan), np.full(len(values), np.nan)
    count = np.zeros(len(values), np.int64)
    np.fmin.at(first, places, firsts)
    np.fmax.at(last, places, lasts)
    np.add.at(count, places, counts)
    return values, first, last, count


def _nan_to_none(moment: Any) -> float | None:
    return None if np.isnan(moment) else float(moment)
