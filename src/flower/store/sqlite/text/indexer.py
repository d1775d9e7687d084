"""Thread that adds rows to the text index. It retries after every error, and never blocks the writer or a reader."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from flower.store.sqlite.text.writer import MAX_BLOCK_DOCUMENTS, TextWriter

log = logging.getLogger(__name__)

#: Rows of one commit. A commit takes 10 ms or more, however few rows it has.
MAX_COMMIT_ROWS: Final = 20_000
#: Characters of one commit. A source may return fewer rows when their texts reach it. It limits memory and the time to
#: stop, whatever the length of the texts.
MAX_COMMIT_CHARACTERS: Final = 4_000_000
#: Seconds between two checks for pending rows if the last one found none.
INDEX_POLL_INTERVAL: Final = 0.5
#: Larger commits cost less per row, and searches read the rows that are pending, so their number must be limited: a
#: check that found rows is followed by one when about GROUP_ROWS are pending, at the latest after this many intervals.
#: The index lags behind the rows by this plus one commit.
GROUP_ROWS: Final = 8_000
MAX_POLL_INTERVALS: Final = 4
_MAINTENANCE_INTERVAL: Final = 60.0
_MIN_RETRY_DELAY: Final = 0.5
_MAX_RETRY_DELAY: Final = 30.0
#: documents between two checks whether to stop: a few milliseconds
_STOP_CHECK_ROWS: Final = 500


class PendingText(NamedTuple):
    key: int
    version: int
    text: str


class RowSource(Protocol):
    """Source of the rows. Called by the indexer's thread only; every exception is logged and the call is retried."""

    def set_blocks(self, generation: str, readable: frozenset[int]) -> None:
        """Set the readable blocks; called before the first `list_pending` and after every change.

        A row that references another block, or a block of another generation, is pending again.
        """

    def list_pending(self, limit: int) -> Sequence[PendingText]:
        """Return rows whose text is not in the index: at most `limit`, fewer when MAX_COMMIT_CHARACTERS is reached."""

    def mark_indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        """Mark these (key, version) as searchable: their text is in this block of the current generation."""

    def build_templates(self) -> bool:
        """Extend a template file; return whether there may be more to extend. Raises OSError."""

    def lowest_key(self) -> int:
        """Return a lower bound of all keys in the store."""

    @property
    def has_delayed_rows(self) -> bool:
        """Whether rows that the last `list_pending` did not return will be pending later without another change."""


class Indexer(threading.Thread):
    """Adds pending rows to the index until it is stopped."""

    def __init__(
        self,
        directory: Path,
        source: RowSource,
        *,
        max_block_documents: int = MAX_BLOCK_DOCUMENTS,
        max_rows: int = MAX_COMMIT_ROWS,
        poll_interval: float = INDEX_POLL_INTERVAL,
    ) -> None:
        super().__init__(name="text-index", daemon=True)
        self._directory = directory
        self._source = source
        self._max_block_documents = max_block_documents
        self._max_rows = max_rows
        self._poll_interval = self._interval = poll_interval
        self._listed_at = 0.0
        self._stopping = threading.Event()
        self._writer: TextWriter | None = None
        self._announced_blocks: frozenset[int] | None = None
        self._maintained_at = 0.0
        self._error = ""
        self._is_idle = False
        #: since when there has been nothing to do, by the monotonic clock; None if there is something
        self._idle_since: float | None = None

    @property
    def error(self) -> str:
        """Why the index cannot be written at present; empty if there is no error."""
        return self._error

    @property
    def is_idle(self) -> bool:
        """Whether the last check found no pending rows."""
        return self._is_idle

    @property
    def idle_seconds(self) -> float:
        """For how long there has been nothing to do, now or later, without another change of a task."""
        idle_since = self._idle_since
        return 0.0 if idle_since is None else time.monotonic() - idle_since

    def stop(self, timeout: float = 5.0) -> None:
        """Stop the thread, which takes less than a second. Rows that were not committed are pending again."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        while not self._stopping.is_set():
            started_at = time.monotonic()
            if not self._run_with_retries():
                self._stopping.wait(max(0.0, started_at + self._interval - time.monotonic()))
        self._close()

    def _run_with_retries(self) -> bool:
        """Return what `_run_once` returns; False if the thread is stopped before it succeeds."""
        delay = _MIN_RETRY_DELAY
        while not self._stopping.is_set():
            try:
                return self._run_once()
            except Exception as error:  # noqa: BLE001 - tantivy, SQLite, the file system: all may recover
                self._log_failure(error)
            self._stopping.wait(delay)
            delay = min(2 * delay, _MAX_RETRY_DELAY)
        return False

    def _run_once(self) -> bool:
        """Index the pending rows once; return whether there are more to index without a pause."""
        writer = self._open_writer()
        before, self._listed_at = self._listed_at, time.monotonic()
        rows = self._source.list_pending(self._max_rows)
        self._interval = choose_interval(len(rows), self._listed_at - before, self._poll_interval)
        characters = sum(len(row.text) for row in rows)
        if rows:
            self._is_idle = False
            self._index(writer, rows)
        has_built = self._source.build_templates()
        self._is_idle = not rows and not has_built
        has_work = not self._is_idle or writer.verify_next() or self._source.has_delayed_rows
        self._maintain(writer)
        self._log_recovery()
        if has_work:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        return has_built or len(rows) >= self._max_rows or characters >= MAX_COMMIT_CHARACTERS // 2

    def _open_writer(self) -> TextWriter:
        if self._writer is None:
            self._writer = TextWriter(self._directory, max_block_documents=self._max_block_documents)
            self._announced_blocks = None
        blocks = self._writer.blocks
        if blocks != self._announced_blocks:
            self._source.set_blocks(self._writer.generation, blocks)
            self._announced_blocks = blocks
        return self._writer

    def _index(self, writer: TextWriter, rows: Sequence[PendingText]) -> None:
        done: list[tuple[int, int]] = []
        characters = 0
        for part in _split_rows(rows):
            writer.add_all([(row.key, row.text) for row in part])
            done += [(row.key, row.version) for row in part]
            characters += sum(len(row.text) for row in part)
            if characters >= MAX_COMMIT_CHARACTERS:
                self._source.mark_indexed(done, writer.commit())
                done, characters = [], 0
            if self._stopping.is_set():
                return
        if done:
            self._source.mark_indexed(done, writer.commit())

    def _maintain(self, writer: TextWriter) -> None:
        if time.monotonic() - self._maintained_at < _MAINTENANCE_INTERVAL:
            return
        writer.remove_unreadable()
        writer.delete_before(self._source.lowest_key())
        self._maintained_at = time.monotonic()

    def _log_failure(self, error: Exception) -> None:
        """Close the writer; the next attempt starts from what is on disk, without uncommitted documents."""
        self._close()
        self._idle_since = None
        message = str(error) or repr(error)
        if not self._error:
            log.warning("Text indexing failed: %s. Retrying; until then, text searches are slower.", message)
        self._error = message

    def _log_recovery(self) -> None:
        if self._error:
            log.info("Text indexing recovered.")
            self._error = ""

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def choose_interval(rows: int, seconds: float, poll_interval: float) -> float:
    """Return the seconds between a check that found this number of rows, which were written within `seconds`, and the
    next one."""
    if rows == 0:
        return poll_interval
    return max(poll_interval, min(GROUP_ROWS * seconds / rows, MAX_POLL_INTERVALS * poll_interval))


def _split_rows(rows: Sequence[PendingText]) -> Iterator[Sequence[PendingText]]:
    """Split into parts of at most _STOP_CHECK_ROWS rows, which end when they reach MAX_COMMIT_CHARACTERS."""
    start = characters = 0
    for end, row in enumerate(rows, 1):
        characters += len(row.text)
        if end - start == _STOP_CHECK_ROWS or characters >= MAX_COMMIT_CHARACTERS:
            yield rows[start:end]
            start, characters = end, 0
    if start < len(rows):
        yield rows[start:]
