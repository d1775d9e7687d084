"""The values that the records hold, kept for some seconds: completion asks at every key press.

What is older than that is still given, and read anew meanwhile: only the very first one waits.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from flower.errors import FlowerError
from flower.records import Task
from flower.search.literal import literal
from flower.search.tree import EVERYTHING
from flower.store.answers import Facet, Value
from flower.store.port import NEWEST, Query, Reader

#: Seconds for which an answer counts as new.
FRESH = 10.0
#: Values of one facet that are kept.
MOST_VALUES = 2_000
#: The newest tasks whose arguments are looked into, and what is taken of each.
SAMPLED = 300
MOST_LEAVES = 50
LONGEST_VALUE = 100
DEEPEST = 6

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    look: Callable[[], T]
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: T | None = None
    at: float = float("-inf")

    def get(self) -> T:
        value = self.value
        if value is None:
            with self.lock:
                if self.value is None:
                    self._read()
                value = self.value
            assert value is not None
        elif time.monotonic() - self.at > FRESH and self.lock.acquire(blocking=False):
            _refresher.submit(self._refresh)
        return value

    def _read(self) -> None:
        self.value = self.look()
        self.at = time.monotonic()

    def _refresh(self) -> None:
        try:
            self._read()
        except FlowerError:  # a store that is busy or was closed: the old answer does until the next try
            self.at = time.monotonic()
        finally:
            self.lock.release()


_refresher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="known-values")


class Known:
    """What is known of one store."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._facets: dict[Facet, _Kept[tuple[Value, ...]]] = {}
        self._arguments = _Kept(lambda: sampled(store))
        self._lock = threading.Lock()

    def values(self, facet: Facet) -> tuple[Value, ...]:
        """Most frequent first."""
        with self._lock:
            kept = self._facets.setdefault(facet, _Kept(lambda: _facet(self._store, facet)))
        return kept.get()

    def arguments(self) -> Mapping[str, Counter[str]]:
        """Of the newest tasks: path (`kwargs.customer.id`) → value → how many of them have it."""
        return self._arguments.get()


_known: "WeakKeyDictionary[Reader, Known]" = WeakKeyDictionary()
_lock = threading.Lock()


def known(store: Reader) -> Known:
    with _lock:
        return _known.setdefault(store, Known(store))


def _facet(store: Reader, facet: Facet) -> tuple[Value, ...]:
    return store.facets(EVERYTHING, (facet,), limit=MOST_VALUES).facets[facet].values


def sampled(store: Reader) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for task in store.tasks(Query(EVERYTHING, NEWEST), limit=SAMPLED):
        for path, value in _leaves_of(task):
            found.setdefault(path, Counter())[value] += 1
    return found


def _leaves_of(task: Task) -> Iterator[tuple[str, str]]:
    for name in ("kwargs", "args"):
        text = getattr(task, name)
        if isinstance(text, str):
            try:
                yield from _leaves(name, literal(text))
            except ValueError:  # cut, or no literal: nothing is known of it
                continue


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Path and text of plain values, breadth first and only so many: how much there is, is the sender's choice."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((name,), value)]
    left = MOST_LEAVES
    for keys, item in waiting:
        if isinstance(item, dict | list | tuple):
            if len(keys) <= DEEPEST:
                pairs = item.items() if isinstance(item, dict) else enumerate(item)
                inner = [((*keys, str(key)), below) for key, below in pairs if _plain_key(key)]
                waiting.extend(inner[: MOST_LEAVES - len(waiting)])
        elif len(keys) > 1 and left > 0 and isinstance(item, str | int | float | bool | None):
            text = str(item)
            if len(text) <= LONGEST_VALUE:
                left -= 1
                yield ".".join(keys), text


def _plain_key(key: object) -> bool:
    """Whether a path of the search language can hold it."""
    text = key if isinstance(key, str) else str(key) if isinstance(key, int) else ""
    return text.replace("_", "a").replace("-", "a").isalnum() and len(text) <= LONGEST_VALUE
