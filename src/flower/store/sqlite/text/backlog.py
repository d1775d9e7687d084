"""What the text index has not seen yet, found in the columns, read from the rows. Runs beside the writer, in a
thread or a process of its own: the columns say by version which text of a row was indexed, so nobody need be locked
out."""

import os
import time
from collections.abc import Sequence
from typing import Any, Final

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

#: The fields that the index holds, one after the other.
INDEXED_COLUMNS: Final = ("args", "kwargs", "result", "exception", "traceback")
_SEPARATOR: Final = "\n"
#: Longer texts than this (in characters, of all fields together) are not indexed but read when something is searched.
MAX_INDEXED_CHARACTERS: Final = 256 * 1024
#: Bytes of the disk that are left to the rows.
MIN_FREE_BYTES: Final = 64 << 20
#: In place of a block: it is not to be indexed.
NOT_INDEXED_BLOCK: Final = 65_535
#: A task that has not ended is indexed when nothing has happened to it for so many seconds: its end may be near.
UNFINISHED_TASK_DELAY: Final = 30.0
_FINAL_STATE_IDS: Final = np.array(sorted(STATE_IDS[state] for state in FINAL_STATES), np.uint32)
_SELECT_TEXTS: Final = f"SELECT id, {', '.join(INDEXED_COLUMNS)} FROM task WHERE id IN "


class IndexBacklog:
    def __init__(self, folder: StoreDirectory) -> None:
        self._folder = folder
        self._pool = SegmentPool(folder)
        self._meta = MetaReader(folder, self._pool)
        self._files: dict[int, ColumnFile] = {}
        self._generation = ""
        self._readable = np.array([NOT_INDEXED_BLOCK], np.uint16)
        #: segments without anything to do as of a sequence, and when to look again all the same
        self._idle_segments: dict[int, tuple[int, float]] = {}

    def set_blocks(self, generation: str, readable: frozenset[int]) -> None:
        self._generation = generation
        self._readable = np.array([*sorted(readable), NOT_INDEXED_BLOCK], np.uint16)
        self._idle_segments.clear()

    def lowest_key(self) -> int:
        segments = self._meta.catalog().segments
        return segments[0].first if segments else 0

    def list_pending(self, limit: int) -> Sequence[PendingText]:
        """Rows to be indexed, as the columns tell, newest segment first. Raises StoreFull if there is little room left
        on the disk: it is for the rows."""
        disk = os.statvfs(self._folder.path)
        if disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES:
            raise StoreFull(
                f"less than {MIN_FREE_BYTES >> 20} MB are free on the disk", hint="they are left to the tasks"
            )
        found: list[PendingText] = []
        catalogue = self._meta.catalog()
        self._drop_segments({entry.number for entry in catalogue})
        for entry in reversed(catalogue.segments):
            if len(found) >= limit:
                break
            done, again = self._idle_segments.get(entry.number, (-1, 0.0))
            if done == entry.sequence and time.monotonic() < again:
                continue
            found += self._list_segment(entry, limit - len(found))
        return found

    def mark_indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        catalogue = self._meta.catalog()
        groups: dict[int, list[tuple[int, int]]] = {}
        for key, version in done:
            entry = catalogue.covering(key)
            if entry is not None:
                groups.setdefault(entry.number, []).append((key, version))
        for number, group in groups.items():
            file = self._files.get(number)
            entry = catalogue.by_number(number)
            if file is None and entry is not None:
                file = self._open_columns(entry)
            if file is not None:
                self._record_block(file, group, block)

    def close(self) -> None:
        self._files.clear()
        self._meta.close()
        self._pool.close()

    def _record_block(self, file: ColumnFile, done: Sequence[tuple[int, int]], block: int) -> None:
        array = np.array(done, np.int64)
        slots = array[:, 0] - file.first
        if file.generation != self._generation:
            file["text_block"][:] = 0
            file.header["generation"] = self._generation.encode()
        # the block comes first: a version that fits must never meet the block of an older text
        file["text_block"][slots] = block
        file["text_version"][slots] = array[:, 1]
        file.header["indexed_at"] = time.monotonic_ns()

    def _drop_segments(self, numbers: set[int]) -> None:
        for gone in self._files.keys() - numbers:
            del self._files[gone]
            self._idle_segments.pop(gone, None)

    def _list_segment(self, entry: SegmentInfo, limit: int) -> list[PendingText]:
        file = self._open_columns(entry)
        if file is None:
            return []
        ready, waiting = file.read_consistent(lambda: self._find_slots(file, entry.next - entry.first))
        if len(ready) == 0:
            self._idle_segments[entry.number] = (entry.sequence, time.monotonic() + (1.0 if waiting else 3600.0))
            file.release()
            return []
        chosen = ready[:limit]
        # the versions are taken before the texts: a row that changes in between is indexed once more
        versions = dict(zip((chosen + file.first).tolist(), file["version"][chosen].tolist(), strict=True))
        return self._read_texts(entry, file, versions)

    def _open_columns(self, entry: SegmentInfo) -> ColumnFile | None:
        file = self._files.get(entry.number)
        if file is None or file.sequence < entry.sequence:
            try:
                file = ColumnFile(self._folder.columns_path(entry.number), entry.first, entry.capacity, writable=True)
            except ColumnFileInvalid:
                return None
            self._files[entry.number] = file
        return file if file.sequence >= entry.sequence else None

    def _find_slots(self, file: ColumnFile, count: int) -> tuple[Any, bool]:
        """Those that are to be indexed now, and whether others wait for it."""
        live = file["live"][:count] == 1
        seen = file["text_version"][:count] == file["version"][:count]
        seen &= np.isin(file["text_block"][:count], self._readable) & (file.generation == self._generation)
        missing = np.flatnonzero(live & ~seen)
        if len(missing) == 0:
            return missing, False
        settled = np.isin(file["state"][missing], _FINAL_STATE_IDS)
        settled |= ~(file["timestamp"][missing] > time.time() - UNFINISHED_TASK_DELAY)
        return missing[settled], not bool(settled.all())

    def _read_texts(self, entry: SegmentInfo, file: ColumnFile, versions: dict[int, int]) -> list[PendingText]:
        found: list[PendingText] = []
        too_long: list[tuple[int, int]] = []
        characters = 0
        keys = list(versions)
        try:
            with self._pool.acquire(entry, Deadline(None)) as segment:
                for place in range(0, len(keys), 2_000):
                    listed = ",".join(map(str, keys[place : place + 2_000]))
                    for key, *texts in segment.rows(f"{_SELECT_TEXTS}({listed})"):
                        text = _SEPARATOR.join(filter(None, texts))
                        if len(text) > MAX_INDEXED_CHARACTERS:
                            too_long.append((key, versions[key]))
                        else:
                            found.append(PendingText(key, versions[key], text.casefold()))
                            characters += len(text)
                    if characters > MAX_COMMIT_CHARACTERS:
                        break
        except SegmentUnavailable:
            return []
        if too_long:
            self._record_block(file, too_long, NOT_INDEXED_BLOCK)
        return found
