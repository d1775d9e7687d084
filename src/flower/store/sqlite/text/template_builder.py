"""Builds the template files of segments, beside the writer, in steps of well under a second.

Rows that are not in the file of their segment, or have changed since, are read by searches. So a file is extended when
there are many of these, and once more when the segment no longer changes.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.columns.column_file import ColumnFile
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
_SELECT_TEXTS: Final = f"SELECT id, {', '.join(TEMPLATE_COLUMNS)} FROM task"


@dataclass
class _SegmentState:
    generation: str
    sequence: int
    #: monotonic time since which the segment has this sequence
    since: float
    check_at: float = 0.0


class TemplateBuilder:
    """Keeps the template files of a store current. One thread."""

    def __init__(
        self, directory: StoreDirectory, pool: SegmentPool, open_columns: Callable[[SegmentInfo], ColumnFile | None]
    ) -> None:
        self._path = directory.text_path
        self._pool = pool
        self._open_columns = open_columns
        self._states: dict[int, _SegmentState] = {}

    def build_step(self, catalog: Catalog, generation: str) -> bool:
        """Extend the file of one segment; return whether there was one to extend. Raises OSError."""
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
            if self._extend(segment, state, now):
                return True
        return False

    def _remove_others(self, numbers: set[int]) -> None:
        for number, path in list_template_files(self._path).items():
            if number not in numbers:
                path.unlink(missing_ok=True)

    def _extend(self, segment: SegmentInfo, state: _SegmentState, now: float) -> bool:
        columns = self._open_columns(segment)
        if columns is None:
            state.check_at = now + _CHECK_INTERVAL
            return False
        is_quiet = now - state.since >= QUIET_SECONDS
        count = segment.next - segment.first
        content = self._read(segment, state.generation, columns)
        # the versions are read before the texts: a row that changes in between is split again
        live, versions = columns.read_consistent(
            lambda: (columns["live"][:count] == 1, columns["version"][:count].copy())
        )
        columns.release()
        known = np.zeros(count, np.uint16)
        if content is not None:
            common = min(count, content.count)
            known[:common] = content.versions[:common]
        changed = np.flatnonzero(live & (known != versions))
        if len(changed) < (MIN_QUIET_ROWS if is_quiet else MIN_CHANGED_ROWS):
            # while it is quiet, the segment is checked again when its sequence changes
            state.check_at = now + 3600.0 if is_quiet else now + _CHECK_INTERVAL
            return False
        slots = changed[:_MAX_STEP_ROWS]
        known[slots] = versions[slots]
        try:
            extended = self._split(segment, content, slots, known, state.generation, columns.instance_id)
        except SegmentUnavailable:
            state.check_at = now + _CHECK_INTERVAL
            return False
        write_templates(template_path(self._path, segment.number), extended)
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

    def _split(
        self,
        segment: SegmentInfo,
        content: SegmentTemplates | None,
        slots: Any,
        versions: Numbers,
        generation: str,
        columns_id: int,
    ) -> SegmentTemplates:
        """Return the templates with those of the rows in these slots. Raises SegmentUnavailable."""
        numbers: dict[str, Numbers] = {}
        splitters: dict[str, TemplateSplitter] = {}
        for name in TEMPLATE_COLUMNS:
            numbers[name] = np.full(len(versions), UNKNOWN, np.uint16)
            if content is not None:
                common = min(len(versions), content.count)
                numbers[name][:common] = content.numbers[name][:common]
            splitters[name] = TemplateSplitter(name, None if content is None else content.templates[name])
            numbers[name][slots] = UNKNOWN
        for start in range(0, len(slots), _CHUNK_ROWS):
            keys = (slots[start : start + _CHUNK_ROWS] + segment.first).tolist()
            with self._pool.acquire(segment, Deadline(None)) as connection:
                rows = connection.rows_by_id(_SELECT_TEXTS, keys)
            if not rows:
                continue
            ids, *texts = zip(*rows, strict=True)
            read_slots = np.array(ids, np.int64) - segment.first
            for name, values in zip(TEMPLATE_COLUMNS, texts, strict=True):
                splitter = splitters[name]
                if content is None and start == 0:
                    splitter.learn_vocabulary(values)
                numbers[name][read_slots] = splitter.find_numbers(values)
                if splitter.is_full:
                    numbers[name] = splitter.remove_rare(numbers[name])
        templates = {name: splitter.result() for name, splitter in splitters.items()}
        return SegmentTemplates(generation, columns_id, versions, numbers, templates)
