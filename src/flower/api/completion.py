"""Autocompletion of queries: words of the search language, and values and keys from the records with their number of
tasks. Values are cached, because completion runs at every key press; an expired value is still returned while it is
read again in the background, so that only the first request waits."""

import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from time import monotonic
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from flower.errors import FlowerError
from flower.records import Task
from flower.search.completion import CompletionRequest, parse_completion_request, suggest_completions
from flower.search.formatter import quote_value
from flower.search.python_literal import parse_literal
from flower.search.tree import EVERYTHING
from flower.store.protocols import NEWEST_BY_TIME, Query, Reader
from flower.store.query_results import FACETS, Facet, FacetValue

#: Minimum length of a word without field for which values are suggested: shorter ones occur in almost all values.
MIN_PREFIX_LENGTH: Final = 2
#: The facets whose values are suggested for such a word, and the number of values of each.
UNQUALIFIED_FACETS: Final[tuple[Facet, ...]] = ("name", "worker", "queue", "exception")
MAX_PER_FACET: Final = 5

#: Seconds after which a cached value is read again.
REFRESH_INTERVAL: Final = 10.0
#: Cached values of a facet.
MAX_VALUES: Final = 2_000
#: The newest tasks whose arguments are analysed, and the limits for each task.
SAMPLE_SIZE: Final = 300
MAX_TEXT_LENGTH: Final = 4_096
MAX_PATHS: Final = 50
MAX_VALUE_LENGTH: Final = 100
MAX_DEPTH: Final = 6

_HAS = re.compile(r"(?:\A|[\s(,-])has:\S*\Z", re.IGNORECASE)

KeyPath: TypeAlias = tuple[str, ...]
#: Fields whose text may represent a container.
_LITERALS: Final = ("kwargs", "args", "result")
_OPENING_BRACKETS: Final = ("{", "[", "(")
#: Keys that a path of the search language can contain.
_KEY = re.compile(r"[\w-]{1,100}")

T = TypeVar("T")


class Completion(msgspec.Struct, frozen=True):
    """`count`: number of tasks with this value; for keys and values inside arguments, number of the newest tasks. Null
    for words of the search language, which have a `description` and may have an `example`."""

    text: str
    description: str = ""
    example: str = ""
    count: int | None = None


class Completions(msgspec.Struct, frozen=True):
    """`kind` is what is being typed, `field` the field that it belongs to. A completion replaces the characters from
    `start` to before `end`. `sampled_tasks`: number of the newest tasks whose arguments were analysed."""

    kind: Literal["field", "operator", "value", "key", "none"]
    field: str
    start: int
    end: int
    completions: tuple[Completion, ...]
    sampled_tasks: int = SAMPLE_SIZE


@dataclass(frozen=True, slots=True)
class ArgumentValues:
    """Values inside the arguments, results and custom data of the newest tasks by path (`kwargs`, `customer`, `id`):
    the number of tasks that have the path, and the number of tasks by scalar value."""

    tasks: Mapping[KeyPath, int]
    values: Mapping[KeyPath, Mapping[str, int]]


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
        elif monotonic() - self.loaded_at > REFRESH_INTERVAL and self.lock.acquire(blocking=False):
            _refresher.submit(self._refresh)
        return value

    def _load(self) -> None:
        self.value = self.load()
        self.loaded_at = monotonic()

    def _refresh(self) -> None:
        try:
            self._load()
        except FlowerError:  # the store is busy or closed: the old value is used until the next attempt
            self.loaded_at = monotonic()
        finally:
            self.lock.release()


_refresher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="completion-values")


class ValueCache:
    """Cached values of one store."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._facets: dict[Facet, _CachedValue[tuple[FacetValue, ...]]] = {}
        self._arguments = _CachedValue(lambda: sample_arguments(store))
        self._lock = threading.Lock()

    def values(self, facet: Facet) -> tuple[FacetValue, ...]:
        """Most frequent first."""
        with self._lock:
            cached = self._facets.setdefault(facet, _CachedValue(lambda: _read_facet(self._store, facet)))
        return cached.get()

    def arguments(self) -> ArgumentValues:
        return self._arguments.get()


_value_caches: "WeakKeyDictionary[Reader, ValueCache]" = WeakKeyDictionary()
_lock = threading.Lock()


def get_value_cache(store: Reader) -> ValueCache:
    with _lock:
        return _value_caches.setdefault(store, ValueCache(store))


def find_completions(store: Reader, text: str, position: int | None, limit: int) -> Completions:
    """`position` counts characters from 0; None is the end."""
    request = parse_completion_request(text, len(text) if position is None else position)
    # An operator without text (`state:` is sufficient for "contains") completes nothing.
    words = [
        Completion(each.text, each.description, each.example) for each in suggest_completions(request) if each.text
    ]
    values = _complete_values(get_value_cache(store), request, is_presence=bool(_HAS.search(text[: request.start])))
    # Where operators are as likely as values they come first, because they are few.
    ordered = chain(values, words) if request.kind == "value" else chain(words, values)
    completions = tuple(_take_distinct(ordered, limit))
    return Completions(request.kind, request.field, request.start, request.end, completions)


def _take_distinct(completions: Iterable[Completion], limit: int) -> list[Completion]:
    distinct: dict[str, Completion] = {}
    for completion in completions:
        distinct.setdefault(completion.text, completion)
        if len(distinct) >= limit:
            break
    return list(distinct.values())


def _complete_values(cache: ValueCache, request: CompletionRequest, *, is_presence: bool) -> Iterator[Completion]:
    """`is_presence`: the term is `has:…`."""
    match request.kind:
        case "field" if len(request.prefix) >= MIN_PREFIX_LENGTH:
            for facet in UNQUALIFIED_FACETS:
                ranked = _rank(_facet_values(cache, facet), request.prefix)[:MAX_PER_FACET]
                yield from (Completion(f"{facet}:{quote_value(value)}", count=count) for value, count in ranked)
        case "key":
            yield from _complete_keys(cache, request, is_presence=is_presence)
        case "value" | "operator" if request.keys:
            path = (request.field, *request.keys)
            pairs = [
                pair
                for known_path, values in cache.arguments().values.items()
                if _is_same_path(known_path, path)
                for pair in values.items()
            ]
            yield from (Completion(quote_value(value), count=count) for value, count in _rank(pairs, request.prefix))
        case "value" | "operator":
            for facet in (facet for facet in FACETS if facet == request.field):
                ranked = _rank(_facet_values(cache, facet), request.prefix)
                yield from (Completion(quote_value(value), count=count) for value, count in ranked)


def _complete_keys(cache: ValueCache, request: CompletionRequest, *, is_presence: bool) -> Iterator[Completion]:
    """The keys one level below. A key of a container ends with a dot, a key of a value with a colon."""
    parent = (request.field, *request.keys)
    tasks = cache.arguments().tasks
    children = {
        path: count
        for path, count in tasks.items()
        if len(path) == len(parent) + 1 and _is_same_path(path[:-1], parent)
    }
    containers = {path[:-1] for path in tasks}
    for key, count in _rank([(path[-1], count) for path, count in children.items()], request.prefix):
        is_container = (*next(path for path in children if path[-1] == key)[:-1], key) in containers
        yield Completion(f"{key}." if is_container else key if is_presence else f"{key}:", count=count)


def _is_same_path(path: KeyPath, other: KeyPath) -> bool:
    return len(path) == len(other) and all(a.casefold() == b.casefold() for a, b in zip(path, other, strict=True))


def _facet_values(cache: ValueCache, facet: Facet) -> list[tuple[str, int]]:
    return [(value.value, value.count) for value in cache.values(facet) if value.value]


def _rank(values: Iterable[tuple[str, int]], prefix: str) -> list[tuple[str, int]]:
    """The values that contain the typed text: those that start with it first, then by frequency."""
    folded = prefix.casefold()
    matching = [
        (value.casefold().startswith(folded), value, count) for value, count in values if folded in value.casefold()
    ]
    return [(value, count) for _, value, count in sorted(matching, key=lambda item: (not item[0], -item[2], item[1]))]


def _read_facet(store: Reader, facet: Facet) -> tuple[FacetValue, ...]:
    return store.facets(EVERYTHING, (facet,), limit=MAX_VALUES).facets[facet].values


def sample_arguments(store: Reader) -> ArgumentValues:
    tasks: Counter[KeyPath] = Counter()
    values: dict[KeyPath, Counter[str]] = {}
    for task in store.tasks(Query(EVERYTHING, NEWEST_BY_TIME), limit=SAMPLE_SIZE):
        paths: set[KeyPath] = set()
        for path, text in _iter_task_values(task):
            paths.add(path)
            if text is not None:
                values.setdefault(path, Counter())[text] += 1
        tasks.update(paths)
    return ArgumentValues(tasks, values)


def _iter_task_values(task: Task) -> Iterator[tuple[KeyPath, str | None]]:
    for name in _LITERALS:
        text = getattr(task, name)
        # most results are no containers and have no keys
        if isinstance(text, str) and text[:1] in _OPENING_BRACKETS and len(text) <= MAX_TEXT_LENGTH:
            try:
                yield from _iter_values(name, parse_literal(text))
            except ValueError:  # truncated, or no literal: its values are unknown
                continue
    if task.data:
        yield from _iter_values("data", task.data)


def _iter_values(name: str, value: Any) -> Iterator[tuple[KeyPath, str | None]]:
    """The paths inside a value, and the text of the scalars; breadth-first and limited, because the sender chooses the
    size of the value."""
    queue: deque[tuple[KeyPath, Any]] = deque([((name,), value)])
    remaining = MAX_PATHS
    while queue:
        path, item = queue.popleft()
        if len(path) > 1:
            yield path, None if isinstance(item, dict | list | tuple) else _to_text(item)
        if isinstance(item, dict | list | tuple) and len(path) <= MAX_DEPTH:
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            inner = [((*path, str(key)), each) for key, each in islice(pairs, remaining) if _KEY.fullmatch(str(key))]
            queue.extend(inner)
            remaining -= len(inner)


def _to_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_VALUE_LENGTH else None
    # `...` is what Celery truncated; an integer may have more digits than Python formats
    return str(value) if value is None or isinstance(value, bool | float) or _is_small(value) else None


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 2**63
