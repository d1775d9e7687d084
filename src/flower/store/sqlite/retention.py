"""Retention in bounded steps. Complete segments are removed with their file, after the rows that must stay are moved to
the active segment. Where a complete segment is too coarse, the oldest finished rows are deleted."""

from collections.abc import Sequence
from typing import Any, Final

from flower.store.protocols import Retention
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.file_header import read_file_state
from flower.store.sqlite.schema import FINISHED_CONDITION, UNFINISHED_CONDITION
from flower.store.sqlite.segment_set import SegmentSet
from flower.store.sqlite.transaction import Transaction

#: Maximum number of rows deleted in one step, which limits how long writers and readers wait.
MAX_STEP_ROWS: Final = 2_000
#: Maximum number of rows that are moved in order to remove a segment, and maximum part of the segment.
MAX_MOVED_ROWS: Final = 5_000
MAX_MOVED_FRACTION: Final = 0.2
#: A segment whose tasks span less than this part of the age limit is kept until all of it can be removed.
MIN_SPAN_FRACTION: Final = 0.1
#: Limits below this number of segments are exact to the row; above, one segment more or less is tolerated.
EXACT_LIMIT_SEGMENTS: Final = 2


class RetentionPruner:
    """Applies the limits of `Retention`."""

    def __init__(self, segments: SegmentSet, capacity: int) -> None:
        self._segments = segments
        self._capacity = capacity
        #: segments without finished rows, by the sequence number of the check
        self._unfinished: dict[int, int] = {}
        #: sizes, with the sequence number and the file of the measurement
        self._sizes: dict[int, tuple[tuple[int, int], int]] = {}

    def prune_step(self, transaction: Transaction, retention: Retention, now: float) -> int:
        """One step. Return the number of removed tasks."""
        transaction.is_deletion = True
        if retention.max_age is not None:
            removed = self._prune_by_age(transaction, now, retention.max_age)
            if removed:
                return removed
        if retention.max_tasks is not None:
            excess = self._segments.catalog.rows - max(retention.max_tasks, 0)
            exact = retention.max_tasks < EXACT_LIMIT_SEGMENTS * self._capacity
            removed = self._prune_oldest(transaction, excess, exact=exact) if excess > 0 else 0
            if removed:
                return removed
        if retention.max_bytes is not None:
            return self._prune_by_size(transaction, retention.max_bytes)
        return 0

    # --- selection

    def _prune_by_age(self, transaction: Transaction, now: float, age: float) -> int:
        """Remove finished tasks without an event since then. Unfinished tasks stay while there are finished ones."""
        cutoff = now - age
        for entry in self._segments.catalog:
            bounds = entry.bound("timestamp")
            if bounds is None or bounds[0] >= cutoff:
                continue
            expired_condition = f"{FINISHED_CONDITION} AND timestamp < ?"
            if bounds[1] < cutoff or self._is_mostly_expired(entry, expired_condition, cutoff):
                remaining_condition = f"({UNFINISHED_CONDITION}) OR timestamp >= ? OR timestamp IS NULL"
                removed = self._drop_segment(transaction, entry, expired_condition, remaining_condition, (cutoff,))
            elif self._is_active(entry) or bounds[1] - bounds[0] > MIN_SPAN_FRACTION * age:
                removed = self._delete_rows(transaction, entry, expired_condition, (cutoff,), MAX_STEP_ROWS)
            else:
                removed = 0  # it spans little time: it can soon be removed completely
            if removed:
                return removed
        if any(self._has_finished(entry) for entry in self._segments.catalog):
            return 0
        for entry in self._segments.catalog:
            removed = self._delete_rows(transaction, entry, "timestamp < ?", (cutoff,), MAX_STEP_ROWS)
            if removed:
                return removed
        return 0

    def _is_mostly_expired(self, entry: SegmentInfo, expired_condition: str, cutoff: float) -> bool:
        limit = self._max_movable_rows(entry)
        file = self._segments.segment(entry.number)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM task WHERE timestamp >= ? LIMIT {limit + 1})"
        return bool(file.rows(sql, (cutoff,))[0][0] <= limit)

    def _prune_by_size(self, transaction: Transaction, limit: int) -> int:
        catalog = self._segments.catalog
        sizes = {entry.number: self._segment_bytes(entry) for entry in catalog}
        excess = sum(sizes.values()) + self._segments.directory.text_bytes() - limit
        if excess <= 0 or not catalog.rows:
            return 0
        oldest = catalog.segments[0]
        if len(catalog) > EXACT_LIMIT_SEGMENTS and excess >= sizes[oldest.number] // 2:
            return self._prune_oldest(transaction, oldest.rows, exact=True)
        if len(catalog) > EXACT_LIMIT_SEGMENTS and self._segments.segment(oldest.number).is_compressed:
            return 0  # to delete a part of its rows, the plain file would be written again, which is larger
        part = excess / max(sum(sizes.values()), 1)
        return self._prune_oldest(transaction, max(1, int(catalog.rows * part)), exact=True)

    def _segment_bytes(self, entry: SegmentInfo) -> int:
        path = self._segments.directory.segment_path(entry.number)
        # another file after the segment was compressed
        state = (entry.sequence, read_file_state(path).inode)
        measured, size = self._sizes.get(entry.number, (None, 0))
        if measured != state:
            size = self._segments.segment(entry.number).used_bytes() + self._segments.directory.column_bytes(
                entry.number
            )
            self._sizes[entry.number] = (state, size)
            self._segments.close_idle()
        return size

    def _prune_oldest(self, transaction: Transaction, excess: int, *, exact: bool) -> int:
        """Remove the oldest finished tasks; unfinished tasks only if there are no finished ones."""
        for entry in self._segments.catalog:
            if entry.rows == 0 or not self._has_finished(entry):
                continue
            if excess >= entry.rows and not self._is_active(entry):
                return self._drop_segment(transaction, entry, FINISHED_CONDITION, UNFINISHED_CONDITION, ())
            return (
                self._delete_rows(transaction, entry, FINISHED_CONDITION, (), min(excess, MAX_STEP_ROWS))
                if exact
                else 0
            )
        for entry in self._segments.catalog:
            if entry.rows and (exact or excess >= entry.rows):
                return self._delete_rows(transaction, entry, "true", (), min(excess, MAX_STEP_ROWS))
        return 0

    def _has_finished(self, entry: SegmentInfo) -> bool:
        if self._unfinished.get(entry.number) == entry.sequence:
            return False
        rows = self._segments.segment(entry.number).rows(f"SELECT 1 FROM task WHERE {FINISHED_CONDITION} LIMIT 1")
        if not rows:
            self._unfinished[entry.number] = entry.sequence
        return bool(rows)

    def _is_active(self, entry: SegmentInfo) -> bool:
        return entry.number == self._segments.active_number

    def _max_movable_rows(self, entry: SegmentInfo) -> int:
        return min(MAX_MOVED_ROWS, int(entry.rows * MAX_MOVED_FRACTION))

    # --- removal

    def _drop_segment(
        self,
        transaction: Transaction,
        entry: SegmentInfo,
        expired_condition: str,
        remaining_condition: str,
        values: Sequence[Any],
    ) -> int:
        """Remove the file after moving the rows that stay; if these are many, delete the other rows instead."""
        if self._is_active(entry):
            return self._delete_rows(transaction, entry, expired_condition, values, MAX_STEP_ROWS)
        remaining = self._segments.segment(entry.number).select(
            f"{remaining_condition} ORDER BY id LIMIT {self._max_movable_rows(entry) + 1}", values
        )
        if len(remaining) > self._max_movable_rows(entry):
            return self._delete_rows(transaction, entry, expired_condition, values, MAX_STEP_ROWS)
        if remaining:
            transaction.insert([stored.task for stored in remaining])
            transaction.moved_from = entry.number
        transaction.commit(drop=[entry.number])
        self._segments.delete_segments([entry.number])
        return entry.rows - len(remaining)

    def _delete_rows(
        self, transaction: Transaction, entry: SegmentInfo, expired_condition: str, values: Sequence[Any], limit: int
    ) -> int:
        oldest = f"SELECT id FROM task WHERE {expired_condition} ORDER BY id LIMIT ?"
        ids = self._segments.segment(entry.number).rows(oldest, (*values, limit))
        if not ids:
            return 0
        deleted = transaction.segment(entry.number).delete(ids)
        empty = deleted == entry.rows and not self._is_active(entry)
        transaction.commit(drop=[entry.number] if empty else ())
        if empty:
            self._segments.delete_segments([entry.number])
        return deleted
