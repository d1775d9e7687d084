"""Events at a fixed rate, as background load of a measurement."""

import threading
import time
from types import TracebackType
from typing import Self

from bench.event_feed import EventFeed


class PacedLoad:
    """Publishes an event stream at `rate` events per second in a thread; a context manager, whose end stops it."""

    def __init__(self, feed: EventFeed, rate: float) -> None:
        self.feed = feed
        self.rate = rate
        self.step = 0  # steps published
        self.sent = 0  # events published
        self.seconds = 0.0
        self.error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def is_over(self) -> bool:
        """Whether all events were published."""
        return self._stopped.is_set()

    @property
    def actual_rate(self) -> float:
        """Events per second that were published."""
        return self.sent / self.seconds if self.seconds else 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exit_error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if exit_error is None and self.error is not None:
            raise self.error

    def _run(self) -> None:
        started_at = time.monotonic()
        try:
            for step, events in enumerate(self.feed.sent_by_step, start=1):
                self.feed.send(step)
                self.step, self.sent = step, events
                if self._stopped.wait(max(0.0, started_at + events / self.rate - time.monotonic())):
                    return
        except (OSError, RuntimeError, ValueError) as error:  # raised when the context is left
            self.error = error
        finally:
            self.seconds = time.monotonic() - started_at
            self._stopped.set()
