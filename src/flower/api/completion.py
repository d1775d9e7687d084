"""The values that the records hold, kept for some seconds: completion asks at every key press.

What is older than that is still given, and read anew meanwhile: only the very first one waits.


Completion of a query: what the language offers, and the values and keys that the records hold, with how many tasks
have them."""

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from flower.errors import FlowerError
from flower.records import Task
from flower.search.completion import CompletionRequest, parse_completion_request, suggest_completions
from flower.search.formatter import quote_value
from flower.search.python_literal import parse_literal
from flower.search.tree import EVERYTHING
from flower.store.protocols import NEWEST, Query, Reader
from flower.store.query_results import FACETS, Facet, FacetValue

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


#: Values are offered for a bare word from this length on: shorter ones are in everything.
MIN_PREFIX_LENGTH = 2

#: … of these fields, so many each.
UNQUALIFIED_FACETS: tuple[Facet, ...] = ("name", "worker", "queue", "exception")

MAX_PER_FACET = 5

_HAS = re.compile(r"(?:\A|[\s(,-])has:\S*\Z", re.IGNORECASE)


class Completion(msgspec.Struct, frozen=True):
    """`count`: how many tasks have it; of keys and values inside arguments, how many of the newest tasks. Null for
    words of the language, which have a `sentence` and may have an `example`."""

    text: str
    description: str = ""
    example: str = ""
    count: int | None = None


class Completions(msgspec.Struct, frozen=True):
    """`kind` says what is being typed, `field` of which field. A completion takes the place of the characters from
    `start` to before `end`. `sampled`: how many of the newest tasks were looked into for arguments."""

    kind: Literal["field", "operator", "value", "key", "none"]
    field: str
    start: int
    end: int
    completions: tuple[Completion, ...]
    sampled_tasks: int = SAMPLE_SIZE


def find_completions(store: Reader, text: str, position: int | None, limit: int) -> Completions:
    """`position` counts characters from 0; None is the end."""
    what = parse_completion_request(text, len(text) if position is None else position)
    # A sign that is not written (`state:` is enough for "contains") completes nothing.
    words = [Completion(word.text, word.description, word.example) for word in suggest_completions(what) if word.text]
    values = _complete_values(get_value_cache(store), what, has=bool(_HAS.search(text[: what.start])))
    # Where signs are as likely as values they come first, for they are few.
    found = chain(values, words) if what.kind == "value" else chain(words, values)
    return Completions(what.kind, what.field, what.start, what.end, tuple(_take_distinct(found, limit)))


def _take_distinct(found: Iterable[Completion], limit: int) -> list[Completion]:
    """Each text once."""
    kept: dict[str, Completion] = {}
    for suggestion in found:
        kept.setdefault(suggestion.text, suggestion)
        if len(kept) >= limit:
            break
    return list(kept.values())


def _complete_values(there: ValueCache, what: CompletionRequest, *, has: bool) -> Iterator[Completion]:
    match what.kind:
        case "field" if len(what.prefix) >= MIN_PREFIX_LENGTH:
            for facet in UNQUALIFIED_FACETS:
                found = _rank(_facet_values(there, facet), what.prefix)[:MAX_PER_FACET]
                yield from (Completion(f"{facet}:{quote_value(value)}", count=count) for value, count in found)
        case "key":
            yield from _complete_keys(there, what, has=has)
        case "value" | "operator" if what.keys:
            path = (what.field, *what.keys)
            inside = there.arguments().values
            found = [
                pair
                for known_path, values in inside.items()
                if _is_same_path(known_path, path)
                for pair in values.items()
            ]
            yield from (Completion(quote_value(value), count=count) for value, count in _rank(found, what.prefix))
        case "value" | "operator":
            for facet in (facet for facet in FACETS if facet == what.field):
                found = _rank(_facet_values(there, facet), what.prefix)
                yield from (Completion(quote_value(value), count=count) for value, count in found)


def _complete_keys(there: ValueCache, what: CompletionRequest, *, has: bool) -> Iterator[Completion]:
    """The keys one step further. What has keys itself goes on with a dot, a value with a colon."""
    above = (what.field, *what.keys)
    tasks = there.arguments().tasks
    below = {
        path: count for path, count in tasks.items() if len(path) == len(above) + 1 and _is_same_path(path[:-1], above)
    }
    inner = {path[:-1] for path in tasks}
    for key, count in _rank([(path[-1], count) for path, count in below.items()], what.prefix):
        leads_on = (*next(path for path in below if path[-1] == key)[:-1], key) in inner
        yield Completion(f"{key}." if leads_on else key if has else f"{key}:", count=count)


def _is_same_path(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(path) == len(other) and all(a.casefold() == b.casefold() for a, b in zip(path, other, strict=True))


def _facet_values(there: ValueCache, facet: Facet) -> list[tuple[str, int]]:
    return [(value.value, value.count) for value in there.values(facet) if value.value]


def _rank(values: Iterable[tuple[str, int]], typed: str) -> list[tuple[str, int]]:
    """Those that have what was typed in them: at the beginning first, then the most frequent."""
    folded = typed.casefold()
    found = [
        (value.casefold().startswith(folded), value, count) for value, count in values if folded in value.casefold()
    ]
    return [(value, count) for _, value, count in sorted(found, key=lambda item: (not item[0], -item[2], item[1]))]
