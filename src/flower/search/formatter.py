"""Search tree → query: the inverse of the parser."""

import math
import re

from flower.errors import InvalidRequest, SearchError
from flower.search.fields import FIELDS, Field, is_ordered
from flower.search.parser import parse_search
from flower.search.time_parser import format_span_end, format_span_start, format_time_span
from flower.search.tree import EVERYTHING, And, Node, Not, Or, PathCondition, RangeBounds, Term
from flower.search.wildcards import split_pattern
from flower.units import format_number

_NEEDS_QUOTES = re.compile(r'[\s()"\\]|\A(?:AND|OR|NOT)\Z')
#: Operators inside a value, and inside keys.
_SIGNS = re.compile(r"[,*?]|\.\.|\A[=<>]")
_KEY_SIGNS = re.compile(r"[.:,]")


def format_search(node: Node) -> str:
    """`parse_search(format_search(node))` is `node`, for trees in the canonical form of `all_of` and `any_of`. Times
    are in the local zone.

    Raises InvalidRequest for trees that the language cannot express: `is` except for states, the empty Or, some
    patterns.
    """
    return "" if node == EVERYTHING else _format_node(node)


def quote_value(value: str) -> str:
    """A value as it can follow `field:`, quoted if it contains characters of the language."""
    return _quote_text(value) if _NEEDS_QUOTES.search(value) or _SIGNS.search(value) else value


def _format_node(node: Node) -> str:
    match node:
        case Term():
            return _format_term(node)
        case Not(Not() as inner):
            return f"NOT {_format_node(inner)}"  # two dashes are not parsed as two negations
        case Not(inner):
            return f"-{_format_grouped(inner)}"
        case And(terms) if terms:
            return " ".join(_format_node(term) if isinstance(term, And) else _format_grouped(term) for term in terms)
        case Or(terms) if terms:
            return " OR ".join(map(_format_node, terms))
    raise _unrepresentable(node)


def _format_grouped(node: Node) -> str:
    needs_parentheses = isinstance(node, And | Or) and len(node.terms) > 1
    return f"({_format_node(node)})" if needs_parentheses else _format_node(node)


def _format_term(term: Term) -> str:
    """The first candidate that is parsed as this term."""
    for text in _term_candidates(term):
        try:
            if parse_search(text) == term:
                return text
        except SearchError:
            continue
    raise _unrepresentable(term)


def _unrepresentable(node: Node) -> InvalidRequest:
    return InvalidRequest(f"Not expressible in the search language: {node}")


def _term_candidates(term: Term) -> list[str]:
    name = term.field
    match term.operator, term.value:
        case "contains", str(value) if value and not name:
            return [_format_plain(value), _quote_text(value)]
        case (("contains" | "is"), str(value)) if value:
            return [f"{name}:{_format_plain(value)}", f"{name}:{_quote_text(value)}"]
        case "equals", str(value) if value:
            return [f"{name}:={_format_plain(value)}", f"{name}:={_quote_text(value)}"]
        case "like", str(value):
            return [f"{name}:{_format_pattern(value)}"]
        case "pair", (str(key), str(value)):
            return [f"{name}:{_format_plain(f'{key}={value}')}", f"{name}:{_quote_text(f'{key}={value}')}"]
        case "present", "":
            return [f"has:{name}"]
        case "path", PathCondition() as path:
            return _path_candidates(name, path)
        case "slow", "":
            return ["is:slow"]
        case "range", (low, high) if name in FIELDS and is_ordered(FIELDS[name]):
            return [f"{name}:{value}" for value in _range_candidates(FIELDS[name], low, high)]  # type: ignore[arg-type]
    return []


def _path_candidates(name: str, path: PathCondition) -> list[str]:
    subject = ".".join((name, *map(_format_key, path.keys)))
    match path.operator, path.value:
        case "present", "":
            return [f"has:{subject}"]
        case "is", str(value) if value:
            return [f"{subject}:{_format_plain(value)}", f"{subject}:{_quote_text(value)}"]
        case "like", str(value):
            return [f"{subject}:{_format_pattern(value)}"]
        case "range", (low, high):
            return [f"{subject}:{value}" for value in _path_range_candidates(low, high)]
    return []


def _path_range_candidates(low: float | None, high: float | None) -> list[str]:
    """A single number would be compared as text."""
    candidates = _range_candidates(None, low, high)
    return [f"{one}..{one}" for one in candidates] if low == high else candidates


def _range_candidates(field: Field | None, low: float | None, high: float | None) -> list[str]:
    """Candidates for the bounds, the simplest first."""
    try:
        bounds: RangeBounds = (None if low is None else float(low), None if high is None else float(high))
    except OverflowError:
        return []
    low, high = bounds
    if field is not None and field.kind == "time":
        return _time_range_candidates(low, high)
    if low is None and high is None:
        return []
    if low is not None and low == high:
        return [format_number(low)]
    if low is not None and high is not None:
        return [f"{format_number(low)}..{format_number(high)}"]
    if low is not None:
        return [_shortest_comparison(">", math.nextafter(low, -math.inf), ">=", low)]
    return [] if high is None else [_shortest_comparison("<", math.nextafter(high, math.inf), "<=", high)]


def _shortest_comparison(strict: str, next_value: float, inclusive: str, bound: float) -> str:
    strict_text, inclusive_text = format_number(next_value), format_number(bound)
    return f"{strict}{strict_text}" if len(strict_text) < len(inclusive_text) else f"{inclusive}{inclusive_text}"


def _time_range_candidates(low: float | None, high: float | None) -> list[str]:
    if low is None and high is None:
        return []
    first = None if low is None else _quotable(format_span_start(low) or repr(low))
    last = None if high is None else _quotable(format_span_end(high) or repr(high))
    if first is None:
        return [f"<={last}", f"<={high!r}"]
    if last is None:
        return [f">={first}", f">={low!r}"]
    span_text = format_time_span(low or 0.0, high or 0.0)
    return [
        *([span_text] if span_text else []),
        *([repr(low)] if low == high else []),
        f"{first}..{last}",
        f"{low!r}..{high!r}",
    ]


def _quotable(text: str) -> str:
    return _quote_text(text) if _NEEDS_QUOTES.search(text) else text


def _format_key(key: str) -> str:
    return _quote_text(key) if _NEEDS_QUOTES.search(key) or _KEY_SIGNS.search(key) else key


def _format_pattern(pattern: str) -> str:
    """Wildcards unchanged; the text between them quoted if required."""
    parts: list[tuple[str, bool]] = []
    for character, wild in split_pattern(pattern):
        if not wild and parts and not parts[-1][1]:
            parts[-1] = parts[-1][0] + character, False
        else:
            parts.append((character, wild))
    return "".join(text if wild else quote_value(text) for text, wild in parts)


def _format_plain(value: str) -> str:
    return _quote_text(value) if _NEEDS_QUOTES.search(value) else value


def _quote_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
