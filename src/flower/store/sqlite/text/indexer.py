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

from flower.store.sqlite.text.writer import BLOCK_DOCS, TextWriter

log = logging.getLogger(__name__)

#: Rows of one commit. A commit costs 10 ms or more, however little is in it.
CHUNK: Final = 20_000
#: A source may end its list early when its texts have so many characters in all: more are not added without a
#: commit, so that neither memory nor the time to stop grows with the length of texts.
CHUNK_CHARACTERS: Final = 4_000_000
#: Seconds from one look for pending rows to the next. The index lags the rows by that and one commit.
PAUSE: Final = 0.5
_TIDY_EVERY: Final = 60.0
_LONGEST_WAIT: Final = 30.0
#: Documents between two looks whether to stop: a few milliseconds.
_STOP_EVERY: Final = 500


class Pending(NamedTuple):
    key: int
    version: int
    text: str


class Source(Protocol):
    """Where rows come from. Called by the indexer's thread only; whatever is raised is logged and tried again."""

    def blocks(self, generation: str, readable: frozenset[int]) -> None:
        """Which blocks there are, told before the first `pending` and when they have changed: a row that names
        another block, or a block of another generation, is pending again."""

    def pending(self, limit: int) -> Sequence[Pending]:
        """Rows whose text is not in the index: at most `limit`, fewer when CHUNK_CHARACTERS are reached."""

    def indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        """Of these (key, version) the text is in this block, of the generation told last, and will be found."""

    def lowest_key(self) -> int:
        """No row has a smaller one."""


class Indexer(threading.Thread):
    def __init__(
        self, folder: Path, source: Source, *, block_docs: int = BLOCK_DOCS, chunk: int = CHUNK, pause: float = PAUSE
    ) -> None:
        super().__init__(name="text-index", daemon=True)
        self._folder = folder
        self._source = source
        self._block_docs = block_docs
        self._chunk = chunk
        self._pause = pause
        self._stopping = threading.Event()
        self._writer: TextWriter | None = None
        self._told: frozenset[int] | None = None
        self._tidied = 0.0
        self._trouble = ""
        self._idle = False
        # a fresh count for every call, so the waits begin short again after a success
        self._retrying = Retrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential(multiplier=0.5, max=_LONGEST_WAIT),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._note_trouble,
            retry_error_callback=lambda state: False,
        )

    @property
    def trouble(self) -> str:
        """What keeps the index from being written now; "" if nothing does."""
        return self._trouble

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
            busy = self._retrying(self._round)
            if not busy:
                self._stopping.wait(max(0.0, began + self._pause - time.monotonic()))
        self._close()

    def _round(self) -> bool:
        """One look for pending rows; gives whether to look again without a pause."""
        writer = self._opened()
        rows = self._source.pending(self._chunk)
        self._idle = not rows
        if rows:
            self._index(writer, rows)
        else:
            writer.check_next()
        self._tidy(writer)
        self._note_recovery()
        return len(rows) >= self._chunk or sum(len(row.text) for row in rows) >= CHUNK_CHARACTERS // 2

    def _opened(self) -> TextWriter:
        if self._writer is None:
            self._writer = TextWriter(self._folder, block_docs=self._block_docs)
            self._told = None
        blocks = self._writer.blocks
        if blocks != self._told:
            self._source.blocks(self._writer.generation, blocks)
            self._told = blocks
        return self._writer

    def _index(self, writer: TextWriter, rows: Sequence[Pending]) -> None:
        done: list[tuple[int, int]] = []
        characters = 0
        for number, (key, version, text) in enumerate(rows, 1):
            writer.add(key, text)
            done.append((key, version))
            characters += len(text)
            if characters >= CHUNK_CHARACTERS:
                self._source.indexed(done, writer.commit())
                done, characters = [], 0
            if not number % _STOP_EVERY and self._stopping.is_set():
                return
        if done:
            self._source.indexed(done, writer.commit())

    def _tidy(self, writer: TextWriter) -> None:
        if time.monotonic() - self._tidied < _TIDY_EVERY:
            return
        writer.remove_unreadable()
        writer.drop_below(self._source.lowest_key())
        self._tidied = time.monotonic()

    def _note_trouble(self, state: RetryCallState) -> None:
        """Begin again with what is on disk: added and not committed is not there."""
        self._close()
        error = state.outcome.exception() if state.outcome else None
        trouble = str(error) or repr(error)
        if not self._trouble:
            log.warning("The text index waits: %s. Searching for text reads the rows meanwhile.", trouble)
        self._trouble = trouble

    def _note_recovery(self) -> None:
        if self._trouble:
            log.info("The text index goes on.")
            self._trouble = ""

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
