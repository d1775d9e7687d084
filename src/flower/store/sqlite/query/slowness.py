"""Above which run time a task of each type counts as slow: from all run times that the store holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flower.sketch import BUCKET_COUNT, derive_slow_thresholds
from flower.store.sqlite.catalogue import SegmentInfo
from flower.store.sqlite.columns.layout import NO_BUCKET
from flower.store.sqlite.pool import SegmentUnavailable
from flower.store.sqlite.query.question import QueryContext, SegmentView
from flower.store.sqlite.query.tally import CountGrid, GroupNumbering, count_combinations, sketch_from_counts


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
