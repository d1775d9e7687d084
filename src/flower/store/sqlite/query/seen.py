"""When each group of failures was first and last seen: from columns, remembered for each segment."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from flower.store.answers import Seen
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query.masks import IDENT
from flower.store.sqlite.query.question import Look, Question

#: Numbers of groups, in ascending order, with the first and last time and the count of each.
_Times = tuple[Any, Any, Any, Any]


def failures_seen(
    question: Question, entries: Sequence[Segment], failures: Collection[str] | None
) -> Mapping[str, Seen]:
    wanted = None if failures is None else _numbers(failures)
    parts: list[_Times] = []
    for entry in entries:
        question.deadline.check()
        if not entry.rows:
            continue
        try:
            times = _of_segment(question.look(entry))
        except SegmentGone:
            continue
        parts.append(times if wanted is None else _only(times, wanted))
    if not parts:
        return {}
    groups, first, last, count = _together(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    return {
        f"{group:016x}": Seen(_known(first[place]), _known(last[place]), int(count[place]))
        for place, group in enumerate(groups.tolist())
    }


def _numbers(failures: Collection[str]) -> Any:
    """Texts that are no ids, as people write them, stand for no group."""
    return np.array([int(failure, 16) for failure in failures if IDENT.fullmatch(failure)], np.uint64)


def _only(times: _Times, wanted: Any) -> _Times:
    groups, first, last, count = times
    if not len(groups) or not len(wanted):
        return groups[:0], first[:0], last[:0], count[:0]
    places = np.unique(np.minimum(np.searchsorted(groups, wanted), len(groups) - 1))
    here = places[np.isin(groups[places], wanted)]
    return groups[here], first[here], last[here], count[here]


def _of_segment(look: Look) -> _Times:
    memory = look.question.means.memory
    asked = (look.stamp, look.count, "failures seen")
    known: _Times | None = memory.get(asked)
    if known is None:
        failure = look.column("failure")
        slots = np.flatnonzero((failure != 0) & (look.column("live") == 1))
        times = look.column("timestamp")[slots]
        known = _together(failure[slots], times, times, np.ones(len(slots), np.int64))
        memory.put(asked, known, sum(part.nbytes for part in known))
    return known


def _together(groups: Any, firsts: Any, lasts: Any, counts: Any) -> _Times:
    values, places = np.unique(groups, return_inverse=True)
    first, last = np.full(len(values), np.nan), np.full(len(values), np.nan)
    count = np.zeros(len(values), np.int64)
    np.fmin.at(first, places, firsts)
    np.fmax.at(last, places, lasts)
    np.add.at(count, places, counts)
    return values, first, last, count


def _known(moment: Any) -> float | None:
    return None if np.isnan(moment) else float(moment)
