"""Workflows: tasks that other tasks reference as their root, newest first, with the progress of each.

A Bloom filter of 8 MB for the whole store finds the ids that may be roots; the rows decide. So the rows of tasks that
belong to no workflow are not read.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Final

import numpy as np

from flower.errors import DeadlineExceeded
from flower.records import FAILURE, FINAL_STATES, WAITING_STATES
from flower.store.sqlite.bloom_filter import BloomFilter
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.layout import HAS_BITS, hash_id
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.aggregations import explain_partial
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.evaluate import can_skip_segment, match_rows
from flower.store.sqlite.query.relations import RelationIndex

_BLOOM_BITS: Final = 1 << 26
_LOW_32_BITS: Final = np.uint32(0xFFFFFFFF)
#: Rows that may be roots are read in blocks; the first has about the size of a page.
_MIN_BLOCK: Final = 64
_MAX_BLOCK: Final = 1_000
#: Deleted segments leave their bits in the filter: after this many deletions it is rebuilt.
_MAX_STALE_SEGMENTS: Final = 16


class RootBloom:
    """Bloom filter of the ids that tasks of the store reference as their root."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._filter: BloomFilter | None = None
        # by segment, the change sequence that the filter includes
        self._sequences: dict[int, int] = {}

    def add_segments(self, ctx: QueryContext, segments: Sequence[SegmentInfo]) -> None:
        """Add the segments that have changed. Raises DeadlineExceeded."""
        with self._lock:
            if self._filter is None or len(self._sequences) > len(segments) + _MAX_STALE_SEGMENTS:
                self._filter, self._sequences = BloomFilter(_BLOOM_BITS, probes=1), {}
            for segment in segments:
                if not segment.rows or self._sequences.get(segment.number, -1) >= segment.sequence:
                    continue
                try:
                    roots = ctx.open_view(segment).column("root")
                except SegmentUnavailable:
                    continue
                self._filter.add(roots[roots != 0])
                self._sequences[segment.number] = segment.sequence

    def might_contain(self, hashes: Any) -> Any:
        """Return a mask of the hashes that may be in the filter. Called after `add_segments`."""
        assert self._filter is not None
        return self._filter.might_contain_each(hashes)


@dataclass(slots=True)
class WorkflowProgress:
    """Progress of one workflow; `key` is the key of its root."""

    key: int
    tasks: int = 0
    ended: int = 0
    failed: int = 0
    running: int = 0
    started: float | None = None
    last: float | None = None

    def add(self, state: str | None, since: float, timestamp: float, *, is_lost: bool) -> None:
        self.tasks += 1
        if state in FINAL_STATES:
            self.ended += 1
            self.failed += state == FAILURE
        elif state not in WAITING_STATES and not is_lost:
            self.running += 1
        if not isnan(since):
            self.started = since if self.started is None else min(self.started, since)
        if not isnan(timestamp):
            self.last = timestamp if self.last is None else max(self.last, timestamp)


def find_workflows(
    ctx: QueryContext,
    segments: Sequence[SegmentInfo],
    root_bloom: RootBloom,
    relations: RelationIndex,
    *,
    before: int | None,
    limit: int,
) -> tuple[list[WorkflowProgress], str | None]:
    """Return at most `limit` workflows whose roots have keys below `before`, newest first.

    If the deadline passes, the list is incomplete and the second value is the reason.
    """
    workflows: list[WorkflowProgress] = []
    try:
        root_bloom.add_segments(ctx, segments)
        for view, slots in _iter_candidates(ctx, segments, root_bloom, before):
            size = max(_MIN_BLOCK, min(limit, _MAX_BLOCK))
            for start in range(0, len(slots), size):
                workflows += _build_progress(view, slots[start : start + size], relations)
                if len(workflows) >= limit:
                    return workflows[:limit], None
    except DeadlineExceeded as error:
        return workflows, explain_partial(error)
    return workflows, None


def _iter_candidates(
    ctx: QueryContext, segments: Sequence[SegmentInfo], root_bloom: RootBloom, before: int | None
) -> Iterator[tuple[SegmentView, Any]]:
    """Yield segments, newest first, with the slots of matching rows that may be roots, newest first."""
    for segment in reversed(segments):
        if not segment.rows or can_skip_segment(segment, ctx.where) or (before is not None and segment.first >= before):
            continue
        try:
            view = ctx.open_view(segment)
            slots = np.flatnonzero(root_bloom.might_contain(_own_id_hashes(view)) & match_rows(view, ctx.where))
        except SegmentUnavailable:
            continue
        if before is not None:
            slots = slots[slots < before - segment.first]
        yield view, slots[::-1]


def _own_id_hashes(view: SegmentView) -> Any:
    """Return `hash_id` of the ids of all rows."""
    low = view.column("uuid_low")
    hashes = (low & np.uint64(_LOW_32_BITS)).astype(np.uint32)
    hashes[hashes == 0] = 1
    if view.segment.has_non_uuid_ids:
        is_non_uuid = (view.column("uuid_high") == 0) & (low == 0) & (view.column("live") == 1)
        if is_non_uuid.any():
            slots, read_hashes = _non_uuid_hashes(view)
            hashes[slots] = read_hashes
    return hashes


def _non_uuid_hashes(view: SegmentView) -> tuple[Any, Any]:
    """Return the slots and hashes of the ids that are not UUIDs: they are read from the rows, and cached."""
    cache = view.ctx.resources.result_cache
    cache_key = (view.snapshot_id, view.count, "non-UUID ids")
    cached: tuple[Any, Any] | None = cache.get(cache_key)
    if cached is None:
        sql = "SELECT id, uuid FROM task WHERE typeof(uuid) = 'text' AND id < ?"
        rows = view.read_rows(sql, (view.segment.next,))
        slots = np.fromiter((row[0] for row in rows), np.int64, len(rows)) - view.segment.first
        cached = slots, np.fromiter((hash_id(row[1]) for row in rows), np.uint32, len(rows))
        cache.put(cache_key, cached, cached[0].nbytes + cached[1].nbytes)
    return cached


def _build_progress(view: SegmentView, slots: Any, relations: RelationIndex) -> list[WorkflowProgress]:
    """Return the progress of the rows that are roots, newest first."""
    first = view.segment.first
    id_list = ",".join(map(str, (slots + first).tolist()))
    try:
        rows = view.read_rows(f"SELECT id, uuid FROM task WHERE id IN ({id_list})")
    except SegmentUnavailable:
        return []
    roots = {uuid: WorkflowProgress(key) for key, uuid in rows}
    for member_view, members in relations.iter_members(roots):
        _count_members(member_view, members, roots)
    with_children = [progress for progress in roots.values() if progress.tasks]
    _count_members(view, [(progress.key, uuid) for uuid, progress in roots.items() if progress.tasks], roots)
    return sorted(with_children, key=lambda progress: -progress.key)


def _count_members(view: SegmentView, members: Sequence[tuple[int, Any]], roots: dict[Any, WorkflowProgress]) -> None:
    """Add rows of the segment to the progress of their root. `members`: key and root of each row."""
    slots = np.fromiter((key for key, _ in members), np.int64, len(members)) - view.segment.first
    words = view.dictionary.values
    sent, received, started = (view.column(name)[slots] for name in ("sent", "received", "started"))
    since = np.where(np.isnan(sent), received, sent)
    since = np.where(np.isnan(since), started, since)
    values = zip(
        members,
        view.column("state")[slots].tolist(),
        since.tolist(),
        view.column("timestamp")[slots].tolist(),
        ((view.column("has")[slots] & HAS_BITS["lost"]) != 0).tolist(),
        strict=True,
    )
    for (_, root), state, begin, timestamp, is_lost in values:
        roots[root].add(words[state] if state else None, begin, timestamp, is_lost=is_lost)
