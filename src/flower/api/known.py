"""The values that the records hold, kept for some seconds: completion asks at every key press.

What is older than that is still given, and read anew meanwhile: only the very first one waits.
"""

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from flower.errors import FlowerError
from flower.records import Task
from flower.search.literal import parse_literal
from flower.search.tree import EVERYTHING
from flower.store.answers import Facet, FacetValue
from flower.store.port import NEWEST, Query, Reader

#: Seconds for which an answer counts as new.
REFRESH_INTERVAL = 10.0
#: Values of one facet that are kept.
MAX_VALUES = 2_000
#: The newest tasks whose arguments are looked into, and what is taken of each.
SAMPLE_SIZE = 300
MAX_TEXT_LENGTH = 4_096
MAX_PATHS = 50
MAX_VALUE_LENGTH = 100
MAX_DEPTH = 6

KeyPath: TypeAlias = tuple[str, ...]
#: Fields whose text may spell a value with keys in it.
_LITERALS = ("kwargs", "args", "result")
_OPENING_BRACKETS = ("{", "[", "(")
#: Keys that a path of the search language can hold.
_KEY = re.compile(r"[\w-]{1,100}")

T = TypeVar("T")


@dataclass
class _CachedValue(Generic[T]):
    load: Callable[[], T]
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: T | None = None
    loaded_at: float = float("-inf")

    def get(self) -> T:
        value = self.value
        if value is None:
            with self.lock:
                if self.value is None:
                    self._load()
                value = self.value
            assert value is not None
        elif time.monotonic() - self.loaded_at > REFRESH_INTERVAL and self.lock.acquire(blocking=False):
            _refresher.submit(self._refresh)
        return value

    def _load(self) -> None:
        self.value = self.load()
        self.loaded_at = time.monotonic()

    def _refresh(self) -> None:
        try:
            self._load()
        except FlowerError:  # a store that is busy or was closed: the old answer does until the next try
            self.loaded_at = time.monotonic()
        finally:
            self.lock.release()


_refresher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="known-values")


class ValueCache:
    """What is known of one store."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._facets: dict[Facet, _CachedValue[tuple[FacetValue, ...]]] = {}
        self._arguments = _CachedValue(lambda: sample_arguments(store))
        self._lock = threading.Lock()

    def values(self, facet: Facet) -> tuple[FacetValue, ...]:
        """Most frequent first."""
        with self._lock:
            kept = self._facets.setdefault(facet, _CachedValue(lambda: _read_facet(self._store, facet)))
        return kept.get()

    def arguments(self) -> "ArgumentValues":
        return self._arguments.get()


_value_caches: "WeakKeyDictionary[Reader, ValueCache]" = WeakKeyDictionary()
_lock = threading.Lock()


def get_value_cache(store: Reader) -> ValueCache:
    with _lock:
        return _value_caches.setdefault(store, ValueCache(store))


def _read_facet(store: Reader, facet: Facet) -> tuple[FacetValue, ...]:
    return store.facets(EVERYTHING, (facet,), limit=MAX_VALUES).facets[facet].values


@dataclass(frozen=True, slots=True)
class ArgumentValues:
    """What is inside the arguments (and results, and custom data) of the newest tasks, by path (`kwargs`, `customer`,
    `id`): how many tasks have it at all, and how many have each plain value."""

    tasks: Mapping[KeyPath, int]
    values: Mapping[KeyPath, Mapping[str, int]]


def sample_arguments(store: Reader) -> ArgumentValues:
    tasks: Counter[KeyPath] = Counter()
    values: dict[KeyPath, Counter[str]] = {}
    for task in store.tasks(Query(EVERYTHING, NEWEST), limit=SAMPLE_SIZE):
        seen: set[KeyPath] = set()
        for path, text in _iter_task_values(task):
            seen.add(path)
            if text is not None:
                values.setdefault(path, Counter())[text] += 1
        tasks.update(seen)
    return ArgumentValues(tasks, values)


def _iter_task_values(task: Task) -> Iterator[tuple[KeyPath, str | None]]:
    for name in _LITERALS:
        text = getattr(task, name)
        # `result` is mostly no container: then there are no keys in it
        if isinstance(text, str) and text[:1] in _OPENING_BRACKETS and len(text) <= MAX_TEXT_LENGTH:
            try:
                yield from _iter_values(name, parse_literal(text))
            except ValueError:  # cut, or no literal: nothing is known of it
                continue
    if task.data:
        yield from _iter_values("data", task.data)


def _iter_values(name: str, value: Any) -> Iterator[tuple[KeyPath, str | None]]:
    """All paths and the text of the plain values at their ends, breadth first and only so many: how much there is, is
    the sender's choice."""
    waiting: deque[tuple[KeyPath, Any]] = deque([((name,), value)])
    room = MAX_PATHS
    while waiting:
        path, item = waiting.popleft()
        if len(path) > 1:
            yield path, None if isinstance(item, dict | list | tuple) else _to_text(item)
        if isinstance(item, dict | list | tuple) and len(path) <= MAX_DEPTH:
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            inner = [((*path, str(key)), below) for key, below in islice(pairs, room) if _KEY.fullmatch(str(key))]
            waiting.extend(inner)
            room -= len(inner)


def _to_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_VALUE_LENGTH else None
    # `...` is what Celery cut; a number may have more digits than Python prints
    return str(value) if value is None or isinstance(value, bool | float) or _is_small(value) else None


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 2**63
