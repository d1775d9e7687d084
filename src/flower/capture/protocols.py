"""The interface of capture: batches of checked events, in the order in which the broker delivered them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flower.records import Event, Gap


@dataclass(frozen=True, slots=True)
class CapturedBatch:
    """Events that were received together. `token` increases; `received` is the local clock, in epoch seconds, when the
    bytes were read from the socket. A gap means that events before this batch may be missing."""

    events: Sequence[Event]
    token: int
    received: float
    gap: Gap | None = None
    #: bytes received; lets a caller that collects batches limit its memory
    size: int = 0
    #: messages that the broker keeps until they are acknowledged; 0 if it keeps none
    messages: int = 0


class Capture(Protocol):
    """A running capture. `start` returns at once and does not raise if the broker is unreachable."""

    def start(self) -> None: ...

    def read(self, timeout: float) -> CapturedBatch | None:
        """The next batch; None if there is none within `timeout` seconds."""
        ...

    def ack(self, token: int) -> None:
        """Everything up to this token is safely on disk: the broker may discard it."""
        ...

    def progress(self, token: int) -> bytes:
        """What the store contains once everything up to this token is on disk: stored in the same write, and passed to
        the next capture of the store. Called before `ack`."""
        ...

    def stop(self) -> None:
        """Disconnect from the broker. What was received before can still be read."""
        ...

    def status(self) -> dict[str, object]:
        """Status for display: connected, source, events and malformed messages so far, backlog."""
        ...
