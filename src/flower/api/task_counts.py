"""How many tasks of each worker there are on record."""

import threading
import time
from collections.abc import Mapping
from typing import Final

from flower.errors import FlowerError
from flower.records import FAILURE, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, STARTED, SUCCESS
from flower.search.tree import EVERYTHING
from flower.store.answers import Summary
from flower.store.port import Reader

#: Which states a task can be in after an event of this type: what is on record of it is what was counted.
_AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    "task-received": (RECEIVED, STARTED, SUCCESS, FAILURE, RETRY, REVOKED, REJECTED),
    "task-started": (STARTED, SUCCESS, FAILURE, RETRY),
    "task-succeeded": (SUCCESS,),
    "task-failed": (FAILURE,),
    "task-retried": (RETRY,),
    "task-revoked": (REVOKED,),
    "task-rejected": (REJECTED,),
}
_STANDARD: Final = frozenset({PENDING, *_AFTER["task-received"]})

#: Workers of which tasks are counted: the busiest.
MOST: Final = 5_000


class TaskCounts:
    """The tasks on record by worker and type of event. Pages ask every second; the store is asked less often, the less
    the longer it takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Mapping[str, Mapping[str, int]] = {}
        self._until = 0.0

    def of(self, store: Reader) -> Mapping[str, Mapping[str, int]]:
        """A store that cannot answer in time leaves what was known."""
        with self._lock:
            begun = time.monotonic()
            if begun >= self._until:
                try:
                    groups = store.summaries(EVERYTHING, by="worker", limit=MOST).groups
                    self._counts = {str(group.group): _counts(group) for group in groups if group.group is not None}
                except FlowerError:
                    pass
                took = time.monotonic() - begun
                self._until = time.monotonic() + max(0.5, 10 * took)
            return self._counts


def _counts(group: Summary) -> dict[str, int]:
    """What is 0 is left out, as in Flower. A state of the user's own comes from an event of that name."""
    states = group.states
    known = {event: sum(states.get(state, 0) for state in after) for event, after in _AFTER.items()}
    own = {f"task-{state.lower()}": number for state, number in states.items() if state not in _STANDARD}
    return {event: number for event, number in {**known, **own}.items() if number}
