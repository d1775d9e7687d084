"""What workers have received and not started, and what they are running: from columns, segment by segment."""

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

#: Number of tasks that wait; when the last one started, and when it had been received.
_PairCounts = tuple[int, float, float]
_NO_TASKS: Final[_PairCounts] = (0, -np.inf, 0.0)


def count_in_flight(question: QueryContext, entries: Sequence[SegmentInfo], living: LiveWorkers) -> list[InFlight]:
    found: dict[tuple[str, str], _PairCounts] = {}
    for entry in entries:
        try:
            look = question.open_view(entry)
            for pair, (waiting, started, received) in _count_segment(look, living).items():
                before = found.get(pair, _NO_TASKS)
                found[pair] = (before[0] + waiting, *max(before[1:], (started, received)))
        except SegmentUnavailable:
            continue
    return [
        InFlight(*pair, waiting, None if started == -np.inf else max(started - received, 0.0))
        for pair, (waiting, started, received) in found.items()
        if waiting or started != -np.inf
    ]


def _count_segment(look: SegmentView, living: LiveWorkers) -> dict[tuple[str, str], _PairCounts]:
    state = look.column("state")
    slots = np.flatnonzero((state == _RECEIVED) | (state == _STARTED))
    if not len(slots):
        return {}
    here = (look.column("live")[slots] == 1) & ((look.column("has")[slots] & HAS_BITS["eta"]) == 0)
    slots = slots[here]
    slots = slots[_current_incarnation_mask(look, slots, living)]
    words = look.dictionary.values
    found: dict[tuple[str, str], _PairCounts] = {}
    columns = [look.column(name)[slots].tolist() for name in ("hostname", "name", "state", "started", "received")]
    for hostname, name, of, started, received in zip(*columns, strict=True):
        pair = words[hostname] or "", (words[name] if name else None) or ""
        waiting, *last = found.get(pair, _NO_TASKS)
        if of == _RECEIVED:
            waiting += 1
        elif not (isnan(started) or isnan(received)):
            last = max(last, [started, received])
        found[pair] = (waiting, last[0], last[1])
    return found


def _current_incarnation_mask(look: SegmentView, slots: Any, living: LiveWorkers) -> Any:
    """A mask of those that their worker still has."""
    hosts = look.column("hostname")[slots]
    alive = np.zeros(len(slots), bool)
    words = look.dictionary.values
    received, pids = look.column("received")[slots], look.column("pid")[slots]
    for number in np.unique(hosts).tolist():
        life = living.get(words[number] or "") if number else None
        if life is None:
            continue
        mask = hosts == number
        if life.since is not None:
            mask &= received >= life.since  # NaN compares with nothing
        if life.pid is not None:
            mask &= (pids == _NO_PID) | (pids == life.pid)
        alive |= mask
    return alive
