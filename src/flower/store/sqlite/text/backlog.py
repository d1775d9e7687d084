"""Rows that are not in the text index yet: found in the columns, read from the rows.

The backlog is read beside the writer, in a thread or in another process. No lock is needed, because the columns store
the version of each row whose text was indexed.
"""

import os
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from flower.errors import StoreFull
from flower.records import FINAL_STATES
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.column_file import ColumnFile, ColumnFileInvalid
from flower.store.sqlite.connection_pool import Deadline, SegmentPool, SegmentUnavailable
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.meta_reader import MetaReader
from flower.store.sqlite.schema import STATE_IDS
from flower.store.sqlite.text import MAX_COMMIT_CHARACTERS, PendingText
from flower.store.sqlite.text.template_builder import TemplateBuilder

#: indexed columns, in the order in which their texts are joined, each on a line of its own
INDEXED_COLUMNS: Final = ("args", "kwargs", "result", "exception", "traceback")
#: Longer texts (in characters, all columns together) are not indexed; searches read the row instead.
MAX_INDEXED_CHARACTERS: Final = 256 * 1024
#: free disk space in bytes that is reserved for rows
MIN_FREE_BYTES: Final = 64 << 20
#: in place of a block number: the row is not to be indexed
NOT_INDEXED_BLOCK: Final = 65_535
#: A task that is not in a final state is indexed when it has not changed for this many seconds: it may end soon.
UNFINISHED_TASK_DELAY: Final = 30.0
_FINAL_STATE_IDS: Final = np.array(sorted(STATE_IDS[state] for state in FINAL_STATES), np.uint32)
_SELECT_TEXTS: Final = f"SELECT id, {', '.join(INDEXED_COLUMNS)} FROM task"


class _IdleSegment(NamedTuple):
    """A segment without pending rows: the change sequence that was checked, whether rows will be pending later without
    another change, and when to check again."""

    sequence: int
    has_delayed_rows: bool
    check_at: float


class IndexBacklog:
    """The `RowSource` of a store. One thread."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._pool = SegmentPool(directory)
        self._meta = MetaReader(directory, self._pool)
        self._files: dict[int, ColumnFile] = {}
        self._generation = ""
        self._readable = np.array([NOT_INDEXED_BLOCK], np.uint16)
        self._idle_segments: dict[int, _IdleSegment] = {}
        self._has_delayed_rows = False
        #: whether the last `list_pending` returned only a part of the pending rows
        self._has_more = False
        self._template_builder = TemplateBuilder(directory, self._pool, self._open_columns)

    def set_blocks(self, generation: str, readable: frozenset[int]) -> None:
        self._generation = generation
        self._readable = np.array([*sorted(readable), NOT_INDEXED_BLOCK], np.uint16)
        self._idle_segments.clear()

    def lowest_key(self) -> int:
        segments = self._meta.catalog().segments
        return segments[0].first if segments else 0

    def list_pending(self, limit: int) -> Sequence[PendingText]:
        """Return rows to be indexed, newest segment first.

        Raises StoreFull if the disk is nearly full: the space is reserved for rows.
        """
        disk = os.statvfs(self._directory.path)
        if disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES:
            raise StoreFull(
                f"Less than {MIN_FREE_BYTES >> 20} MB free on the disk",
                hint="free disk space; the remaining space is reserved for tasks",
            )
        pending: list[PendingText] = []
        self._has_delayed_rows = self._has_more = False
        catalog = self._meta.catalog()
        self._retain({segment.number for segment in catalog})
        for segment in reversed(catalog.segments):
            if len(pending) >= limit:
                self._has_more = True
                break
            idle = self._idle_segments.get(segment.number)
            if idle is not None and idle.sequence == segment.sequence and time.monotonic() < idle.check_at:
                self._has_delayed_rows |= idle.has_delayed_rows
                continue
            pending += self._list_segment(segment, limit - len(pending))
        return pending

    @property
    def has_delayed_rows(self) -> bool:
        return self._has_delayed_rows

    def mark_indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        array = np.array(done, np.int64)
        keys = array[:, 0]
        for segment in self._meta.catalog():
            chosen = array[(keys >= segment.first) & (keys < segment.next)]
            file = (self._files.get(segment.number) or self._open_columns(segment)) if len(chosen) else None
            if file is not None:
                self._record_block(file, chosen, block)

    def build_templates(self) -> bool:
        return self._template_builder.build_step(self._meta.catalog(), self._generation, may_read=not self._has_more)

    def close(self) -> None:
        self._files.clear()
        self._meta.close()
        self._pool.close()

    def _record_block(self, file: ColumnFile, array: Any, block: int) -> None:
        """`array`: rows of key and version."""
        slots = array[:, 0] - file.first
        if file.generation != self._generation:
            file["text_block"][:] = 0
            file.header["generation"] = self._generation.encode()
        # the block is written first: the current version must never be combined with the block of an older text
        file["text_block"][slots] = block
        file["text_version"][slots] = array[:, 1]
        file.header["indexed_at"] = time.monotonic_ns()

    def _retain(self, retained: set[int]) -> None:
        for number in self._files.keys() - retained:
            del self._files[number]
            self._idle_segments.pop(number, None)

    def _list_segment(self, segment: SegmentInfo, limit: int) -> list[PendingText]:
        file = self._open_columns(segment)
        if file is None:
            self._has_delayed_rows = True
            return []
        ready, has_later = file.read_consistent(lambda: self._find_slots(file, segment.next - segment.first))
        if len(ready) == 0:
            check_at = time.monotonic() + (1.0 if has_later else 3600.0)
            self._idle_segments[segment.number] = _IdleSegment(segment.sequence, has_later, check_at)
            self._has_delayed_rows |= has_later
            file.release()
            return []
        chosen = ready[:limit]
        self._has_more |= len(chosen) < len(ready)
        # the versions are read before the texts: a row that changes in between is indexed again
        versions = dict(zip((chosen + file.first).tolist(), file["version"][chosen].tolist(), strict=True))
        return self._read_texts(segment, file, versions)

    def _open_columns(self, segment: SegmentInfo) -> ColumnFile | None:
        file = self._files.get(segment.number)
        if file is None or file.sequence < segment.sequence or not file.is_complete:
            try:
                file = ColumnFile(
                    self._directory.columns_path(segment.number), segment.first, segment.capacity, writable=True
                )
            except ColumnFileInvalid:
                return None
            self._files[segment.number] = file
        return file if file.sequence >= segment.sequence else None

    def _find_slots(self, file: ColumnFile, count: int) -> tuple[Any, bool]:
        """Return the slots to be indexed now, and whether others are to be indexed later."""
        live = file["live"][:count] == 1
        is_indexed = file["text_version"][:count] == file["version"][:count]
        is_indexed &= np.isin(file["text_block"][:count], self._readable) & (file.generation == self._generation)
        unindexed = np.flatnonzero(live & ~is_indexed)
        if len(unindexed) == 0:
            return unindexed, False
        is_due = np.isin(file["state"][unindexed], _FINAL_STATE_IDS)
        is_due |= ~(file["timestamp"][unindexed] > time.time() - UNFINISHED_TASK_DELAY)
        return unindexed[is_due], not bool(is_due.all())

    def _read_texts(self, segment: SegmentInfo, file: ColumnFile, versions: dict[int, int]) -> list[PendingText]:
        pending: list[PendingText] = []
        #: too long, damaged or unreadable: searches read these rows
        not_indexed: list[tuple[int, int]] = []
        characters = 0
        keys = list(versions)
        try:
            with self._pool.acquire(segment, Deadline(None)) as connection:
                for start in range(0, len(keys), 2_000):
                    chunk = keys[start : start + 2_000]
                    rows = connection.rows_by_id(_SELECT_TEXTS, chunk)
                    unreadable = set(chunk).difference(row[0] for row in rows) if len(rows) < len(chunk) else ()
                    not_indexed += [(key, versions[key]) for key in unreadable]
                    self._template_builder.add_rows(segment, self._generation, file, versions, rows)
                    for key, *texts in rows:
                        try:
                            text = "\n".join([text for text in texts if text is not None])
                        except TypeError:  # a damaged row can contain values of other types
                            not_indexed.append((key, versions[key]))
                            continue
                        if len(text) > MAX_INDEXED_CHARACTERS:
                            not_indexed.append((key, versions[key]))
                        else:
                            pending.append(PendingText(key, versions[key], text))
                            characters += len(text)
                    if characters > MAX_COMMIT_CHARACTERS:
                        self._has_more |= start + 2_000 < len(keys)
                        break
        except SegmentUnavailable:
            self._has_delayed_rows = True
            return []
        if not_indexed:
            self._record_block(file, np.array(not_indexed, np.int64), NOT_INDEXED_BLOCK)
        return pending
