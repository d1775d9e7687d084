"""The interface of a source: one kind of broker, its connections, and the parser of what they receive."""

from typing import Protocol

from flower.capture.interruption import Interruption
from flower.records import Event, Gap


class ConnectionLost(Exception):
    """The connection cannot be used anymore: the broker's error, or what was invalid."""


class MessageParser(Protocol):
    """Parses the bytes of one connection, in order, into events. For use by one thread at a time."""

    @property
    def completed_tag(self) -> int | None:
        """The delivery tag of the last complete message; None if the source does not acknowledge."""
        ...

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        """Append the events to `out`. Raises ConnectionLost."""
        ...

    def ack(self, tag: int) -> bytes:
        """The bytes that acknowledge everything up to `tag`."""
        ...


class PutData(Protocol):
    """Appends received bytes to the queue."""

    def __call__(self, data: bytes, received: float, since: float, timeout: float) -> bool:
        """False if the queue was full for `timeout` seconds. The bytes were read at `received` and arrived after
        `since` (epoch seconds)."""
        ...


class SourceConnection(Protocol):
    """One connection, from subscribed to closed."""

    @property
    def parser(self) -> MessageParser: ...
    @property
    def gap(self) -> Gap | None:
        """The interval before this connection in which events may be missing, or None."""
        ...

    @property
    def caught_up_at(self) -> float:
        """The last time at which everything that had arrived was read, in epoch seconds."""
        ...

    @property
    def confirmed_at(self) -> float | None:
        """The last time at which the broker was reachable, in epoch seconds; None if the connection does not check it
        at least every second."""
        ...

    @property
    def complete_until(self) -> float:
        """After `run`: until when nothing was missed, as far as the connection shows, in epoch seconds."""
        ...

    @property
    def is_unresponsive(self) -> bool:
        """Whether the broker has not answered for some seconds; the connection is not given up yet."""
        ...

    @property
    def is_closed_by_peer(self) -> bool:
        """After `run`: whether the broker closed or reset the connection."""
        ...

    def run(self, put: PutData) -> str:
        """Pass received data to `put` until the connection ends. Returns the reason."""
        ...

    def send(self, data: bytes) -> None: ...
    def close(self, reason: str, incomplete_since: float | None = None) -> None: ...


class EventSource(Protocol):
    """One kind of broker: opens subscribed connections."""

    #: The kind of source, for display.
    description: str
    #: The broker's URL; shown masked.
    url: object
    #: Whether the broker keeps messages until they are acknowledged; otherwise they are spilled to disk when necessary.
    broker_retains_messages: bool
    #: Whether a drain process can receive from this broker while the recorder restarts.
    has_drain_process: bool

    def connect(self, interruption: Interruption | None) -> SourceConnection:
        """A subscribed connection; raises whatever the client library raises. `interruption` is the time since the
        previous connection, also of an earlier process; None if there was none."""
        ...

    def clean_up(self) -> None:
        """Remove what was declared on the broker, if configured."""
        ...
