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
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.columns.file import ColumnFile, Unusable
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.pool import Deadline, Pool, SegmentGone
from flower.store.sqlite.schema import STATE_IDS
from flower.store.sqlite.text import CHUNK_CHARACTERS, Pending
from flower.store.sqlite.view import View

#: The fields that the index holds, one after the other.
TEXTS: Final = ("args", "kwargs", "result", "exception", "traceback")
_BETWEEN: Final = "\n"
#: Longer texts than this (in characters, of all fields together) are not indexed but read when something is searched.
LONGEST: Final = 256 * 1024
#: Bytes of the disk that are left to the rows.
RESERVE: Final = 64 << 20
#: In place of a block: it is not to be indexed.
NEVER: Final = 65_535
#: A task that has not ended is indexed when nothing has happened to it for so many seconds: its end may be near.
SETTLED: Final = 30.0
_FINAL: Final = np.array(sorted(STATE_IDS[state] for state in FINAL_STATES), np.uint32)
_SQL: Final = f"SELECT id, {', '.join(TEXTS)} FROM task WHERE id IN "


class Unindexed:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._pool = Pool(folder)
        self._view = View(folder, self._pool)
        self._files: dict[int, ColumnFile] = {}
        self._generation = ""
        self._readable = np.array([NEVER], np.uint16)
        #: segments without anything to do as of a sequence, and when to look again all the same
        self._done: dict[int, tuple[int, float]] = {}

    def blocks(self, generation: str, readable: frozenset[int]) -> None:
        self._generation = generation
        self._readable = np.array([*sorted(readable), NEVER], np.uint16)
        self._done.clear()

    def lowest_key(self) -> int:
        segments = self._view.catalogue().segments
        return segments[0].first if segments else 0

    def pending(self, limit: int) -> Sequence[Pending]:
        """Rows to be indexed, as the columns tell, newest segment first. Raises StoreFull if there is little room left
        on the disk: it is for the rows."""
        disk = os.statvfs(self._folder.path)
        if disk.f_bavail * disk.f_frsize < RESERVE:
            raise StoreFull(f"less than {RESERVE >> 20} MB are free on the disk", hint="they are left to the tasks")
        found: list[Pending] = []
        catalogue = self._view.catalogue()
        self._forget({entry.number for entry in catalogue})
        for entry in reversed(catalogue.segments):
            if len(found) >= limit:
                break
            done, again = self._done.get(entry.number, (-1, 0.0))
            if done == entry.sequence and time.monotonic() < again:
                continue
            found += self._of_segment(entry, limit - len(found))
        return found

    def indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        catalogue = self._view.catalogue()
        groups: dict[int, list[tuple[int, int]]] = {}
        for key, version in done:
            entry = catalogue.holding(key)
            if entry is not None:
                groups.setdefault(entry.number, []).append((key, version))
        for number, group in groups.items():
            file = self._files.get(number)
            entry = catalogue.numbered(number)
            if file is None and entry is not None:
                file = self._columns(entry)
            if file is not None:
                self._note(file, group, block)

    def close(self) -> None:
        self._files.clear()
        self._view.close()
        self._pool.close()

    def _note(self, file: ColumnFile, done: Sequence[tuple[int, int]], block: int) -> None:
        array = np.array(done, np.int64)
        slots = array[:, 0] - file.first
        if file.generation != self._generation:
            file["text_block"][:] = 0
            file.header["generation"] = self._generation.encode()
        # the block comes first: a version that fits must never meet the block of an older text
        file["text_block"][slots] = block
        file["text_version"][slots] = array[:, 1]
        file.header["indexed_at"] = time.monotonic_ns()

    def _forget(self, numbers: set[int]) -> None:
        for gone in self._files.keys() - numbers:
            del self._files[gone]
            self._done.pop(gone, None)

    def _of_segment(self, entry: Segment, limit: int) -> list[Pending]:
        file = self._columns(entry)
        if file is None:
            return []
        ready, waiting = file.undisturbed(lambda: self._slots(file, entry.next - entry.first))
        if len(ready) == 0:
            self._done[entry.number] = (entry.sequence, time.monotonic() + (1.0 if waiting else 3600.0))
            file.let_go()
            return []
        chosen = ready[:limit]
        # the versions are taken before the texts: a row that changes in between is indexed once more
        versions = dict(zip((chosen + file.first).tolist(), file["version"][chosen].tolist(), strict=True))
        return self._read(entry, file, versions)

    def _columns(self, entry: Segment) -> ColumnFile | None:
        file = self._files.get(entry.number)
        if file is None or file.sequence < entry.sequence:
            try:
                file = ColumnFile(self._folder.columns(entry.number), entry.first, entry.capacity, writable=True)
            except Unusable:
                return None
            self._files[entry.number] = file
        return file if file.sequence >= entry.sequence else None

    def _slots(self, file: ColumnFile, count: int) -> tuple[Any, bool]:
        """Those that are to be indexed now, and whether others wait for it."""
        live = file["live"][:count] == 1
        seen = file["text_version"][:count] == file["version"][:count]
        seen &= np.isin(file["text_block"][:count], self._readable) & (file.generation == self._generation)
        missing = np.flatnonzero(live & ~seen)
        if len(missing) == 0:
            return missing, False
        settled = np.isin(file["state"][missing], _FINAL)
        settled |= ~(file["timestamp"][missing] > time.time() - SETTLED)
        return missing[settled], not bool(settled.all())

    def _read(self, entry: Segment, file: ColumnFile, versions: dict[int, int]) -> list[Pending]:
        found: list[Pending] = []
        too_long: list[tuple[int, int]] = []
        characters = 0
        keys = list(versions)
        try:
            with self._pool.borrow(entry, Deadline(None)) as segment:
                for place in range(0, len(keys), 2_000):
                    listed = ",".join(map(str, keys[place : place + 2_000]))
                    for key, *texts in segment.rows(f"{_SQL}({listed})"):
                        text = _BETWEEN.join(filter(None, texts))
                        if len(text) > LONGEST:
                            too_long.append((key, versions[key]))
                        else:
                            found.append(Pending(key, versions[key], text.casefold()))
                            characters += len(text)
                    if characters > CHUNK_CHARACTERS:
                        break
        except SegmentGone:
            return []
        if too_long:
            self._note(file, too_long, NEVER)
        return found
