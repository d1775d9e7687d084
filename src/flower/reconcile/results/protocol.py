"""What the reconciler needs of a result backend."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from flower.reconcile.findings import StoredResult


class TimeWindow(NamedTuple):
    """An interval in epoch seconds."""

    start: float
    end: float

    def contains(self, moment: float | None) -> bool:
        return moment is not None and self.start <= moment <= self.end


class ResultSource(Protocol):
    """Raises what the client library of the backend raises."""

    #: ids by request
    batch_size: int

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        """The entries of these tasks, in any state; tasks without an entry are missing."""
        ...

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        """Entries of tasks that ended in the window and whose id `is_wanted`, in batches. Bounded, and limited in its
        rate: the caller waits. Backends that cannot search return nothing. Ends when `stop` returns True."""
        ...

    def close(self) -> None: ...
