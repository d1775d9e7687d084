"""Child process that maintains the text index.

Indexing takes as much CPU time as recording, and in one process they would wait for each other because of the GIL.

`python -P -m flower.store.sqlite.text.process DIRECTORY LEVEL` maintains the index of the store in DIRECTORY until its
standard input closes, so that it never outlives its parent. It reads rows and columns like any reader; it writes the
index and, into the columns, which rows are indexed.
"""

import fcntl
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
INDEX_LOCK_FILE: Final = "index.lock"


class IndexProcess:
    """The parent's handle of the process. The parent calls `ensure_running` regularly."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = _MIN_RESTART_DELAY
        self._next_start = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def ensure_running(self) -> None:
        """Start the process if it is not running."""
        process = self._process
        if process is not None and process.poll() is None:
            return
        now = time.monotonic()
        if now < self._next_start:
            return
        if process is not None:
            log.warning(
                "Text index process exited (status %d); restarting. Until then, text searches are slower.",
                process.returncode,
            )
        self._next_start = now + self._delay
        self._delay = min(2 * self._delay, _MAX_RESTART_DELAY)
        level = logging.getLevelName(logging.getLogger("flower").getEffectiveLevel())
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                # without the working directory in sys.path: it may contain another package named `flower`
                [sys.executable, "-P", "-m", __name__, str(self._directory.path), level],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("Cannot start the text index process: %s", error)

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
    directory, level = StoreDirectory(sys.argv[1]), sys.argv[2]
    limit_malloc_arenas()
    configure_logging(level)
    restrict_new_files()  # tantivy sets no mode
    with suppress(OSError):
        os.nice(_NICENESS)
    stop = threading.Event()
    threading.Thread(target=_wait_for_stdin_close, args=(stop,), daemon=True).start()
    with _hold_lock(directory.path, stop):
        if not stop.is_set():
            _run_indexer(directory, stop)


def _run_indexer(directory: StoreDirectory, stop: threading.Event) -> None:
    source = IndexBacklog(directory)
    indexer = Indexer(directory.text_path, source)
    indexer.start()
    stop.wait()
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
