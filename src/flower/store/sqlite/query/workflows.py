"""Workflows: tasks that others name as their root, newest first, each with how far it is.

Which ids are named is first told by bits, 8 MB for the whole store, which never miss one; the rows decide. So a store
full of tasks that stand alone is passed over in columns.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from flower.errors import WaitedTooLong
from flower.records import FAILURE, FINAL_STATES, WAITING_STATES
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.columns.layout import hashed
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query.exact import exact, excluded
from flower.store.sqlite.query.figures import late
from flower.store.sqlite.query.question import Look, Question
from flower.store.sqlite.query.related import Relations

_BITS: Final = 1 << 26
_LAST: Final = np.uint32(0xFFFFFFFF)
#: Rows that may be roots are looked at in blocks, the first of about a page.
_LEAST: Final = 64
_MOST: Final = 1_000
#: Segments that went leave their bits behind: beyond so many, all are set anew.
_GONE: Final = 16


class Named:
    """Which ids the tasks of the store name as their root: a bit for each value of the last bits of an id's hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bits = np.zeros(0, np.uint8)
        #: by segment, the change of it that the bits are as of
        self._learnt: dict[int, int] = {}

    def learn(self, question: Question, entries: Sequence[Segment]) -> None:
        """Raises WaitedTooLong."""
        with self._lock:
            if not len(self._bits) or len(self._learnt) > len(entries) + _GONE:
                self._bits, self._learnt = np.zeros(_BITS >> 3, np.uint8), {}
            for entry in entries:
                if not entry.rows or self._learnt.get(entry.number, -1) >= entry.sequence:
                    continue
                try:
                    roots = question.look(entry).column("root")
                except SegmentGone:
                    continue
                self._set(roots[roots != 0])
                self._learnt[entry.number] = entry.sequence

    def _set(self, hashes: Any) -> None:
        places = np.unique(hashes & np.uint32(_BITS - 1))
        np.bitwise_or.at(self._bits, places >> 3, np.uint8(1) << (places & 7).astype(np.uint8))

    def may_be(self, hashes: Any) -> Any:
        """Which of these may be named."""
        places = hashes & np.uint32(_BITS - 1)
        return (self._bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1 == 1


@dataclass(slots=True)
class Progress:
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


def workflows(
    question: Question,
    entries: Sequence[Segment],
    named: Named,
    relations: Relations,
    *,
    before: int | None,
    want: int,
) -> tuple[list[Progress], str | None]:
    """At most `want`, of roots with keys below `before`; and why there are no more, if the time was over."""
    found: list[Progress] = []
    try:
        named.learn(question, entries)
        for look, slots in _candidates(question, entries, named, before):
            size = max(_LEAST, min(want, _MOST))
            for place in range(0, len(slots), size):
                found += _with_children(look, slots[place : place + size], relations)
                if len(found) >= want:
                    return found[:want], None
    except WaitedTooLong as error:
        return found, late(error)
    return found, None


def _candidates(
    question: Question, entries: Sequence[Segment], named: Named, before: int | None
) -> Iterator[tuple[Look, Any]]:
    """Segments, newest first, with the slots of rows that the query finds and that others may name, newest first."""
    for entry in reversed(entries):
        if not entry.rows or excluded(entry, question.where) or (before is not None and entry.first >= before):
            continue
        try:
            look = question.look(entry)
            slots = np.flatnonzero(named.may_be(_hashes(look)) & exact(look, question.where))
        except SegmentGone:
            continue
        if before is not None:
            slots = slots[slots < before - entry.first]
        yield look, slots[::-1]


def _hashes(look: Look) -> Any:
    """`hashed` of the rows' own ids."""
    low = look.column("uuid_low")
    hashes = (low & np.uint64(_LAST)).astype(np.uint32)
    hashes[hashes == 0] = 1
    if look.entry.odd_ids:
        odd = np.flatnonzero((look.column("uuid_high") == 0) & (low == 0) & (look.column("live") == 1))
        if len(odd):
            slots, known = _odd_hashes(look)
            hashes[slots] = known
    return hashes


def _odd_hashes(look: Look) -> tuple[Any, Any]:
    """Of ids that are no UUIDs: they are read, and remembered."""
    memory = look.question.means.memory
    asked = (look.stamp, look.count, "odd ids")
    known: tuple[Any, Any] | None = memory.get(asked)
    if known is None:
        sql = "SELECT id, uuid FROM task WHERE typeof(uuid) = 'text' AND id < ?"
        rows = look.rows(sql, (look.entry.next,))
        slots = np.fromiter((row[0] for row in rows), np.int64, len(rows)) - look.entry.first
        known = slots, np.fromiter((hashed(row[1]) for row in rows), np.uint32, len(rows))
        memory.put(asked, known, known[0].nbytes + known[1].nbytes)
    return known


def _with_children(look: Look, slots: Any, relations: Relations) -> list[Progress]:
    """Of these rows, in their order, those that others name as their root."""
    first = look.entry.first
    listed = ",".join(map(str, (slots + first).tolist()))
    try:
        rows = look.rows(f"SELECT id, uuid FROM task WHERE id IN ({listed})")
    except SegmentGone:
        return []
    roots = {uuid: Progress(key) for key, uuid in rows}
    for other, members in relations.members(roots):
        _count(other, members, roots)
    with_children = [progress for progress in roots.values() if progress.tasks]
    _count(look, [(progress.key, uuid) for uuid, progress in roots.items() if progress.tasks], roots)
    return sorted(with_children, key=lambda progress: -progress.key)


def _count(look: Look, members: Sequence[tuple[int, Any]], roots: dict[Any, Progress]) -> None:
    """`members`: keys of rows of the segment, with the root of each."""
    slots = np.fromiter((key for key, _ in members), np.int64, len(members)) - look.entry.first
    words = look.words.values
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
