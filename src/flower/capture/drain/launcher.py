"""Finds the drains of a store, connects to them, and starts new ones."""

import contextlib
import json
import logging
import mmap
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flower.capture.drain.messages import (
    PROTOCOL,
    Detach,
    FrameReader,
    FromDrain,
    InvalidFrame,
    ToDrain,
    Welcome,
    encode_frame,
)
from flower.capture.drain.settings import ERROR_FILE, DrainSettings

log = logging.getLogger(__name__)

#: Seconds for a new process to import its modules and open its socket.
_START_TIMEOUT = 30.0
_WELCOME_TIMEOUT = 5.0
_SEND_TIMEOUT = 10.0
_RECEIVE_SIZE = 4 * 1024 * 1024
#: The address of a Unix socket is limited to 108 bytes on Linux and 104 on macOS.
_MAX_ADDRESS = 100


class DrainUnavailable(Exception):
    """No drain can be started, or the connection to it is lost."""


class DrainLink:
    """The connection of the recorder to a drain. For one thread."""

    def __init__(self, sock: socket.socket) -> None:
        """Reads the welcome. Raises DrainUnavailable."""
        self._sock = sock
        self._frames = FrameReader(FromDrain)
        # A mapping, because memory that is never written to is not allocated.
        self._buffer = memoryview(mmap.mmap(-1, _RECEIVE_SIZE))
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        frame = self.receive(_WELCOME_TIMEOUT)
        if frame is None or not isinstance(frame[0], Welcome):
            self.close()
            raise DrainUnavailable("the drain does not answer")
        self.welcome = frame[0]
        if self.welcome.protocol != PROTOCOL:
            self.close()
            with contextlib.suppress(OSError):  # it cannot be read, and must not wait for a recorder
                os.kill(self.welcome.pid, signal.SIGTERM)
            raise DrainUnavailable(f"the drain uses protocol {self.welcome.protocol} instead of {PROTOCOL}")

    def receive(self, timeout: float) -> tuple[object, bytes] | None:
        """The next frame; None if there is none within `timeout` seconds. Raises DrainUnavailable."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                frame = self._frames.next()
                if frame is not None:
                    return frame
                if not self._selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                self._sock.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    size = self._sock.recv_into(self._buffer)
                    if not size:
                        raise DrainUnavailable("the drain process ended")
                    self._frames.feed(self._buffer[:size])
            except (OSError, InvalidFrame) as error:
                raise DrainUnavailable(f"the connection to the drain process failed: {error}") from None

    def send(self, message: ToDrain) -> None:
        """Raises DrainUnavailable."""
        try:
            self._sock.settimeout(_SEND_TIMEOUT)
            self._sock.sendall(encode_frame(message)[0])
        except OSError as error:
            raise DrainUnavailable(f"the connection to the drain process failed: {error}") from None

    def close(self) -> None:
        self._selector.close()
        self._sock.close()


def find_drains(folder: str) -> list[DrainLink]:
    """Links to the running drains of a store. Sockets of drains that do not run anymore are removed."""
    links = []
    for path in sorted(Path(folder).glob("*.sock")):
        try:
            links.append(DrainLink(_connect(folder, path.name)))
        except (OSError, DrainUnavailable) as error:
            if isinstance(error, ConnectionRefusedError):
                path.unlink(missing_ok=True)  # left by a process that was killed
            else:
                log.warning("capture: cannot use the drain at %s: %s", path, error)
    return links


def log_error(folder: str) -> None:
    """Log the traceback of a drain process that failed, and remove its file, if there is one."""
    path = Path(folder) / ERROR_FILE
    with contextlib.suppress(OSError):
        log.error("capture: the drain process failed:\n%s", path.read_text(encoding="utf-8", errors="replace"))
        path.unlink()


def start_drain(settings: DrainSettings) -> DrainLink:
    """Start a drain process and connect to it. Raises DrainUnavailable."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "flower.capture.drain.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Signals of a terminal, and signals to the process group of the server, do not reach it.
            start_new_session=True,
        )
        report = _exchange(process, pickle.dumps(settings))
        if "socket" not in report:
            raise DrainUnavailable(str(report.get("error", "the drain process does not start")))
        try:
            return DrainLink(_connect(settings.folder, str(report["socket"])))
        except (OSError, DrainUnavailable):
            process.terminate()
            log_error(settings.folder)
            raise
    except OSError as error:
        raise DrainUnavailable(str(error)) from None


def _exchange(process: "subprocess.Popen[bytes]", settings: bytes) -> dict[str, Any]:
    """Pass the settings and read the report; empty if the process reports nothing."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout, selectors.DefaultSelector() as selector:
        process.stdin.write(settings)
        process.stdin.close()
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(_START_TIMEOUT):
            process.kill()
            return {"error": f"the drain process did not start within {_START_TIMEOUT:.0f} s"}
        line = process.stdout.readline()
    # The process is waited for when it ends, so that it leaves no zombie.
    _children.append(process)
    with contextlib.suppress(ValueError):
        return dict(json.loads(line))
    return {}


_children: "list[subprocess.Popen[bytes]]" = []


def reap_children() -> None:
    """Remove ended drain processes of this process from the process table."""
    _children[:] = [process for process in _children if process.poll() is None]


def _connect(folder: str, name: str) -> socket.socket:
    """Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_WELCOME_TIMEOUT)
        address = os.path.join(folder, name)
        if len(os.fsencode(address)) <= _MAX_ADDRESS:
            sock.connect(address)
        else:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                sock.connect(f"/proc/self/fd/{descriptor}/{name}")
            finally:
                os.close(descriptor)
    except BaseException:
        sock.close()
        raise
    return sock


def select_drains(settings: DrainSettings) -> tuple[DrainLink | None, DrainLink | None]:
    """The drain to read from, and the one that takes over from it, of those that run."""
    links = find_drains(settings.folder)
    fitting = [link for link in links if settings.fits(link.welcome)]
    others = [link for link in links if link not in fitting]
    selected = (*others[:1], *fitting[:1])
    for link in links:
        if link not in selected:
            _stop(link)
    current = selected[0] if selected else None
    return current, selected[1] if len(selected) > 1 else None


def stop_drains(folder: str) -> None:
    """Stop all drains of a store."""
    for link in find_drains(folder):
        _stop(link)


def _stop(link: DrainLink) -> None:
    log.warning("capture: the drain process %d is no longer used and stops", link.welcome.pid)
    with contextlib.suppress(DrainUnavailable):
        link.send(Detach(0.0))
    link.close()
