"""Entry point of the drain process (`python -m flower.capture.drain.process`).

It reads its settings from standard input, as the recorder does, and writes one line of JSON to standard output when its
socket is ready or cannot be created. It runs in its own session, and uses no descriptor of the recorder afterwards: it
continues when the recorder and the web server end.
"""

import gc
import json
import logging
import os
import pickle
import secrets
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from flower.capture.broker_drain import BrokerDrain
from flower.capture.drain.message_cutter import MessageCutter
from flower.capture.drain.messages import Welcome
from flower.capture.drain.server import DrainServer, LogBuffer
from flower.capture.drain.settings import ERROR_FILE, DrainSettings
from flower.capture.drain.source import DrainSource
from flower.capture.interruption import Interruption
from flower.capture.source import EventSource, PutData
from flower.capture.spill_queue import Chunk, SpillQueue
from flower.malloc import limit_malloc_arenas

log = logging.getLogger(__name__)


class MessageDrain(BrokerDrain):
    """A drain whose queue contains whole messages."""

    def __init__(self, source: EventSource, queue: SpillQueue, interruption: Interruption | None) -> None:
        super().__init__(source, queue, self._wake_up, interruption)
        self.server: DrainServer | None = None

    def _wake_up(self) -> None:
        if self.server is not None:
            self.server.wake_up()

    def _put_function(self, number: int) -> PutData:
        cutter = MessageCutter()
        #: cut, and not accepted by the queue yet
        waiting: Chunk | None = None
        #: when the first bytes of an incomplete message arrived
        incomplete_since: float | None = None

        def put(data: bytes, received: float, since: float, timeout: float) -> bool:
            nonlocal waiting, incomplete_since
            if waiting is None:
                messages = cutter.feed(data)
                first = since if incomplete_since is None else incomplete_since
                incomplete_since = None if cutter.is_empty else since if messages else first
                if not messages:
                    return True
                waiting = Chunk(received, first, number, messages)
            if not self._put(waiting, timeout):
                return False
            waiting = None
            return True

        return put

    def _on_disconnected(self, reason: str) -> None:
        super()._on_disconnected(reason)
        self._wake_up()

    def _put(self, chunk: Chunk, timeout: float) -> bool:
        accepted = super()._put(chunk, timeout)
        if accepted:
            self._wake_up()
        return accepted


def run_drain(settings: DrainSettings, listener: socket.socket, path: str, logs: LogBuffer) -> str:
    """Drain and serve until no recorder needs this drain anymore. Returns the reason."""
    capture = settings.capture
    queue = SpillQueue(capture.spill_folder, memory_limit=capture.memory_limit, disk_limit=capture.spill_limit)
    drain = MessageDrain(DrainSource(capture), queue, settings.interruption)
    welcome = Welcome(Path(path).stem, settings.version, settings.digest, os.getpid())
    drain.server = server = DrainServer(listener, path, welcome, drain, queue, logs, capture.queue_expires)
    drain.start()
    try:
        return server.run()
    finally:
        drain.stop()
        queue.close()


def _bind(folder: str) -> tuple[socket.socket, str]:
    """A listening socket in the folder, and its name. The address is relative to the working directory, because the
    address of a Unix socket is limited to about 100 bytes. Raises OSError."""
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(folder)
    name = f"{secrets.token_hex(8)}.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous_mask = os.umask(0o177)
    try:
        listener.bind(name)
    finally:
        os.umask(previous_mask)
    listener.listen(8)
    return listener, name


def _release_parent() -> None:
    """Close the pipes to the recorder."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _report(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201  the line that the recorder waits for


def _write_error(error: BaseException) -> None:
    """Standard error is closed; the recorder logs this file when it finds that the process has ended."""
    Path(ERROR_FILE).write_text("".join(traceback.format_exception(error)), encoding="utf-8")


def _end_on_thread_error(failure: threading.ExceptHookArgs) -> None:
    """Without its thread that receives events, the process would serve its recorder and receive nothing."""
    if failure.exc_value is not None:
        _write_error(failure.exc_value)
    os._exit(1)


def main() -> int:
    settings: DrainSettings = pickle.loads(sys.stdin.buffer.read())  # noqa: S301  written by the parent process
    logs = LogBuffer()
    logging.basicConfig(level=settings.capture.log_level, handlers=[logs])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    limit_malloc_arenas()
    gc.freeze()
    try:
        listener, name = _bind(settings.folder)
    except OSError as error:
        _report({"error": str(error)})
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.excepthook = _end_on_thread_error
    try:
        _report({"socket": name})
        _release_parent()
        run_drain(settings, listener, name, logs)
    except Exception as error:
        _write_error(error)
        raise
    finally:
        Path(name).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
