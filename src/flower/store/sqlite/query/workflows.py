"""Workflows: tasks that others name as their root, newest first, each with how far it is.

Which ids are named is first told by bits, 8 MB for the whole store, which never miss one; the rows decide. So a store
full of tasks that stand alone is passed over in columns.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from flower.errors import DeadlineExceeded
from flower.records import FAILURE, FINAL_STATES, WAITING_STATES
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.layout import hash_id
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.aggregations import explain_partial
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.evaluate import can_skip_segment, match_rows
from flower.store.sqlite.query.relations import RelationIndex

_BLOOM_BITS: Final = 1 << 26
_LOW_32_BITS: Final = np.uint32(0xFFFFFFFF)
#: Rows that may be roots are looked at in blocks, the first of about a page.
_MIN_BLOCK: Final = 64
_MAX_BLOCK: Final = 1_000
#: Segments that went leave their bits behind: beyond so many, all are set anew.
_MAX_STALE_SEGMENTS: Final = 16


class RootBloom:
    """Which ids the tasks of the store name as their root: a bit for each value of the last bits of an id's hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bits = np.zeros(0, np.uint8)
        #: by segment, the change of it that the bits are as of
        self._sequences: dict[int, int] = {}

    def add_segments(self, question: QueryContext, entries: Sequence[SegmentInfo]) -> None:
        """Raises WaitedTooLong."""
        with self._lock:
            if not len(self._bits) or len(self._sequences) > len(entries) + _MAX_STALE_SEGMENTS:
                self._bits, self._sequences = np.zeros(_BLOOM_BITS >> 3, np.uint8), {}
            for entry in entries:
                if not entry.rows or self._sequences.get(entry.number, -1) >= entry.sequence:
                    continue
                try:
                    roots = question.open_view(entry).column("root")
                except SegmentUnavailable:
                    continue
                self._add(roots[roots != 0])
                self._sequences[entry.number] = entry.sequence

    def _add(self, hashes: Any) -> None:
        places = np.unique(hashes & np.uint32(_BLOOM_BITS - 1))
        np.bitwise_or.at(self._bits, places >> 3, np.uint8(1) << (places & 7).astype(np.uint8))

    def might_contain(self, hashes: Any) -> Any:
        """Which of these may be named."""
        places = hashes & np.uint32(_BLOOM_BITS - 1)
        return (self._bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1 == 1


@dataclass(slots=True)
class WorkflowProgress:
    """What is known of a workflow: `key` is its root's."""

    key: int
    tasks: int = 0
    ended: int = 0
    failed: int = 0
    running: int = 0
    started: float | None = None
    last: float | None = None

    def add(self, state: str | None, since: float, timestamp: float) -> None:
        self.tasks += 1
        if state in FINAL_STATES:
            self.ended += 1
            self.failed += state == FAILURE
        elif state not in WAITING_STATES:
            self.running += 1
        if since == since:  # noqa: PLR0124 (not NaN)
            self.started = since if self.started is None else min(self.started, since)
        if timestamp == timestamp:  # noqa: PLR0124
            self.last = timestamp if self.last is None else max(self.last, timestamp)


def find_workflows(
    question: QueryContext,
    entries: Sequence[SegmentInfo],
    root_bloom: RootBloom,
    relations: RelationIndex,
    *,
    before: int | None,
    limit: int,
) -> tuple[list[WorkflowProgress], str | None]:
    """At most `want`, of roots with keys below `before`; and why there are no more, if the time was over."""
    found: list[WorkflowProgress] = []
    try:
        root_bloom.add_segments(question, entries)
        for look, slots in _iter_candidates(question, entries, root_bloom, before):
            size = max(_MIN_BLOCK, min(limit, _MAX_BLOCK))
            for place in range(0, len(slots), size):
                found += _build_progress(look, slots[place : place + size], relations)
                if len(found) >= limit:
                    return found[:limit], None
    except DeadlineExceeded as error:
        return found, explain_partial(error)
    return found, None


def _iter_candidates(
    question: QueryContext, entries: Sequence[SegmentInfo], named: RootBloom, before: int | None
) -> Iterator[tuple[SegmentView, Any]]:
    """Segments, newest first, with the slots of rows that the query finds and that others may name, newest first."""
    for entry in reversed(entries):
        if not entry.rows or can_skip_segment(entry, question.where) or (before is not None and entry.first >= before):
            continue
        try:
            look = question.open_view(entry)
            slots = np.flatnonzero(named.might_contain(_own_id_hashes(look)) & match_rows(look, question.where))
        except SegmentUnavailable:
            continue
        if before is not None:
            slots = slots[slots < before - entry.first]
        yield look, slots[::-1]


def _own_id_hashes(look: SegmentView) -> Any:
    """`hashed` of the rows' own ids."""
    low = look.column("uuid_low")
    hashes = (low & np.uint64(_LOW_32_BITS)).astype(np.uint32)
    hashes[hashes == 0] = 1
    if look.segment.has_non_uuid_ids:
        odd = np.flatnonzero((look.column("uuid_high") == 0) & (low == 0) & (look.column("live") == 1))
        if len(odd):
            slots, known = _non_uuid_hashes(look)
            hashes[slots] = known
    return hashes


def _non_uuid_hashes(look: SegmentView) -> tuple[Any, Any]:
    """Of ids that are no UUIDs: they are read, and remembered."""
    memory = look.ctx.resources.result_cache
    asked = (look.snapshot_id, look.count, "odd ids")
    known: tuple[Any, Any] | None = memory.get(asked)
    if known is None:
        sql = "SELECT id, uuid FROM task WHERE typeof(uuid) = 'text' AND id < ?"
        rows = look.read_rows(sql, (look.segment.next,))
        slots = np.fromiter((row[0] for row in rows), np.int64, len(rows)) - look.segment.first
        known = slots, np.fromiter((hash_id(row[1]) for row in rows), np.uint32, len(rows))
        memory.put(asked, known, known[0].nbytes + known[1].nbytes)
    return known


def _build_progress(look: SegmentView, slots: Any, relations: RelationIndex) -> list[WorkflowProgress]:
    """Of these rows, in their order, those that others name as their root."""
    first = look.segment.first
    listed = ",".join(map(str, (slots + first).tolist()))
    try:
        rows = look.read_rows(f"SELECT id, uuid FROM task WHERE id IN ({listed})")
    except SegmentUnavailable:
        return []
    roots = {uuid: WorkflowProgress(key) for key, uuid in rows}
    for other, members in relations.iter_members(roots):
        _count_members(other, members, roots)
    with_children = [progress for progress in roots.values() if progress.tasks]
    _count_members(look, [(progress.key, uuid) for uuid, progress in roots.items() if progress.tasks], roots)
    return sorted(with_children, key=lambda progress: -progress.key)


def _count_members(look: SegmentView, members: Sequence[tuple[int, Any]], roots: dict[Any, WorkflowProgress]) -> None:
    """`members`: keys of rows of the segment, with the root of each."""
    slots = np.fromiter((key for key, _ in members), np.int64, len(members)) - look.segment.first
    words = look.dictionary.values
    since, received, started = (look.column(name)[slots] for name in ("sent", "received", "started"))
    since = np.where(np.isnan(since), received, since)
    since = np.where(np.isnan(since), started, since)
    values = zip(
        members,
        look.column("state")[slots].tolist(),
        since.tolist(),
        look.column("timestamp")[slots].tolist(),
        strict=True,
    )
    for (_, root), state, begun, timestamp in values:
        roots[root].add(words[state] if state else None, begun, timestamp)
