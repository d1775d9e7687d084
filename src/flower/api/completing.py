"""Completion of a query: what the language offers, and the values and keys that the records hold, with how many tasks
have them."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

import msgspec

from flower.api.known import SAMPLED, Known, known
from flower.search.suggest import Asked, asked, completions
from flower.search.text import quoted_value
from flower.store.answers import FACETS, Facet
from flower.store.port import Reader

#: Values are offered for a bare word from this length on: shorter ones are in everything.
LEAST = 2
#: … of these fields, so many each.
BARE: tuple[Facet, ...] = ("name", "worker", "queue", "exception")
BARE_EACH = 5

_HAS = re.compile(r"(?:\A|[\s(,-])has:\S*\Z", re.IGNORECASE)


class Suggestion(msgspec.Struct, frozen=True):
    """`count`: how many tasks have it; of keys and values inside arguments, how many of the newest tasks. Null for words
    of the language, which have a `sentence` and may have an `example`."""

    text: str
    sentence: str = ""
    example: str = ""
    count: int | None = None


class Suggestions(msgspec.Struct, frozen=True):
    """`kind` says what is being typed, `field` of which field. A completion takes the place of the characters from
    `start` to before `end`. `sampled`: how many of the newest tasks were looked into for arguments."""

    kind: Literal["field", "operator", "value", "key", "none"]
    field: str
    start: int
    end: int
    completions: tuple[Suggestion, ...]
    sampled: int = SAMPLED


def suggestions_for(store: Reader, text: str, position: int | None, limit: int) -> Suggestions:
    """`position` counts characters from 0; None is the end."""
    what = asked(text, len(text) if position is None else position)
    words = [Suggestion(word.text, word.sentence, word.example) for word in completions(what)]
    values = _values(known(store), what, has=bool(_HAS.search(text[: what.start])))
    # Where signs are as likely as values they come first, for they are few.
    found = chain(values, words) if what.kind == "value" else chain(words, values)
    return Suggestions(what.kind, what.field, what.start, what.end, tuple(_first(found, limit)))


def _first(found: Iterable[Suggestion], limit: int) -> list[Suggestion]:
    """Each text once."""
    kept: dict[str, Suggestion] = {}
    for suggestion in found:
        kept.setdefault(suggestion.text, suggestion)
        if len(kept) >= limit:
            break
    return list(kept.values())


def _values(there: Known, what: Asked, *, has: bool) -> Iterator[Suggestion]:
    match what.kind:
        case "field" if len(what.typed) >= LEAST:
            for facet in BARE:
                found = _ranked(_counted(there, facet), what.typed)[:BARE_EACH]
                yield from (Suggestion(f"{facet}:{quoted_value(value)}", count=count) for value, count in found)
        case "key":
            yield from _keys(there, what, has=has)
        case "value" | "operator" if what.keys:
            path = (what.field, *what.keys)
            inside = there.arguments().values
            found = [pair for known_path, values in inside.items() if _same(known_path, path) for pair in values.items()]
            yield from (Suggestion(quoted_value(value), count=count) for value, count in _ranked(found, what.typed))
        case "value" | "operator":
            facet = next((facet for facet in FACETS if facet == what.field), None)
            if facet is not None:
                found = _ranked(_counted(there, facet), what.typed)
                yield from (Suggestion(quoted_value(value), count=count) for value, count in found)


def _keys(there: Known, what: Asked, *, has: bool) -> Iterator[Suggestion]:
    """The keys one step further. What has keys itself goes on with a dot, a value with a colon."""
    above = (what.field, *what.keys)
    tasks = there.arguments().tasks
    below = {path: count for path, count in tasks.items() if len(path) == len(above) + 1 and _same(path[:-1], above)}
    inner = {path[:-1] for path in tasks}
    for key, count in _ranked([(path[-1], count) for path, count in below.items()], what.typed):
        leads_on = (*next(path for path in below if path[-1] == key)[:-1], key) in inner
        yield Suggestion(f"{key}." if leads_on else key if has else f"{key}:", count=count)


def _same(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(path) == len(other) and all(a.casefold() == b.casefold() for a, b in zip(path, other, strict=True))


def _counted(there: Known, facet: Facet) -> list[tuple[str, int]]:
    return [(value.value, value.count) for value in there.values(facet) if value.value]


def _ranked(values: Iterable[tuple[str, int]], typed: str) -> list[tuple[str, int]]:
    """Those that have what was typed in them: at the beginning first, then the most frequent."""
    folded = typed.casefold()
    found = [(value.casefold().startswith(folded), value, count) for value, count in values if folded in value.casefold()]
    return [(value, count) for _, value, count in sorted(found, key=lambda item: (not item[0], -item[2], item[1]))]
