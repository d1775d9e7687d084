"""Child process that maintains the text index.

Indexing takes as much CPU time as recording, and in one process they would wait for each other because of the GIL.

`python -P -m flower.store.sqlite.text.process DIRECTORY LEVEL TIMEOUT` maintains the index of the store in DIRECTORY
until its standard input closes, so that it never outlives its parent. It reads rows and columns like any reader; it
writes the index and, into the columns, which rows are indexed.

The process exits when it has had no work for TIMEOUT seconds, because its libraries need 20 MB of memory. The parent
starts it again when tasks have changed.
"""

import fcntl
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from flower.logging_setup import configure_logging
from flower.malloc import limit_malloc_arenas
from flower.private_files import open_file, restrict_new_files
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text import Indexer
from flower.store.sqlite.text.backlog import IndexBacklog

log = logging.getLogger(__name__)

#: lower priority than recording and pages
_NICENESS: Final = 5
#: Seconds until a process that has exited is started again: the first delay, and the maximum.
_MIN_RESTART_DELAY: Final = 1.0
_MAX_RESTART_DELAY: Final = 60.0
#: seconds for the last commit until the process is killed, which loses no data
_STOP_TIMEOUT: Final = 5.0
#: Seconds without work until the process exits. A start takes 0.15 s of processor time.
IDLE_TIMEOUT: Final = 60.0
_IDLE_CHECK_INTERVAL: Final = 0.5
INDEX_LOCK_FILE: Final = "index.lock"


class IndexProcess:
    """The parent's handle of the process. The parent calls `ensure_running` regularly."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = _MIN_RESTART_DELAY
        self._next_start = 0.0
        self._last_change = self._idle_since = 0.0
        #: the index directory when the process exited because it had no work; None if it did not
        self._idle_state: int | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def record_change(self) -> None:
        """Tasks have changed: there may be texts to index."""
        self._last_change = time.monotonic()

    def ensure_running(self) -> None:
        """Start the process if it is not running and may have work."""
        process = self._process
        if process is not None and process.poll() is None:
            return
        now = time.monotonic()
        if process is not None and process.returncode == 0:
            # For IDLE_TIMEOUT before its exit it found nothing to do; a later change may have been after its last look.
            self._process, self._idle_state = None, self._read_state()
            self._idle_since = now - IDLE_TIMEOUT
            self._delay, self._next_start = _MIN_RESTART_DELAY, 0.0
        if now < self._next_start or self._is_idle:
            return
        self._idle_state = None
        if self._process is not None:
            log.warning(
                "Text index process exited (status %d); restarting. Until then, text searches are slower.",
                self._process.returncode,
            )
        self._next_start = now + self._delay
        self._delay = min(2 * self._delay, _MAX_RESTART_DELAY)
        level = logging.getLevelName(logging.getLogger("flower").getEffectiveLevel())
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                # without the working directory in sys.path: it may contain another package named `flower`
                [sys.executable, "-P", "-m", __name__, str(self._directory.path), level, str(IDLE_TIMEOUT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("Cannot start the text index process: %s", error)

    @property
    def _is_idle(self) -> bool:
        """Whether the process has exited because it had no work, and neither tasks nor its files have changed since."""
        return (
            self._idle_state is not None
            and self._last_change < self._idle_since
            and self._idle_state == self._read_state()
        )

    def _read_state(self) -> int:
        """Changes when blocks of the index, or the whole index, are removed."""
        try:
            return self._directory.text_path.stat().st_mtime_ns
        except OSError:
            return 0

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # signals of the terminal are for the parent process
    directory, level, idle_timeout = StoreDirectory(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    limit_malloc_arenas()
    configure_logging(level)
    restrict_new_files()  # tantivy sets no mode
    with suppress(OSError):
        os.nice(_NICENESS)
    stop = threading.Event()
    threading.Thread(target=_wait_for_stdin_close, args=(stop,), daemon=True).start()
    # Texts are collected in thousands of tuples that form no cycles.
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    with _hold_lock(directory.path, stop):
        if not stop.is_set():
            _run_indexer(directory, stop, idle_timeout)


def _run_indexer(directory: StoreDirectory, stop: threading.Event, idle_timeout: float) -> None:
    source = IndexBacklog(directory)
    indexer = Indexer(directory.text_path, source)
    indexer.start()
    while not stop.wait(_IDLE_CHECK_INTERVAL) and indexer.idle_seconds < idle_timeout:
        pass
    indexer.stop()
    source.close()


def _wait_for_stdin_close(stop: threading.Event) -> None:
    # The raw descriptor: a read of sys.stdin in a daemon thread holds a lock that interpreter shutdown needs.
    while os.read(0, 4096):
        pass
    stop.set()


@contextmanager
def _hold_lock(path: Path, stop: threading.Event) -> Iterator[None]:
    """Hold the lock: one indexer at a time. The process of a recorder that was killed may still be running."""
    with open_file(path / INDEX_LOCK_FILE, "w") as lock:
        while not stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.wait(0.1)
        yield


if __name__ == "__main__":
    main()
