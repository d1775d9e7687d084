"""Prefetched (received, not started) and executing tasks of each worker and task name, counted from columns."""

from collections.abc import Sequence
from math import isnan
from typing import Any, Final

import numpy as np

from flower.counters import InFlight, LiveWorkers
from flower.records import RECEIVED, STARTED
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.layout import HAS_BITS, INTEGER_COLUMNS
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.schema import STATE_IDS

_RECEIVED: Final = STATE_IDS[RECEIVED]
_STARTED: Final = STATE_IDS[STARTED]
_NO_PID: Final = np.iinfo(INTEGER_COLUMNS["pid"]).min

#: Number of waiting tasks; start time and receive time of the one that started last.
_PairCounts = tuple[int, float, float]
_NO_TASKS: Final[_PairCounts] = (0, -np.inf, 0.0)


def count_in_flight(ctx: QueryContext, segments: Sequence[SegmentInfo], live_workers: LiveWorkers) -> list[InFlight]:
    """Return the tasks that live workers have, without lost tasks and those with an ETA."""
    counts: dict[tuple[str, str], _PairCounts] = {}
    for segment in segments:
        try:
            view = ctx.open_view(segment)
            for pair, (waiting, started, received) in _count_segment(view, live_workers).items():
                previous = counts.get(pair, _NO_TASKS)
                counts[pair] = (previous[0] + waiting, *max(previous[1:], (started, received)))
        except SegmentUnavailable:
            continue
    return [
        InFlight(*pair, waiting, None if started == -np.inf else max(started - received, 0.0))
        for pair, (waiting, started, received) in counts.items()
        if waiting or started != -np.inf
    ]


def _count_segment(view: SegmentView, live_workers: LiveWorkers) -> dict[tuple[str, str], _PairCounts]:
    state = view.column("state")
    slots = np.flatnonzero((state == _RECEIVED) | (state == _STARTED))
    if not len(slots):
        return {}
    excluded = HAS_BITS["eta"] | HAS_BITS["lost"]
    is_counted = (view.column("live")[slots] == 1) & ((view.column("has")[slots] & excluded) == 0)
    slots = slots[is_counted]
    slots = slots[_current_incarnation_mask(view, slots, live_workers)]
    words = view.dictionary.values
    counts: dict[tuple[str, str], _PairCounts] = {}
    columns = [view.column(name)[slots].tolist() for name in ("hostname", "name", "state", "started", "received")]
    rows = view.ctx.deadline.check_during(zip(*columns, strict=True))
    for hostname, name, state_id, started, received in rows:
        pair = words[hostname] or "", (words[name] if name else None) or ""
        waiting, *last = counts.get(pair, _NO_TASKS)
        if state_id == _RECEIVED:
            waiting += 1
        elif not (isnan(started) or isnan(received)):
            last = max(last, [started, received])
        counts[pair] = (waiting, last[0], last[1])
    return counts


def _current_incarnation_mask(view: SegmentView, slots: Any, live_workers: LiveWorkers) -> Any:
    """Return a mask of the tasks that the present incarnation of their worker received."""
    hosts = view.column("hostname")[slots]
    is_current = np.zeros(len(slots), bool)
    words = view.dictionary.values
    received, pids = view.column("received")[slots], view.column("pid")[slots]
    for number in np.unique(hosts).tolist():
        incarnation = live_workers.get(words[number] or "") if number else None
        if incarnation is None:
            continue
        mask = hosts == number
        if incarnation.since is not None:
            mask &= received >= incarnation.since  # a comparison with NaN is false
        if incarnation.pid is not None:
            mask &= (pids == _NO_PID) | (pids == incarnation.pid)
        is_current |= mask
    return is_current
