"""The port of capture: batches of checked events, in the order the broker gave them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flower.records import Event, Gap


@dataclass(frozen=True, slots=True)
class CapturedBatch:
    """What came in together. `token` grows; `received` is our clock, in epoch seconds, when the
    bytes were taken off the wire. A gap says that events before this batch may be missing."""

    events: Sequence[Event]
    token: int
    received: float
    gap: Gap | None = None
    #: bytes on the wire, so that whoever collects batches can bound what they hold
    size: int = 0
    #: messages in it that the broker keeps until they are done; 0 where it keeps none
    messages: int = 0


class Capture(Protocol):
    """A running capture. `start` returns at once and never raises for a broker that is away."""

    def start(self) -> None: ...

    def read(self, timeout: float) -> CapturedBatch | None:
        """The next batch; None if none came within `timeout` seconds."""
        ...

    def ack(self, token: int) -> None:
        """Everything up to this token is safe on disk: the broker may forget it."""
        ...

    def stop(self) -> None:
        """Leave the broker. What was taken off the wire before can still be read."""
        ...

    def status(self) -> dict[str, object]:
        """For people: connected, path in use, events and malformed messages so far, backlog."""
        ...
