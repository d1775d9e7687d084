"""Events at a fixed pace, while something else is measured."""

import threading
import time
from types import TracebackType
from typing import Self

from bench.event_feed import Feed


class Drip:
    """Sends the steps of a stream so that `pace` events a second go out, on a thread of its own; a context manager.

    It is `over` when all of them are out. Whoever leaves early stops it."""

    def __init__(self, feed: Feed, pace: float) -> None:
        self.feed = feed
        self.pace = pace
        self.step = 0  # steps that are out
        self.sent = 0  # events
        self.seconds = 0.0
        self.trouble: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def over(self) -> bool:
        return self._over.is_set()

    @property
    def achieved(self) -> float:
        """Events a second that really went out."""
        return self.sent / self.seconds if self.seconds else 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if error is None and self.trouble is not None:
            raise self.trouble

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for step, events in enumerate(self.feed.sent_by_step, start=1):
                self.feed.send(step)
                self.step, self.sent = step, events
                if self._over.wait(max(0.0, began + events / self.pace - time.monotonic())):
                    return
        except (OSError, RuntimeError, ValueError) as error:  # told to whoever leaves the context
            self.trouble = error
        finally:
            self.seconds = time.monotonic() - began
            self._over.set()
