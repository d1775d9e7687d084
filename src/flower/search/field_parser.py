"""Parses the value of `field:value`: a table from the type of the field to its parser.

The operator at the start (`=`, `>`, …) and those inside (`,`, `*`, `..`) have an effect only where they are not quoted.
"""

import math
from collections.abc import Callable
from typing import Final

from flower.errors import SearchError
from flower.search.conditions import CONDITIONS
from flower.search.did_you_mean import did_you_mean
from flower.search.fields import ALIASES, FIELDS, Field, FieldKind, find_field, is_ordered
from flower.search.lexer import QuotedWord
from flower.search.time_parser import TimeContext, parse_moment, parse_time_span
from flower.search.tree import Node, PathCondition, RangeBounds, Term, any_of
from flower.search.wildcards import MAX_STARS, escape_wildcards
from flower.units import parse_duration, parse_number

#: Flower's text fields: comparison operators are part of the text there, as in Flower (`name:<locals>`, `args:<Order`).
FLOWER_FIELDS: Final = frozenset({"name", "worker", "args", "kwargs", "result"})
COMPARISONS: Final = (">=", "<=", ">", "<")
SPECIAL_QUALIFIERS: Final = ("is", "has")

FieldParser = Callable[[Field, QuotedWord, TimeContext], Node]


def parse_field_value(field: Field, value: QuotedWord, context: TimeContext) -> list[Node]:
    """Terms of which one must match. Raises SearchError with a hint."""
    return _parse_list(
        value, lambda part: _FIELD_PARSERS[field.kind](field, part, context), single=field.kind == "text"
    )


def parse_path_value(field: Field, keys: tuple[str, ...], value: QuotedWord) -> list[Node]:
    """The terms for the values under these keys of the field."""
    if value.syntax.startswith("="):
        hint = f"{field.name}.{'.'.join(keys)}:value compares the complete value, ignoring case"
        raise SearchError("':=' cannot be used with keys", value.position, hint=hint)
    return _parse_list(value, lambda part: Term(field.name, "path", _parse_path_term(keys, part)))


def parse_condition(value: QuotedWord) -> list[Node]:
    """The terms of `is:`."""
    return _parse_list(value, _condition_node)


def parse_presence(value: QuotedWord) -> list[Node]:
    """The terms of `has:`."""
    return _parse_list(value, _presence_node)


def _parse_list(value: QuotedWord, read_part: Callable[[QuotedWord], Node], *, single: bool = False) -> list[Node]:
    if single:
        return [read_part(value)]
    exact = value.syntax.startswith("=")
    parts = value.split(",")
    for index, part in enumerate(parts):
        if not part.text or (exact and part.text == "=" and not index):
            hint = f'to search for the comma, quote it: "{value.text}"' if len(parts) > 1 else "add a value"
            raise SearchError("Missing value", part.position, hint=hint)
    # `name:=a,b` is one of these two, both compared exactly
    return [read_part(_parse_exact(part) if exact and index else part) for index, part in enumerate(parts)]


def _parse_exact(part: QuotedWord) -> QuotedWord:
    if part.syntax.startswith("="):
        return part
    return QuotedWord(f"={part.text}", f"={part.syntax}", (part.position, *part.positions))


def _parse_text(field: Field, value: QuotedWord, context: TimeContext) -> Node:
    if value.syntax.startswith("=") and len(value.text) > 1:
        return Term(field.name, "equals", value.text[1:])
    _check_comparison(field, value)
    if field.name == "kwargs" and "=" in value.text:
        key, _, item = value.text.partition("=")
        return Term(field.name, "pair", (key.strip(), item.strip()))
    return Term(field.name, "contains", value.text)


def _parse_word(field: Field, value: QuotedWord, context: TimeContext) -> Node:
    if value.syntax.startswith("="):
        return Term(field.name, "equals", value.text[1:])
    _check_comparison(field, value)
    if _is_pattern(value):
        return Term(field.name, "like", _parse_pattern(value))
    return Term(field.name, "is" if field.kind == "state" else "contains", value.text)


def _check_comparison(field: Field, value: QuotedWord) -> None:
    if field.name in FLOWER_FIELDS or not value.syntax.startswith(("<", ">")):
        return
    comparable = ", ".join(name for name, other in FIELDS.items() if is_ordered(other))
    hint = f'to search for the character, quote it: {field.name}:"{value.text}"; fields with comparison: {comparable}'
    raise SearchError(f"'{field.name}' does not support comparison", value.position, hint=hint)


def _parse_ordered(field: Field, value: QuotedWord, context: TimeContext) -> Node:
    return Term(field.name, "range", _parse_bounds(value, lambda part: _parse_span(field, part, context)))


def _parse_bounds(value: QuotedWord, span: Callable[[QuotedWord], RangeBounds]) -> RangeBounds:
    """The bounds of a range or comparison. `span` returns the first and last value of a text; the first is None for a
    relative time."""
    operator, rest = _split_operator(value)
    between = rest.syntax.find("..")
    if between >= 0:
        return _comparison_bounds(value, operator, rest.section(0, between), rest.section(between + 2), span)
    low, high = span(rest)
    match operator:
        case ">":
            return math.nextafter(_last_bound(high), math.inf), None
        case ">=":
            return (high if low is None else low), None
        case "<":
            return None, math.nextafter(_last_bound(high if low is None else low), -math.inf)
        case "<=":
            return None, high
    if low is None:
        hint = f"use '>{rest.text}' for later times, '<{rest.text}' for earlier times"
        raise SearchError(f"'{rest.text}' is a point in time and requires a comparison", rest.position, hint=hint)
    return low, high


def _comparison_bounds(
    value: QuotedWord, operator: str, first: QuotedWord, last: QuotedWord, span: Callable[[QuotedWord], RangeBounds]
) -> RangeBounds:
    if operator not in ("", "="):
        raise SearchError(f"'{operator}' cannot be combined with '..'", value.position, hint="use a..b, a.. or ..b")
    if not first.text and not last.text:
        raise SearchError("A range requires a bound", value.position, hint="use a..b, a.. or ..b")
    low, end_of_first = span(first) if first.text else (None, None)
    low = end_of_first if low is None else low
    high = span(last)[1] if last.text else None
    if low is not None and high is not None and low > high:
        raise SearchError("The range ends before it begins", value.position, hint=f"use {last.text}..{first.text}")
    return low, high


def _last_bound(value: float | None) -> float:
    assert value is not None
    return value


def _split_operator(value: QuotedWord) -> tuple[str, QuotedWord]:
    for operator in (*COMPARISONS, "="):
        if value.syntax.startswith(operator):
            return operator, value.section(len(operator))
    return "", value


def _parse_span(field: Field, value: QuotedWord, context: TimeContext) -> RangeBounds:
    if field.kind == "time":
        return _parse_time(field, value, context)
    try:
        number = parse_duration(value.text) if field.is_duration else parse_number(value.text)
    except ValueError:
        raise _invalid_value(field, value, "a duration" if field.is_duration else "a number") from None
    return number, number


def _parse_time(field: Field, value: QuotedWord, context: TimeContext) -> RangeBounds:
    text = value.text.strip()
    try:
        moment = parse_moment(text, context)
        return (None, moment) if moment is not None else parse_time_span(text, context)
    except ValueError:
        pass
    try:
        epoch = parse_number(text)
    except ValueError:
        raise _invalid_value(field, value, "a date or time") from None
    return epoch, epoch


def _invalid_value(field: Field, value: QuotedWord, wanted: str) -> SearchError:
    return SearchError(
        f"Expected {wanted} after '{field.name}:'",
        value.position,
        hint=f"for example {field.example}; to search for the text, quote it",
    )


def _parse_path_term(keys: tuple[str, ...], value: QuotedWord) -> PathCondition:
    if _is_pattern(value):
        return PathCondition(keys, "like", _parse_pattern(value))
    if value.syntax.startswith(("<", ">")):
        return PathCondition(keys, "range", _parse_bounds(value, _parse_path_number))
    if ".." in value.syntax:
        try:
            return PathCondition(keys, "range", _parse_bounds(value, _parse_path_number))
        except SearchError:
            return PathCondition(keys, "is", value.text)  # text with two dots
    return PathCondition(keys, "is", value.text)


def _parse_path_number(value: QuotedWord) -> RangeBounds:
    try:
        number = parse_number(value.text)
    except ValueError:
        hint = "values under a key are compared as numbers; to search for the text, quote it"
        raise SearchError(f"'{value.text}' is not a number", value.position, hint=hint) from None
    return number, number


def _is_pattern(value: QuotedWord) -> bool:
    return "*" in value.syntax or "?" in value.syntax


def _parse_pattern(value: QuotedWord) -> str:
    if value.syntax.count("*") > MAX_STARS:
        raise SearchError(f"Too many wildcards (maximum {MAX_STARS} stars)", value.position)
    wild = (character in "*?" for character in value.syntax)
    return "".join(c if is_wild else escape_wildcards(c) for c, is_wild in zip(value.text, wild, strict=True))


def _condition_node(value: QuotedWord) -> Node:
    condition = CONDITIONS.get(value.text.casefold())
    if condition is None:
        hint = did_you_mean(value.text, CONDITIONS)
        raise SearchError(f"Unknown condition '{value.text}'", value.position, hint=hint)
    return condition.node


def _presence_node(value: QuotedWord) -> Node:
    parts = value.split(".")
    field = find_field(parts[0].text)
    if field is None:
        hint = did_you_mean(parts[0].text, (*FIELDS, *ALIASES))
        raise SearchError(f"Unknown field '{parts[0].text}'", value.position, hint=hint)
    if len(parts) == 1:
        return Term(field.name, "present", "")
    return Term(field.name, "path", PathCondition(parse_keys(field, parts[1:]), "present"))


def parse_keys(field: Field, parts: list[QuotedWord]) -> tuple[str, ...]:
    """The keys between the dots. Raises SearchError."""
    if not field.has_keys:
        searchable = ", ".join(name for name, other in FIELDS.items() if other.has_keys)
        raise SearchError(f"'{field.name}' has no keys", parts[0].position, hint=f"fields with keys: {searchable}")
    for part in parts:
        if not part.text:
            hint = f'for example {field.name}.customer.id:7731; quote a key that contains a dot: {field.name}."a.b":1'
            raise SearchError("Missing key", part.position, hint=hint)
    return tuple(part.text for part in parts)


def combine_alternatives(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else any_of(nodes)


_FIELD_PARSERS: dict[FieldKind, FieldParser] = {
    "text": _parse_text,
    "word": _parse_word,
    "id": _parse_word,
    "state": _parse_word,
    "number": _parse_ordered,
    "time": _parse_ordered,
}
