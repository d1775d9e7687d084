"""Forgetting, in bounded steps. Whole segments go by removing their file; rows that must stay are moved to
the newest segment first. Where a whole segment would be too coarse, the oldest finished rows are deleted."""

from collections.abc import Sequence
from typing import Any, Final

from flower.store.port import Retention
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.files import Files
from flower.store.sqlite.schema import FINISHED, UNFINISHED
from flower.store.sqlite.transaction import Transaction

#: Rows deleted in one step: writers and readers wait no longer than that.
STEP_ROWS: Final = 2_000
#: Rows moved to let a segment go: at most so many, and at most this part of it.
MOVED_ROWS: Final = 5_000
MOVED_PART: Final = 0.2
#: A segment whose tasks span less than this part of the age limit waits until all of it may go.
SHORT_SPAN: Final = 0.1
#: A limit of less than this many segments is kept to the row; above, one segment more or less is allowed.
EXACT_BELOW: Final = 2


class Pruning:
    def __init__(self, files: Files, capacity: int) -> None:
        self._files = files
        self._capacity = capacity
        #: segments without finished rows, as of a number of the change sequence of theirs
        self._unfinished: dict[int, int] = {}
        #: sizes, with the number under which they were measured
        self._sizes: dict[int, tuple[int, int]] = {}

    def step(self, transaction: Transaction, retention: Retention, now: float) -> int:
        """One step; gives the number of tasks that went."""
        transaction.deletes = True
        if retention.max_age is not None:
            gone = self._by_age(transaction, now, retention.max_age)
            if gone:
                return gone
        if retention.max_tasks is not None:
            excess = self._files.catalogue.rows - max(retention.max_tasks, 0)
            exact = retention.max_tasks < EXACT_BELOW * self._capacity
            gone = self._oldest(transaction, excess, exact=exact) if excess > 0 else 0
            if gone:
                return gone
        if retention.max_bytes is not None:
            return self._by_size(transaction, retention.max_bytes)
        return 0

    # --- which

    def _by_age(self, transaction: Transaction, now: float, age: float) -> int:
        """Finished tasks without an event since then. One that has not ended stays while any finished one is there."""
        cutoff = now - age
        for entry in self._files.catalogue:
            bounds = entry.bound("timestamp")
            if bounds is None or bounds[0] >= cutoff:
                continue
            old = f"{FINISHED} AND timestamp < ?"
            if bounds[1] < cutoff or self._few_stay(entry, old, cutoff):
                staying = f"({UNFINISHED}) OR timestamp >= ? OR timestamp IS NULL"
                gone = self._drop(transaction, entry, old, staying, (cutoff,))
            elif self._is_receiving(entry) or bounds[1] - bounds[0] > SHORT_SPAN * age:
                gone = self._delete(transaction, entry, old, (cutoff,), STEP_ROWS)
            else:
                gone = 0  # it spans little time: soon it goes as a whole
            if gone:
                return gone
        if any(self._any_finished(entry) for entry in self._files.catalogue):
            return 0
        for entry in self._files.catalogue:
            gone = self._delete(transaction, entry, "timestamp < ?", (cutoff,), STEP_ROWS)
            if gone:
                return gone
        return 0

    def _few_stay(self, entry: Segment, old: str, cutoff: float) -> bool:
        limit = self._movable(entry)
        file = self._files.segment(entry.number)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM task WHERE timestamp >= ? LIMIT {limit + 1})"
        return bool(file.rows(sql, (cutoff,))[0][0] <= limit)

    def _by_size(self, transaction: Transaction, limit: int) -> int:
        files = self._files
        sizes = {entry.number: self._size(entry) for entry in files.catalogue}
        excess = sum(sizes.values()) + self._files.folder.text_bytes() - limit
        if excess <= 0 or not files.catalogue.rows:
            return 0
        oldest = files.catalogue.segments[0]
        if len(files.catalogue) > EXACT_BELOW and excess >= sizes[oldest.number] // 2:
            return self._oldest(transaction, oldest.rows, exact=True)
        part = excess / max(sum(sizes.values()), 1)
        return self._oldest(transaction, max(1, int(files.catalogue.rows * part)), exact=True)

    def _size(self, entry: Segment) -> int:
        sequence, size = self._sizes.get(entry.number, (-1, 0))
        if sequence != entry.sequence:
            size = self._files.segment(entry.number).used_bytes() + self._files.folder.column_bytes(entry.number)
            self._sizes[entry.number] = (entry.sequence, size)
            self._files.trim()
        return size

    def _oldest(self, transaction: Transaction, excess: int, *, exact: bool) -> int:
        """The oldest finished tasks; those that have not ended only when no finished one is left."""
        for entry in self._files.catalogue:
            if entry.rows == 0 or not self._any_finished(entry):
                continue
            if excess >= entry.rows and not self._is_receiving(entry):
                return self._drop(transaction, entry, FINISHED, UNFINISHED, ())
            return self._delete(transaction, entry, FINISHED, (), min(excess, STEP_ROWS)) if exact else 0
        for entry in self._files.catalogue:
            if entry.rows and (exact or excess >= entry.rows):
                return self._delete(transaction, entry, "true", (), min(excess, STEP_ROWS))
        return 0

    def _any_finished(self, entry: Segment) -> bool:
        if self._unfinished.get(entry.number) == entry.sequence:
            return False
        found = self._files.segment(entry.number).rows(f"SELECT 1 FROM task WHERE {FINISHED} LIMIT 1")
        if not found:
            self._unfinished[entry.number] = entry.sequence
        return bool(found)

    def _is_receiving(self, entry: Segment) -> bool:
        return entry.number == self._files.receiving

    def _movable(self, entry: Segment) -> int:
        return min(MOVED_ROWS, int(entry.rows * MOVED_PART))

    # --- how

    def _drop(self, transaction: Transaction, entry: Segment, old: str, stays: str, values: Sequence[Any]) -> int:
        """Remove the file, once the rows that stay are elsewhere; if they are many, delete the others instead."""
        if self._is_receiving(entry):
            return self._delete(transaction, entry, old, values, STEP_ROWS)
        staying = self._files.segment(entry.number).select(
            f"{stays} ORDER BY id LIMIT {self._movable(entry) + 1}", values
        )
        if len(staying) > self._movable(entry):
            return self._delete(transaction, entry, old, values, STEP_ROWS)
        if staying:
            transaction.insert([stored.task for stored in staying])
            transaction.emptied = entry.number
        transaction.commit(drop=[entry.number])
        self._files.drop([entry.number])
        return entry.rows - len(staying)

    def _delete(self, transaction: Transaction, entry: Segment, old: str, values: Sequence[Any], most: int) -> int:
        oldest = f"SELECT id FROM task WHERE {old} ORDER BY id LIMIT ?"
        ids = self._files.segment(entry.number).rows(oldest, (*values, most))
        if not ids:
            return 0
        gone = transaction.segment(entry.number).delete(ids)
        empty = gone == entry.rows and not self._is_receiving(entry)
        transaction.commit(drop=[entry.number] if empty else ())
        if empty:
            self._files.drop([entry.number])
        return gone
