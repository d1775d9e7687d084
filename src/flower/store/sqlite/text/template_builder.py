"""Builds the template files of segments, beside the writer, in steps of well under a second.

Rows that are not in the file of their segment, or have changed since, are read by searches. So a file is extended when
there are many of these, and once more when the segment no longer changes. Rows that are read for the text index are
split at the same time, so that they are read once; they are in the next file.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.columns.column_file import ColumnFile
from flower.store.sqlite.connection import Row
from flower.store.sqlite.connection_pool import Deadline, SegmentPool, SegmentUnavailable
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text.template_file import (
    SegmentTemplates,
    TemplateFileInvalid,
    list_template_files,
    read_templates,
    template_path,
    write_templates,
)
from flower.store.sqlite.text.templates import TEMPLATE_COLUMNS, UNKNOWN, Numbers, TemplateSplitter

log = logging.getLogger(__name__)

#: rows of a segment that are not in its file, from which on the file is extended: searches read them in 20 ms
MIN_CHANGED_ROWS: Final = 20_000
#: the same for a segment that has not changed for QUIET_SECONDS
MIN_QUIET_ROWS: Final = 500
QUIET_SECONDS: Final = 10.0
#: rows of one step, and of one statement
_MAX_STEP_ROWS: Final = 20_000
_CHUNK_ROWS: Final = 2_000
#: seconds between two checks of a segment
_CHECK_INTERVAL: Final = 5.0
#: segments whose templates are kept in memory: at a change of segments, the last two receive rows
_MAX_EXTENDED: Final = 2
_SELECT_TEXTS: Final = f"SELECT id, {', '.join(TEMPLATE_COLUMNS)} FROM task"

_NO_SLOTS: Final = np.zeros(0, np.int64)

#: inode, modification time and size of a file
_Stamp = tuple[int, int, int]


def _read_stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@dataclass
class _SegmentState:
    generation: str
    sequence: int
    #: monotonic time since which the segment has this sequence
    since: float
    check_at: float = 0.0


class _ExtendedTemplates:
    """The templates of a segment in memory, to be written to its file."""

    def __init__(self, generation: str, columns_id: int, content: SegmentTemplates | None) -> None:
        self.generation, self.columns_id = generation, columns_id
        count = 0 if content is None else content.count
        self.versions: Numbers = np.zeros(count, np.uint16) if content is None else content.versions.astype(np.uint16)
        self._numbers: dict[str, Numbers] = {}
        self._splitters: dict[str, TemplateSplitter] = {}
        for name in TEMPLATE_COLUMNS:
            known = np.zeros(count, np.uint16) if content is None else content.numbers[name].astype(np.uint16)
            self._numbers[name] = known
            self._splitters[name] = TemplateSplitter(name, None if content is None else content.templates[name])
        #: whether rows were split, from the first of which the splitters learned
        self.has_rows = content is not None
        #: rows that were split and are not in the file
        self.unwritten = 0
        #: state of the file; None: there is none
        self.stamp: _Stamp | None = None

    def grow(self, count: int) -> None:
        """Add slots for rows that are not split."""
        if (added := count - len(self.versions)) > 0:
            self.versions = np.concatenate([self.versions, np.zeros(added, np.uint16)])
            for name, numbers in self._numbers.items():
                self._numbers[name] = np.concatenate([numbers, np.full(added, UNKNOWN, np.uint16)])

    def split(self, slots: Any, versions: Any, texts: Sequence[Sequence[object]]) -> None:
        """Split the texts of these rows, one sequence for each column. `versions`: read before the texts."""
        self.grow(int(slots.max(initial=-1)) + 1)
        for name, values in zip(TEMPLATE_COLUMNS, texts, strict=True):
            splitter = self._splitters[name]
            if not self.has_rows:
                splitter.learn_vocabulary(values)
            self._numbers[name][slots] = splitter.find_numbers(values)
            if splitter.is_full:
                self._numbers[name] = splitter.remove_rare(self._numbers[name])
        self.has_rows = True
        self.versions[slots] = versions
        self.unwritten += len(slots)

    def remove(self, slots: Any, versions: Any) -> None:
        """Mark rows as unsplit, whose texts cannot be read."""
        self.versions[slots] = versions
        self.unwritten += len(slots)
        for numbers in self._numbers.values():
            numbers[slots] = UNKNOWN

    def result(self) -> SegmentTemplates:
        templates = {name: splitter.result() for name, splitter in self._splitters.items()}
        return SegmentTemplates(self.generation, self.columns_id, self.versions, dict(self._numbers), templates)


class TemplateBuilder:
    """Keeps the template files of a store current. One thread."""

    def __init__(
        self, directory: StoreDirectory, pool: SegmentPool, open_columns: Callable[[SegmentInfo], ColumnFile | None]
    ) -> None:
        self._path = directory.text_path
        self._pool = pool
        self._open_columns = open_columns
        self._states: dict[int, _SegmentState] = {}
        #: by segment number, the one used last at the end
        self._extended: dict[int, _ExtendedTemplates] = {}

    def add_rows(
        self,
        segment: SegmentInfo,
        generation: str,
        columns: ColumnFile,
        versions: Mapping[int, int],
        rows: Sequence[Row],
    ) -> None:
        """Split rows that were read for the text index: key, then the texts of TEMPLATE_COLUMNS. `versions`: by key,
        read before the texts."""
        extended = self._open(segment, generation, columns)
        extended.grow(max(versions, default=segment.first - 1) - segment.first + 1)
        known = extended.versions
        new_rows = [row for row in rows if known[row[0] - segment.first] != versions[row[0]]]
        # the splitters must not learn from a few rows
        if new_rows and (extended.has_rows or len(new_rows) >= MIN_QUIET_ROWS):
            keys, *texts = zip(*new_rows, strict=True)
            slots = np.array(keys, np.int64) - segment.first
            extended.split(slots, np.array([versions[key] for key in keys], np.uint16), texts)

    def _open(self, segment: SegmentInfo, generation: str, columns: ColumnFile) -> _ExtendedTemplates:
        """Return the templates of a segment with those of its file."""
        extended = self._extended.pop(segment.number, None)
        stamp = _read_stamp(template_path(self._path, segment.number))
        wanted = (generation, columns.instance_id, stamp)
        if extended is None or (extended.generation, extended.columns_id, extended.stamp) != wanted:
            content = self._read(segment, generation, columns)
            extended = _ExtendedTemplates(generation, columns.instance_id, content)
            extended.stamp = stamp
        self._extended[segment.number] = extended
        if len(self._extended) > _MAX_EXTENDED:
            number = next(iter(self._extended))
            self._write(number, self._extended.pop(number))
        return extended

    def _write(self, number: int, extended: _ExtendedTemplates) -> None:
        if extended.unwritten:
            path = template_path(self._path, number)
            write_templates(path, extended.result())
            extended.unwritten, extended.stamp = 0, _read_stamp(path)

    def build_step(self, catalog: Catalog, generation: str, *, may_read: bool = True) -> bool:
        """Extend the file of one segment; return whether there was one to extend. Raises OSError.

        Without `may_read`, only by rows that were added: others will be added soon.
        """
        numbers = {segment.number for segment in catalog}
        if not self._states.keys() <= numbers or not self._states:
            self._states = {number: state for number, state in self._states.items() if number in numbers}
            self._remove_others(numbers)
        for segment in reversed(catalog.segments):
            now = time.monotonic()
            state = self._states.get(segment.number)
            if state is None or (state.generation, state.sequence) != (generation, segment.sequence):
                check_at = 0.0 if state is None else min(state.check_at, now + _CHECK_INTERVAL)
                state = self._states[segment.number] = _SegmentState(generation, segment.sequence, now, check_at)
            if now < state.check_at:
                continue
            if self._extend(segment, state, now, may_read=may_read):
                return True
        return False

    def _remove_others(self, numbers: set[int]) -> None:
        for number, path in list_template_files(self._path).items():
            if number not in numbers:
                path.unlink(missing_ok=True)

    def _extend(self, segment: SegmentInfo, state: _SegmentState, now: float, *, may_read: bool) -> bool:
        columns = self._open_columns(segment)
        if columns is None:
            state.check_at = now + _CHECK_INTERVAL
            return False
        is_quiet = now - state.since >= QUIET_SECONDS
        count = segment.next - segment.first
        extended = self._open(segment, state.generation, columns)
        extended.grow(count)
        # the versions are read before the texts: a row that changes in between is split again
        live, versions = columns.read_consistent(
            lambda: (columns["live"][:count] == 1, columns["version"][:count].copy())
        )
        columns.release()
        changed = np.flatnonzero(live & (extended.versions[:count] != versions)) if may_read else _NO_SLOTS
        if len(changed) + extended.unwritten < (MIN_QUIET_ROWS if is_quiet else MIN_CHANGED_ROWS):
            # while it is quiet, the segment is checked again when its sequence changes
            state.check_at = now + (3600.0 if is_quiet and may_read else _CHECK_INTERVAL)
            if is_quiet and may_read:
                del self._extended[segment.number]
            return False
        slots = changed[: max(0, _MAX_STEP_ROWS - extended.unwritten)]
        try:
            self._split(segment, extended, slots, versions[slots])
        except SegmentUnavailable:
            state.check_at = now + _CHECK_INTERVAL
            return False
        self._write(segment.number, extended)
        return True

    def _read(self, segment: SegmentInfo, generation: str, columns: ColumnFile) -> SegmentTemplates | None:
        path = template_path(self._path, segment.number)
        try:
            content = read_templates(path)
        except TemplateFileInvalid as error:
            if path.exists():
                log.warning("Removed %s of the text index (%s); it is built again.", path.name, error)
                path.unlink(missing_ok=True)
            return None
        is_current = (content.generation, content.columns_id) == (generation, columns.instance_id)
        return content if is_current else None

    def _split(self, segment: SegmentInfo, extended: _ExtendedTemplates, slots: Any, versions: Any) -> None:
        """Split the rows in these slots. Raises SegmentUnavailable."""
        for start in range(0, len(slots), _CHUNK_ROWS):
            chunk, chunk_versions = slots[start : start + _CHUNK_ROWS], versions[start : start + _CHUNK_ROWS]
            with self._pool.acquire(segment, Deadline(None)) as connection:
                rows = connection.rows_by_id(_SELECT_TEXTS, (chunk + segment.first).tolist())
            extended.remove(chunk, chunk_versions)
            if rows:
                keys, *texts = zip(*rows, strict=True)
                read = np.array(keys, np.int64) - segment.first
                extended.split(read, chunk_versions[np.searchsorted(chunk, read)], texts)
