"""Tree → text: the query that parses back to the tree."""

import math
import re

from flower.errors import Invalid, SearchError
from flower.search.fields import FIELDS, Field, ordered
from flower.search.numbers import number_text
from flower.search.syntax import parse
from flower.search.times import end_text, span_text, start_text
from flower.search.tree import EVERYTHING, And, Bounds, Node, Not, Or, Path, Term
from flower.search.wildcards import pieces

_NEEDS_QUOTES = re.compile(r'[\s()"\\]|\A(?:AND|OR|NOT)\Z')
#: Signs that mean something in a value, or between keys.
_SIGNS = re.compile(r"[,*?]|\.\.|\A[=<>]")
_KEY_SIGNS = re.compile(r"[.:,]")


def to_text(node: Node) -> str:
    """`parse(to_text(node))` is `node`, in the plain form that `all_of` and `any_of` give. Times are those of the
    local zone.

    Raises Invalid for what the language has no words for: `is` but for states, the empty Or, odd patterns.
    """
    return "" if node == EVERYTHING else _node(node)


def quoted_value(value: str) -> str:
    """A value as it can stand behind `field:`, in quotes if it holds signs of the language."""
    return _quoted(value) if _NEEDS_QUOTES.search(value) or _SIGNS.search(value) else value


def _node(node: Node) -> str:
    match node:
        case Term():
            return _term(node)
        case Not(Not() as inner):
            return f"NOT {_node(inner)}"  # two dashes would not be read as two negations
        case Not(inner):
            return f"-{_grouped(inner)}"
        case And(terms) if terms:
            return " ".join(_node(term) if isinstance(term, And) else _grouped(term) for term in terms)
        case Or(terms) if terms:
            return " OR ".join(map(_node, terms))
    raise _unspeakable(node)


def _grouped(node: Node) -> str:
    many = isinstance(node, And | Or) and len(node.terms) > 1
    return f"({_node(node)})" if many else _node(node)


def _term(term: Term) -> str:
    """The first way of writing it that is read as it was meant."""
    for text in _ways(term):
        try:
            if parse(text) == term:
                return text
        except SearchError:
            continue
    raise _unspeakable(term)


def _unspeakable(node: Node) -> Invalid:
    return Invalid(f"{node} cannot be written as a search")


def _ways(term: Term) -> list[str]:
    name = term.field
    match term.operator, term.value:
        case "contains", str(value) if value and not name:
            return [_plain(value), _quoted(value)]
        case (("contains" | "is"), str(value)) if value:
            return [f"{name}:{_plain(value)}", f"{name}:{_quoted(value)}"]
        case "equals", str(value) if value:
            return [f"{name}:={_plain(value)}", f"{name}:={_quoted(value)}"]
        case "like", str(value):
            return [f"{name}:{_pattern(value)}"]
        case "pair", (str(key), str(value)):
            return [f"{name}:{_plain(f'{key}={value}')}", f"{name}:{_quoted(f'{key}={value}')}"]
        case "present", "":
            return [f"has:{name}"]
        case "path", Path() as path:
            return _path_ways(name, path)
        case "slow", "":
            return ["is:slow"]
        case "range", (low, high) if name in FIELDS and ordered(FIELDS[name]):
            return [f"{name}:{value}" for value in _ranges(FIELDS[name], low, high)]  # type: ignore[arg-type]
    return []


def _path_ways(name: str, path: Path) -> list[str]:
    subject = ".".join((name, *map(_key, path.keys)))
    match path.operator, path.value:
        case "present", "":
            return [f"has:{subject}"]
        case "is", str(value) if value:
            return [f"{subject}:{_plain(value)}", f"{subject}:{_quoted(value)}"]
        case "like", str(value):
            return [f"{subject}:{_pattern(value)}"]
        case "range", (low, high):
            return [f"{subject}:{value}" for value in _path_ranges(low, high)]
    return []


def _path_ranges(low: float | None, high: float | None) -> list[str]:
    """One number alone would be compared as text."""
    ranges = _ranges(None, low, high)
    return [f"{one}..{one}" for one in ranges] if low == high else ranges


def _ranges(field: Field | None, low: float | None, high: float | None) -> list[str]:
    """Ways of writing bounds, the plainest first."""
    try:
        bounds: Bounds = (None if low is None else float(low), None if high is None else float(high))
    except OverflowError:
        return []
    low, high = bounds
    if field is not None and field.kind == "time":
        return _time_ranges(low, high)
    if low is None and high is None:
        return []
    if low is not None and low == high:
        return [number_text(low)]
    if low is not None and high is not None:
        return [f"{number_text(low)}..{number_text(high)}"]
    if low is not None:
        return [_shorter(">", math.nextafter(low, -math.inf), ">=", low)]
    return [] if high is None else [_shorter("<", math.nextafter(high, math.inf), "<=", high)]


def _shorter(strict: str, beside: float, sign: str, bound: float) -> str:
    one, other = number_text(beside), number_text(bound)
    return f"{strict}{one}" if len(one) < len(other) else f"{sign}{other}"


def _time_ranges(low: float | None, high: float | None) -> list[str]:
    if low is None and high is None:
        return []
    first = None if low is None else _quotable(start_text(low) or repr(low))
    last = None if high is None else _quotable(end_text(high) or repr(high))
    if first is None:
        return [f"<={last}", f"<={high!r}"]
    if last is None:
        return [f">={first}", f">={low!r}"]
    whole = span_text(low or 0.0, high or 0.0)
    return [
        *([whole] if whole else []),
        *([repr(low)] if low == high else []),
        f"{first}..{last}",
        f"{low!r}..{high!r}",
    ]


def _quotable(text: str) -> str:
    return _quoted(text) if _NEEDS_QUOTES.search(text) else text


def _key(key: str) -> str:
    return _quoted(key) if _NEEDS_QUOTES.search(key) or _KEY_SIGNS.search(key) else key


def _pattern(pattern: str) -> str:
    """Wildcards as they are; between them text, in quotes where it must be."""
    parts: list[tuple[str, bool]] = []
    for character, wild in pieces(pattern):
        if not wild and parts and not parts[-1][1]:
            parts[-1] = parts[-1][0] + character, False
        else:
            parts.append((character, wild))
    return "".join(text if wild else quoted_value(text) for text, wild in parts)


def _plain(value: str) -> str:
    return _quoted(value) if _NEEDS_QUOTES.search(value) else value


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
