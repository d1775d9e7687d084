"""Which segments are compressed, and when: full ones that have not changed for some time, in steps between the writes
of the recorder."""

import logging
import time
from collections.abc import Callable
from typing import Final

import apsw

from flower.store.sqlite.compression.file_conversion import FileChanged, FileCompressor
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.segment import SegmentFile
from flower.store.sqlite.segment_files import SegmentFiles

log = logging.getLogger(__name__)

#: Seconds after its last change before a full segment is compressed: its unfinished tasks end, and a change of a
#: compressed segment first writes the plain file again.
COMPRESSION_DELAY: Final = 600.0
#: The same for a segment that was compressed before and has changed since, and seconds before a failed attempt is
#: repeated.
REPEAT_DELAY: Final = 3_600.0
#: Smaller files are not compressed: the space does not matter.
MIN_FILE_BYTES: Final = 1 << 20
#: Seconds of one step, without the sync of what it wrote.
_STEP: Final = 0.05


class SegmentCompressor:
    """Writer side. The segment is not open for writing while it is compressed, or the result is discarded."""

    def __init__(self, directory: StoreDirectory, files: SegmentFiles) -> None:
        self._directory = directory
        self._files = files
        #: by segment, the time from which it may be compressed
        self._due: dict[int, float] = {}
        #: segments that were compressed and have changed since
        self._changed: set[int] = set()
        self._current: tuple[int, FileCompressor] | None = None

    def record_change(self, number: int) -> None:
        """The segment has changed or was opened: it is compressed later."""
        delay = REPEAT_DELAY if number in self._changed else COMPRESSION_DELAY
        self._due[number] = time.monotonic() + delay
        self._stop(number)

    def schedule(self, number: int) -> None:
        """Compress a segment whose last change is not known, as after a start."""
        self._due.setdefault(number, 0.0)

    def forget(self, number: int) -> None:
        """The segment is removed or replaced."""
        self._due.pop(number, None)
        self._stop(number)

    def _stop(self, number: int) -> None:
        if self._current is not None and self._current[0] == number:
            self._current[1].discard()
            self._current = None

    def step(self, open_segment: Callable[[int], SegmentFile], active: int | None, *, at_once: bool) -> bool:
        """One step: a fraction of a second. Return False if there is nothing to do. `at_once`: do not wait until the
        segments are due. Without disk space, segments stay as they are. Raises DamagedFile."""
        number = self._find_due(active, at_once=at_once)
        if number is None:
            return False
        try:
            if self._current is None:
                self._begin(number, open_segment(number))
            elif self._current[1].step(_STEP):
                self._finish(number)
        except (FileChanged, OSError, apsw.Error) as error:
            log.info("Segment %d is compressed later: %s", number, error or "it is in use")
            self._stop(number)
            self._due.pop(number, None)
            if not at_once:
                self._due[number] = time.monotonic() + REPEAT_DELAY
        return True

    def _find_due(self, active: int | None, *, at_once: bool) -> int | None:
        if self._current is not None:
            return self._current[0]
        now = time.monotonic()
        return next((n for n, due in self._due.items() if n != active and (due <= now or at_once)), None)

    def _begin(self, number: int, file: SegmentFile) -> None:
        """Close the segment and open its file, if it can be compressed now."""
        path = self._directory.segment_path(number)
        is_ready = file.sealed and file.is_migrated and not file.is_compressed
        if not is_ready or path.stat().st_size < MIN_FILE_BYTES:
            del self._due[number]
            return
        # moves the write-ahead log into the file
        self._files.close(number)
        self._current = (number, FileCompressor(path))

    def _finish(self, number: int) -> None:
        assert self._current is not None
        # it may have been opened meanwhile to look up an id
        self._files.close(number)
        before = self._directory.segment_path(number).stat().st_size
        self._current[1].replace()
        self._current = None
        self._changed.add(number)
        del self._due[number]
        after = self._directory.segment_path(number).stat().st_size
        log.debug("Segment %d is compressed: %d KB instead of %d", number, after >> 10, before >> 10)

    def close(self) -> None:
        if self._current is not None:
            self._stop(self._current[0])
