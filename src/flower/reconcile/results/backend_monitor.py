"""A result source that knows whether the backend answers, and since when it does not."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from flower.capture.connection import describe_error
from flower.reconcile.findings import StoredResult
from flower.reconcile.results.protocol import ResultSource, TimeWindow

#: Seconds without a request after which the backend is checked: while it answers, and while it fails.
CHECK_INTERVAL: Final = 60.0
FAILURE_CHECK_INTERVAL: Final = 10.0
_CHECK_ID: Final = "bellflower-check"


class MonitoredResults:
    """Implements `ResultSource`. `error`: of the last request; None if it succeeded."""

    def __init__(self, source: ResultSource) -> None:
        self._source = source
        self.batch_size = source.batch_size
        self.error: Exception | None = None
        #: when the first request failed since the backend answered, in epoch seconds
        self.failed_at: float | None = None
        self._next_check = 0.0

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        try:
            results = self._source.fetch(uuids)
        except Exception as error:
            self._set_outcome(error)
            raise
        self._set_outcome(None)
        return results

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        try:
            yield from self._source.search(window, is_wanted, stop)
        except Exception as error:
            self._set_outcome(error)
            raise

    def check(self) -> None:
        """Send a request if there was none for some time. Does not raise."""
        if time.monotonic() >= self._next_check:
            with suppress(Exception):  # each client library has its own errors; `error` is set
                self.fetch([_CHECK_ID])

    @property
    def failure(self) -> str | None:
        """Why the last request failed, in one line without secrets; None if it succeeded."""
        if self.error is None:
            return None
        text = describe_error(self.error, "").partition("\n")[0].removesuffix(" ()")
        return text.replace("broker", "server")

    def close(self) -> None:
        self._source.close()

    def _set_outcome(self, error: Exception | None) -> None:
        self.error = error
        if error is None:
            self.failed_at = None
        elif self.failed_at is None:
            self.failed_at = time.time()
        self._next_check = time.monotonic() + (CHECK_INTERVAL if error is None else FAILURE_CHECK_INTERVAL)


class UnusableResults:
    """A backend that cannot be loaded: every request raises the error."""

    batch_size = 1_000

    def __init__(self, error: Exception) -> None:
        self._error = error

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        raise self._error

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        raise self._error

    def close(self) -> None:
        pass
