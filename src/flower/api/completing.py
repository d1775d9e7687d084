"""Completion of a query: what the language offers, and the values and keys that the records hold, with how many tasks
have them."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

import msgspec

from flower.api.known import SAMPLE_SIZE, ValueCache, get_value_cache
from flower.search.suggest import CompletionRequest, parse_completion_request, suggest_completions
from flower.search.text import quote_value
from flower.store.answers import FACETS, Facet
from flower.store.port import Reader

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
