"""Waits until another process writes to the store: with inotify on Linux, by polling elsewhere."""

import asyncio
import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

log = logging.getLogger(__name__)

#: Seconds between two reads of the change sequence (50 µs each) without inotify.
POLL_INTERVAL: Final = 0.05


class ChangeWatch:
    """Context manager, in one event loop. `path`: a file whose modification time is set after each write, None to
    poll."""

    def __init__(self, path: Path | None) -> None:
        #: None: no file, or it was watched, or cannot be watched
        self._path = path
        self._inotify: Any = None
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        self._start()
        return self

    def _start(self) -> None:
        """Watch the file as soon as it exists: the recorder of a new store creates it."""
        if self._path is None or not self._path.exists():
            return
        self._inotify = _open_inotify(self._path)
        self._path = None
        if self._inotify is not None:
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._read)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()

    async def wait(self, timeout: float) -> None:
        """Return when the store has been written since the last call, at the latest after `timeout` seconds."""
        if self._inotify is None:
            await asyncio.sleep(min(timeout, POLL_INTERVAL))
            self._start()
            return
        # not `wait_for`, which raises an exception at each timeout
        waiter = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait([waiter], timeout=timeout)
        finally:
            waiter.cancel()
        self._changed.clear()

    def _read(self) -> None:
        assert self._inotify is not None
        self._inotify.read(timeout=0)
        self._changed.set()


def _open_inotify(path: Path) -> Any:
    """None if inotify is not available."""
    if sys.platform != "linux":
        return None
    from inotify_simple import INotify, flags  # noqa: PLC0415 - installed on Linux only

    try:
        inotify = INotify()
        inotify.add_watch(path, flags.ATTRIB)
    except OSError as error:  # a user has 128 instances
        log.info("Changes of the store are polled, because inotify is not available: %s", error)
        return None
    return inotify
