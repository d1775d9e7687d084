"""Number of running tasks by worker: one number for metrics, pages, `/api/v1`, Flower's routes and the command line.

A running task has the state STARTED or a custom one, and is not lost (`is:running`). Tasks of workers that are not
alive are counted until they are known to be lost.
"""

from collections.abc import Mapping
from typing import Final

from flower.search.parser import parse_search
from flower.store.protocols import Reader

_RUNNING: Final = parse_search("is:running")
_MAX_WORKERS: Final = 10_000


def count_running_tasks(store: Reader) -> Mapping[str, int] | None:
    """Number of running tasks by worker; workers without any are absent. None if the store exceeds its time limit.
    Raises StoreError."""
    found = store.facets(_RUNNING, ("worker",), limit=_MAX_WORKERS)
    if found.partial is not None:
        return None
    return {str(each.value): each.count for each in found.facets["worker"].values if each.value is not None}
