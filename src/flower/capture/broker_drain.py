"""The thread that connects to a broker, reconnects, and appends the received bytes to a queue at once."""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from flower.capture.connection import backoff_delays, describe_error
from flower.capture.interruption import Interruption
from flower.capture.source import EventSource, PutData, SourceConnection
from flower.capture.spill_queue import Chunk, SpillQueue
from flower.redaction import mask_url

log = logging.getLogger(__name__)

_STOP_TIMEOUT = 2.0
#: By how much the nice value of the drain thread is lower than that of other threads.
_PRIORITY_BOOST = 10


def _raise_thread_priority() -> None:
    """Run this thread before others where permitted: when events arrive faster than they can be folded, draining the
    socket must not wait. On Linux threads have their own priorities."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # requires root
            # Relative to the process: an absolute value could be worse than that of a process with raised priority.
            process_niceness = os.getpriority(os.PRIO_PROCESS, 0) - _PRIORITY_BOOST
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(process_niceness, -20))


class BrokerDrain:
    """Runs from `start` to `stop`. The other members may be read by any thread."""

    def __init__(
        self, source: EventSource, queue: SpillQueue, on_connect: Callable[[], None], interruption: Interruption | None
    ) -> None:
        """`interruption`: the time since an earlier recorder of the same store received events."""
        self.source = source
        #: the connections that the queue announces, by number, until the reader removes them
        self.connections: dict[int, SourceConnection] = {}
        #: the number of the open connection, and the connection
        self.current: tuple[int, SourceConnection] | None = None
        #: the time since the last connection ended
        self.interruption = interruption
        #: since when the drain is connected, or not
        self.state_since: float | None = None
        self.last_error: str | None = None
        self._queue, self._on_connect = queue, on_connect
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Read what has arrived, and disconnect."""
        self._stopping.set()
        if current := self.current:
            current[1].close("stopped")
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and the broker answers."""
        current = self.current
        return current is not None and not current[1].is_unresponsive

    @property
    def error(self) -> str | None:
        """Why the drain is not connected; None if it is."""
        if self.current is not None and not self.is_connected:
            return f"the broker does not answer ({mask_url(self.source.url)})"
        return self.last_error

    @property
    def caught_up_at(self) -> float | None:
        """The last time at which everything that had arrived was appended to the queue, in epoch seconds."""
        current, interruption = self.current, self.interruption
        return current[1].caught_up_at if current else interruption.since if interruption else None

    @property
    def confirmed_at(self) -> float | None:
        """The last time at which the broker was reachable, in epoch seconds; None if unknown."""
        current = self.current
        return current[1].confirmed_at if current else None

    def _run(self) -> None:
        _raise_thread_priority()
        number, retry_delays = 0, backoff_delays()
        while not self._stopping.is_set():
            try:
                connection = self.source.connect(self.interruption)
            except Exception as error:  # each transport has its own errors; none may end capture
                self._on_disconnected(describe_error(error, self.source.url))
                log.debug("capture: cannot connect", exc_info=True)
                self._stopping.wait(next(retry_delays))
                continue
            number += 1
            self.connections[number] = connection
            self.current = (number, connection)
            self._on_connected(number)
            try:
                reason = self._drain(number, connection)
                retry_delays = backoff_delays()
            except Exception as error:  # a new connection may work; the time between is a gap
                reason = f"internal error: {error!r}"
                log.exception("capture: internal error, connects again")
                connection.close(reason, connection.caught_up_at)  # what was read since then may be lost
                self._stopping.wait(next(retry_delays))
            self.interruption = Interruption(
                connection.complete_until, "broker_unreachable", reason, connection.is_closed_by_peer
            )
            self.current, self.state_since = None, time.time()
            if not self._stopping.is_set():
                self._on_disconnected(f"{reason} ({mask_url(self.source.url)})")
                self._stopping.wait(0.1)

    def _drain(self, number: int, connection: SourceConnection) -> str:
        if self._stopping.is_set():
            connection.close("stopped")
        now = time.time()
        while not self._put(Chunk(now, now, number, b""), 1.0) and not self._stopping.is_set():
            pass
        return connection.run(self._put_function(number))

    def _put_function(self, number: int) -> PutData:
        def put(data: bytes, received: float, since: float, timeout: float) -> bool:
            return self._put(Chunk(received, since, number, data), timeout)

        return put

    def _put(self, chunk: Chunk, timeout: float) -> bool:
        return self._queue.put(chunk, timeout)

    def _on_disconnected(self, reason: str) -> None:
        if self.last_error is None:
            log.warning("capture: broker unreachable: %s. Reconnecting automatically", reason)
        self.last_error = reason

    def _on_connected(self, number: int) -> None:
        self.state_since = time.time()
        if self.last_error is not None:
            log.info("capture: reconnected to %s", mask_url(self.source.url))
            self.last_error = None
        elif number == 1:
            log.info("capture: connected to %s", mask_url(self.source.url))
        self._on_connect()
