"""When each group of failures was first and last seen: from columns, remembered for each segment."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from flower.store.answers import SeenRange
from flower.store.sqlite.catalogue import SegmentInfo
from flower.store.sqlite.pool import SegmentUnavailable
from flower.store.sqlite.query.masks import FAILURE_ID_PATTERN
from flower.store.sqlite.query.question import QueryContext, SegmentView

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
