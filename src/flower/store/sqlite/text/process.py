"""The text index, kept by a process of its own. It takes as much of a processor as recording does, and in one process
the two would wait for each other: Python runs one thread at a time.

`python -P -m flower.store.sqlite.indexing FOLDER LEVEL` keeps the index of the store in FOLDER until its standard
input ends, so that it never outlives who started it. It reads rows and columns like anybody; it writes the index, and
into the columns what is indexed."""

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
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text import Indexer
from flower.store.sqlite.text.backlog import IndexBacklog

log = logging.getLogger(__name__)

#: Where both want the processor, recording and pages come first.
_NICENESS: Final = 5
#: Seconds until a process that ended by itself is started again: the first time, and at most.
_MIN_RESTART_DELAY: Final = 1.0
_MAX_RESTART_DELAY: Final = 60.0
#: Seconds for the last commit before it is made to end; nothing is lost by that.
_STOP_TIMEOUT: Final = 5.0
INDEX_LOCK_FILE: Final = "index.lock"


class IndexProcess:
    """Who started it calls `tend` now and then."""

    def __init__(self, folder: StoreDirectory) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = _MIN_RESTART_DELAY
        self._next = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def ensure_running(self) -> None:
        """Start it, or start it again."""
        process = self._process
        if process is not None and process.poll() is None:
            return
        now = time.monotonic()
        if now < self._next:
            return
        if process is not None:
            log.warning(
                "The process of the text index ended (exit status %d) and is started again. Searching for text reads "
                "the rows meanwhile.",
                process.returncode,
            )
        self._next = now + self._delay
        self._delay = min(2 * self._delay, _MAX_RESTART_DELAY)
        level = logging.getLevelName(logging.getLogger("flower").getEffectiveLevel())
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                # without the working directory in the path of modules: there may be a `flower` of somebody else's
                [sys.executable, "-P", "-m", __name__, str(self._folder.path), level],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("The process of the text index cannot be started: %s", error)

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
        signal.signal(number, signal.SIG_IGN)  # a terminal's are for who started us
    folder, level = StoreDirectory(sys.argv[1]), sys.argv[2]
    limit_malloc_arenas()
    configure_logging(level)
    with suppress(OSError):
        os.nice(_NICENESS)
    over = threading.Event()
    threading.Thread(target=_wait_for_stdin_close, args=(over,), daemon=True).start()
    with _hold_lock(folder.path, over):
        if not over.is_set():
            _run_indexer(folder, over)


def _run_indexer(folder: StoreDirectory, over: threading.Event) -> None:
    source = IndexBacklog(folder)
    indexer = Indexer(folder.text_path, source)
    indexer.start()
    over.wait()
    indexer.stop()
    source.close()


def _wait_for_stdin_close(over: threading.Event) -> None:
    # The raw descriptor: a read of sys.stdin in a daemon thread holds a lock that ending needs.
    while os.read(0, 4096):
        pass
    over.set()


@contextmanager
def _hold_lock(path: Path, over: threading.Event) -> Iterator[None]:
    """One at a time: that of a recorder that was killed may not be over yet."""
    with open(path / INDEX_LOCK_FILE, "w") as lock:
        while not over.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                over.wait(0.1)
        yield


if __name__ == "__main__":
    main()
