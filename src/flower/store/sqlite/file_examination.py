"""Periodic examination of files in use: those that readers reported as damaged, and column files of the wrong size."""

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from flower.store.sqlite.columns.column_file import column_file_size
from flower.store.sqlite.directory import COLUMNS_SUFFIX

if TYPE_CHECKING:
    from flower.store.sqlite.segment_set import SegmentSet

log = logging.getLogger(__name__)

#: Seconds between two examinations.
_EXAMINATION_INTERVAL = 2.0
#: A report that is repeated although the file is intact, for example because a disk fails, remains after this number of
#: examinations.
_MAX_EXAMINATIONS = 3


class FileExamination:
    """Writer side: rebuilds columns, and raises DamagedFile for files that must be replaced."""

    def __init__(self, segments: "SegmentSet") -> None:
        self._segments = segments
        self._directory = segments.directory
        self._next_time = 0.0
        #: number of examinations by file
        self._examinations: Counter[str] = Counter()

    def run(self) -> None:
        """Examine the files, unless the last examination was less than _EXAMINATION_INTERVAL ago."""
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = now + _EXAMINATION_INTERVAL
        for report in self._segments.reports.current():
            if not report.is_final and self._examinations[report.file] < _MAX_EXAMINATIONS:
                self._examinations[report.file] += 1
                self._examine_reported(report.file)
        for entry in self._segments.catalog:
            size = self._directory.column_bytes(entry.number)
            if size != column_file_size(entry.capacity) and entry.number not in self._segments.pending_maintenance:
                self._examine_columns(entry.number, size)

    def _examine_reported(self, file: str) -> None:
        if file == self._directory.meta_path.name:
            self._segments.verify_meta()
            if self._segments.reports.is_final(file):
                return  # it was replaced
        elif file.endswith(COLUMNS_SUFFIX):
            for entry in self._segments.catalog:
                if self._directory.columns_path(entry.number).name == file:
                    self._segments.rebuild_columns_later(entry.number)
        else:
            numbers = [e.number for e in self._segments.catalog if self._directory.segment_path(e.number).name == file]
            if not numbers:
                return
            self._segments.verify_segment(numbers[0])
        self._segments.reports.remove(file)
        log.info("File of the store is intact or rebuilt: %s", self._directory.path / file)

    def _examine_columns(self, number: int, size: int) -> None:
        file = self._segments.files.find(number)
        if size or (file is not None and file.columns.is_valid):
            if file is not None:
                file.columns.verify_present()
            self._segments.pending_maintenance[number] = 0.0
