"""The thread that brings rows into the text index, whatever happens to it, and keeps nobody waiting."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from flower.store.sqlite.text.writer import MAX_BLOCK_DOCUMENTS, TextWriter

log = logging.getLogger(__name__)

#: Rows of one commit. A commit costs 10 ms or more, however little is in it.
MAX_COMMIT_ROWS: Final = 20_000
#: A source may end its list early when its texts have so many characters in all: more are not added without a
#: commit, so that neither memory nor the time to stop grows with the length of texts.
MAX_COMMIT_CHARACTERS: Final = 4_000_000
#: Seconds from one look for pending rows to the next. The index lags the rows by that and one commit.
INDEX_POLL_INTERVAL: Final = 0.5
_MAINTENANCE_INTERVAL: Final = 60.0
_MAX_RETRY_DELAY: Final = 30.0
#: Documents between two looks whether to stop: a few milliseconds.
_STOP_CHECK_ROWS: Final = 500


class PendingText(NamedTuple):
    key: int
    version: int
    text: str


class RowSource(Protocol):
    """Where rows come from. Called by the indexer's thread only; whatever is raised is logged and tried again."""

    def set_blocks(self, generation: str, readable: frozenset[int]) -> None:
        """Which blocks there are, told before the first `pending` and when they have changed: a row that names
        another block, or a block of another generation, is pending again."""

    def list_pending(self, limit: int) -> Sequence[PendingText]:
        """Rows whose text is not in the index: at most `limit`, fewer when CHUNK_CHARACTERS are reached."""

    def mark_indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        """Of these (key, version) the text is in this block, of the generation told last, and will be found."""

    def lowest_key(self) -> int:
        """No row has a smaller one."""


class Indexer(threading.Thread):
    def __init__(
        self,
        folder: Path,
        source: RowSource,
        *,
        max_block_documents: int = MAX_BLOCK_DOCUMENTS,
        max_rows: int = MAX_COMMIT_ROWS,
        poll_interval: float = INDEX_POLL_INTERVAL,
    ) -> None:
        super().__init__(name="text-index", daemon=True)
        self._folder = folder
        self._source = source
        self._max_block_documents = max_block_documents
        self._max_rows = max_rows
        self._poll_interval = poll_interval
        self._stopping = threading.Event()
        self._writer: TextWriter | None = None
        self._announced_blocks: frozenset[int] | None = None
        self._maintained_at = 0.0
        self._error = ""
        self._idle = False
        # a fresh count for every call, so the waits begin short again after a success
        self._retrying = Retrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential(multiplier=0.5, max=_MAX_RETRY_DELAY),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._log_failure,
            retry_error_callback=lambda state: False,
        )

    @property
    def error(self) -> str:
        """What keeps the index from being written now; "" if nothing does."""
        return self._error

    @property
    def is_idle(self) -> bool:
        """Whether its last look found nothing to do."""
        return self._idle

    def stop(self, timeout: float = 5.0) -> None:
        """What was not committed will be pending again. Takes well under a second."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            busy = self._retrying(self._run_once)
            if not busy:
                self._stopping.wait(max(0.0, began + self._poll_interval - time.monotonic()))
        self._close()

    def _run_once(self) -> bool:
        """One look for pending rows; gives whether to look again without a pause."""
        writer = self._open_writer()
        rows = self._source.list_pending(self._max_rows)
        self._idle = not rows
        if rows:
            self._index(writer, rows)
        else:
            writer.verify_next()
        self._maintain(writer)
        self._log_recovery()
        return len(rows) >= self._max_rows or sum(len(row.text) for row in rows) >= MAX_COMMIT_CHARACTERS // 2

    def _open_writer(self) -> TextWriter:
        if self._writer is None:
            self._writer = TextWriter(self._folder, max_block_documents=self._max_block_documents)
            self._announced_blocks = None
        blocks = self._writer.blocks
        if blocks != self._announced_blocks:
            self._source.set_blocks(self._writer.generation, blocks)
            self._announced_blocks = blocks
        return self._writer

    def _index(self, writer: TextWriter, rows: Sequence[PendingText]) -> None:
        done: list[tuple[int, int]] = []
        characters = 0
        for number, (key, version, text) in enumerate(rows, 1):
            writer.add(key, text)
            done.append((key, version))
            characters += len(text)
            if characters >= MAX_COMMIT_CHARACTERS:
                self._source.mark_indexed(done, writer.commit())
                done, characters = [], 0
            if not number % _STOP_CHECK_ROWS and self._stopping.is_set():
                return
        if done:
            self._source.mark_indexed(done, writer.commit())

    def _maintain(self, writer: TextWriter) -> None:
        if time.monotonic() - self._maintained_at < _MAINTENANCE_INTERVAL:
            return
        writer.remove_unreadable()
        writer.delete_before(self._source.lowest_key())
        self._maintained_at = time.monotonic()

    def _log_failure(self, state: RetryCallState) -> None:
        """Begin again with what is on disk: added and not committed is not there."""
        self._close()
        error = state.outcome.exception() if state.outcome else None
        trouble = str(error) or repr(error)
        if not self._error:
            log.warning("The text index waits: %s. Searching for text reads the rows meanwhile.", trouble)
        self._error = trouble

    def _log_recovery(self) -> None:
        if self._error:
            log.info("The text index goes on.")
            self._error = ""

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
