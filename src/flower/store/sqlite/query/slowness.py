"""Above which run time a task of each type counts as slow: from all run times that the store holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flower.sketch import BUCKETS, slow_thresholds
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.columns.layout import NO_BUCKET
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query.question import Look, Question
from flower.store.sqlite.query.tally import Grid, Groups, sketch_of, tally


def slow(question: Question, entries: Sequence[Segment]) -> Mapping[str, float]:
    groups = Groups()
    grid = Grid(BUCKETS)
    for entry in entries:
        question.deadline.check()
        try:
            names, which, buckets, counts = _of_segment(question.look(entry))
        except SegmentGone:
            continue
        numbers = np.array([groups.number(name) for name in names], np.int64)
        grid.put(numbers[which] if len(names) else which, buckets, counts, len(groups))
    return slow_thresholds(
        {name: sketch_of(grid.cells[number]) for number, name in enumerate(groups.values) if name is not None}
    )


def _of_segment(look: Look) -> tuple[list[str | None], Any, Any, Any]:
    """Names, and how many run times of each are in each bucket: place of the name, bucket, count."""
    memory = look.question.means.memory
    asked = (look.stamp, look.count, "run times")
    known: tuple[list[str | None], Any, Any, Any] | None = memory.get(asked)
    if known is None:
        groups = Groups()
        slots = np.flatnonzero((look.column("live") == 1) & (look.column("runtime_bucket") != NO_BUCKET))
        which = groups.of(look, "name", slots)
        (which, buckets), counts = tally((which, look.column("runtime_bucket")[slots]), (max(1, len(groups)), BUCKETS))
        known = (groups.values, which, buckets, counts)
        memory.put(asked, known, 24 * len(counts) + 100 * len(groups))
    return known
