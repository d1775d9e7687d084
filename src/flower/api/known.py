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
MOST_PARTS = 50
LONGEST = 100
DEEPEST = 6

Path: TypeAlias = tuple[str, ...]
#: Fields whose text may spell a value with keys in it.
_LITERALS = ("kwargs", "args", "result")
_OPENING = ("{", "[", "(")
#: Keys that a path of the search language can hold.
_KEY = re.compile(r"[\w-]{1,100}")

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

    def arguments(self) -> "Arguments":
        return self._arguments.get()


_known: "WeakKeyDictionary[Reader, Known]" = WeakKeyDictionary()
_lock = threading.Lock()


def known(store: Reader) -> Known:
    with _lock:
        return _known.setdefault(store, Known(store))


def _facet(store: Reader, facet: Facet) -> tuple[Value, ...]:
    return store.facets(EVERYTHING, (facet,), limit=MOST_VALUES).facets[facet].values


@dataclass(frozen=True, slots=True)
class Arguments:
    """What is inside the arguments (and results, and custom data) of the newest tasks, by path (`kwargs`, `customer`,
    `id`): how many tasks have it at all, and how many have each plain value."""

    tasks: Mapping[Path, int]
    values: Mapping[Path, Mapping[str, int]]


def sampled(store: Reader) -> Arguments:
    tasks: Counter[Path] = Counter()
    values: dict[Path, Counter[str]] = {}
    for task in store.tasks(Query(EVERYTHING, NEWEST), limit=SAMPLED):
        seen: set[Path] = set()
        for path, text in _parts_of(task):
            seen.add(path)
            if text is not None:
                values.setdefault(path, Counter())[text] += 1
        tasks.update(seen)
    return Arguments(tasks, values)


def _parts_of(task: Task) -> Iterator[tuple[Path, str | None]]:
    for name in _LITERALS:
        text = getattr(task, name)
        # `result` is mostly no container: then there are no keys in it
        if isinstance(text, str) and text[:1] in _OPENING:
            try:
                yield from _parts(name, literal(text))
            except ValueError:  # cut, or no literal: nothing is known of it
                continue
    if task.data:
        yield from _parts("data", task.data)


def _parts(name: str, value: Any) -> Iterator[tuple[Path, str | None]]:
    """All paths and the text of the plain values at their ends, breadth first and only so many: how much there is, is the
    sender's choice."""
    waiting: deque[tuple[Path, Any]] = deque([((name,), value)])
    room = MOST_PARTS
    while waiting:
        path, item = waiting.popleft()
        if len(path) > 1:
            yield path, None if isinstance(item, dict | list | tuple) else _text(item)
        if isinstance(item, dict | list | tuple) and len(path) <= DEEPEST:
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            inner = [((*path, str(key)), below) for key, below in islice(pairs, room) if _KEY.fullmatch(str(key))]
            waiting.extend(inner)
            room -= len(inner)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if len(value) <= LONGEST else None
    # `...` is what Celery cut; a number may have more digits than Python prints
    return str(value) if value is None or isinstance(value, bool | float) or _is_small(value) else None


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 2**63
