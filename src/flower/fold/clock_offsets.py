"""Estimates by how much the clock of each worker and client is ahead of the recorder's clock.

An event arrives at the earliest when it was sent. So a clock is ahead by at least `timestamp - received`, whatever the
delay was. A clock that is behind cannot be distinguished from a delay (a backlog at the broker, the spill queue) by one
event; therefore only heartbeats count that arrive at the pace at which they are sent, and of those the smallest delay
of a window.
"""

from collections.abc import Mapping
from math import inf
from types import MappingProxyType

from flower.records import Event

#: Seconds below which an offset is ignored: it may be a delay.
MIN_OFFSET = 2.0
#: Seconds after which a smaller offset may replace a larger one.
WINDOW = 60.0
#: Heartbeats at the pace of the worker that prove that its clock is behind.
MIN_HEARTBEATS = 3
#: Seconds for which the times of a worker whose clock was set back prove no order.
SET_BACK_PERIOD = 3600.0
#: Seconds by which a time must decrease to count as set back.
MIN_STEP = 1.0
#: Senders that are remembered.
MAX_SENDERS = 10_000


class _Sender:
    """What is known of the clock of one worker or client."""

    __slots__ = (
        "clock", "heartbeat_at", "heartbeats", "is_worker", "least_delay", "offset", "pid", "previous_delay",
        "received", "set_back_at", "started_at", "timestamp", "window_end",
    )  # fmt: skip

    def __init__(self) -> None:
        self.pid: int | None = None
        self.is_worker = False
        #: of the newest event: the logical clock of its process, its time, and when it arrived
        self.clock: int | None = None
        self.timestamp = -inf
        self.received = -inf
        #: the smallest delay (arrival minus timestamp) of this window and of the one before it
        self.least_delay = self.previous_delay = inf
        self.window_end = -inf
        self.heartbeat_at = -inf
        #: consecutive heartbeats that arrived at the pace of the worker
        self.heartbeats = 0
        self.offset = 0.0
        self.set_back_at = -inf
        self.started_at: float | None = None

    def reset(self) -> None:
        self.least_delay = self.previous_delay = inf
        self.window_end = -inf
        self.heartbeats = 0

    def add_delay(self, delay: float, received: float) -> None:
        if received >= self.window_end:
            self.previous_delay = self.least_delay if received < self.window_end + WINDOW else inf
            self.least_delay, self.window_end = inf, received + WINDOW
        self.least_delay = min(self.least_delay, delay)


class ClockOffsets:
    """Clock offsets by sender. For use by one thread."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}
        self._offsets: dict[str, float] = {}
        #: the offsets that are to be corrected, in seconds, positive if the sender's clock is ahead
        self.offsets: Mapping[str, float] = MappingProxyType(self._offsets)
        #: of senders whose clock was changed recently: the offset before, when the newest event arrived, and until when
        #: events from before the change are expected
        self._former: dict[str, tuple[float, float, float]] = {}

    def offset(self, hostname: str | None) -> float | None:
        """Seconds by which the clock of the sender is ahead, negative if behind; None if less than 2 s or unknown."""
        return self._offsets.get(hostname) if hostname is not None else None

    def offset_of(self, event: Event) -> float | None:
        """The offset of the sender at the time of the event: a worker sends task events in batches, so that events from
        before a change of its clock can follow a heartbeat from after it."""
        if event.hostname not in self._former:
            return self.offset(event.hostname)
        former, received, until = self._former[event.hostname]
        if received > until:
            del self._former[event.hostname]
            return self.offset(event.hostname)
        delay, offset = received - event.timestamp, self._senders[event.hostname].offset
        if abs(delay + former) < abs(delay + offset):
            offset = former
        return offset if abs(offset) >= MIN_OFFSET else None

    def was_set_back(self, hostname: str | None) -> bool:
        """Whether the clock of the worker was set back during the last hour while it ran."""
        sender = self._senders.get(hostname or "")
        return sender is not None and sender.received - sender.set_back_at <= SET_BACK_PERIOD

    def started_at(self, hostname: str | None) -> float | None:
        """When the worker was started last, by its own clock, if `worker-online` was received."""
        sender = self._senders.get(hostname or "")
        return None if sender is None else sender.started_at

    def restore(self, offsets: Mapping[str, float | None]) -> None:
        """Use the offsets that the previous recorder estimated until there are new ones."""
        for hostname, offset in offsets.items():
            if offset is not None:
                sender = self._sender(hostname)
                sender.offset = offset
                self._publish(hostname, sender)

    def observe(self, newest: Mapping[str | None, Event], received: float) -> None:
        """Use the newest event of each sender of a batch; `received` is by the recorder's clock."""
        for hostname, event in newest.items():
            if hostname is not None and event.type[:7] != "worker-":
                self._observe_event(hostname, event, received)

    def observe_worker_event(self, event: Event, received: float) -> None:
        """Use a `worker-…` event. Each counts, because the pace of heartbeats distinguishes delay from offset."""
        if event.hostname is None:
            return
        sender = self._sender(event.hostname)
        sender.is_worker = True
        if event.type == "worker-online":
            sender.started_at = event.timestamp
        if event.type == "worker-online" or event.pid != sender.pid:
            if sender.pid is not None and event.pid != sender.pid:
                sender.reset()
                sender.clock, sender.timestamp, sender.set_back_at, sender.offset = None, -inf, -inf, 0.0
                self._publish(event.hostname, sender)
            sender.pid = event.pid
        pace = (event.freq or 2.0) / 2
        if event.type == "worker-heartbeat" and received - sender.heartbeat_at >= pace:
            sender.heartbeats += 1
        else:
            sender.heartbeats = 0
        sender.heartbeat_at = received
        self._observe_event(event.hostname, event, received, is_heartbeat=True)

    def _sender(self, hostname: str) -> _Sender:
        sender = self._senders.get(hostname)
        if sender is None:
            if len(self._senders) >= MAX_SENDERS:
                oldest = next(iter(self._senders))
                del self._senders[oldest]
                self._offsets.pop(oldest, None)
                self._former.pop(oldest, None)
            sender = self._senders[hostname] = _Sender()
        return sender

    def _observe_event(self, hostname: str, event: Event, received: float, *, is_heartbeat: bool = False) -> None:
        sender, delay = self._sender(hostname), received - event.timestamp
        former = sender.offset
        was_confirmed = abs(sender.received - sender.timestamp + former) < MIN_OFFSET
        if sender.pid is None:
            sender.pid = event.pid
        if event.pid == sender.pid and event.clock is not None and event.clock > (sender.clock or -1):
            if event.timestamp < sender.timestamp - MIN_STEP and received >= sender.received:
                self._on_set_back(hostname, sender, delay, received)
            sender.clock, sender.timestamp, sender.received = event.clock, event.timestamp, received
        if delay < 0 or (is_heartbeat and sender.heartbeats > 0):
            sender.add_delay(delay, received)
            self._estimate(hostname, sender)
        if was_confirmed and abs(sender.offset - former) >= MIN_OFFSET:
            self._former[hostname] = (former, received, received + WINDOW)
        elif hostname in self._former:
            offset, _, until = self._former[hostname]
            self._former[hostname] = (offset, received, until)

    def _on_set_back(self, hostname: str, sender: _Sender, delay: float, received: float) -> None:
        """The logical clock proves that the event is newer, although its time is older."""
        was_immediate = abs(sender.received - sender.timestamp + sender.offset) < MIN_OFFSET
        sender.reset()
        sender.set_back_at = received
        sender.offset = -delay if was_immediate else 0.0
        self._publish(hostname, sender)

    def _estimate(self, hostname: str, sender: _Sender) -> None:
        least = min(sender.least_delay, sender.previous_delay)
        if least < 0 or sender.heartbeats >= MIN_HEARTBEATS:
            sender.offset = -least
            self._publish(hostname, sender)

    def _publish(self, hostname: str, sender: _Sender) -> None:
        if abs(sender.offset) >= MIN_OFFSET:
            self._offsets[hostname] = sender.offset
        else:
            self._offsets.pop(hostname, None)
