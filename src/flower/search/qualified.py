"""What `field:value` means, by the kind of the field: a table from kind to reader.

The sign that stands first (`=`, `>`, …) and those within (`,`, `*`, `..`) count where they are not quoted.
"""

import math
from collections.abc import Callable
from typing import Final

from flower.errors import SearchError
from flower.search.conditions import CONDITIONS
from flower.search.fields import ALIASES, FIELDS, Field, Kind, field_named, ordered
from flower.search.nearest import did_you_mean
from flower.search.numbers import duration, number
from flower.search.times import Clock, moment, time_span
from flower.search.tree import Bounds, Node, Path, Term, any_of
from flower.search.wildcards import MAX_STARS, escaped
from flower.search.written import Written

#: Flower's own text fields: signs of comparison are part of the text there, as they are in Flower
#: (`name:<locals>`, `args:<Order`).
FLOWERS: Final = frozenset({"name", "worker", "args", "kwargs", "result"})
COMPARISONS: Final = (">=", "<=", ">", "<")
SPECIAL: Final = ("is", "has")

Reader = Callable[[Field, Written, Clock], Node]


def read(field: Field, value: Written, at: Clock) -> list[Node]:
    """The terms of which one must hold. Raises SearchError, saying what would be right."""
    return _listed(value, lambda part: _READERS[field.kind](field, part, at), single=field.kind == "text")


def read_path(field: Field, keys: tuple[str, ...], value: Written) -> list[Node]:
    """The same for what is under these keys of the field."""
    if value.bare.startswith("="):
        hint = f"{field.name}.{'.'.join(keys)}:value is the whole value, ignoring case"
        raise SearchError("':=' is not for keys", value.position, hint=hint)
    return _listed(value, lambda part: Term(field.name, "path", _path(keys, part)))


def read_condition(value: Written) -> list[Node]:
    """`is:`"""
    return _listed(value, _condition)


def read_presence(value: Written) -> list[Node]:
    """`has:`"""
    return _listed(value, _presence)


def _listed(value: Written, read_part: Callable[[Written], Node], *, single: bool = False) -> list[Node]:
    if single:
        return [read_part(value)]
    exact = value.bare.startswith("=")
    parts = value.split(",")
    for place, part in enumerate(parts):
        if not part.text or (exact and part.text == "=" and not place):
            hint = f'to find the comma, quote it: "{value.text}"' if len(parts) > 1 else "put a value after it"
            raise SearchError("A value is missing here", part.position, hint=hint)
    # `name:=a,b` is one of these two, both to the letter
    return [read_part(_exactly(part) if exact and place else part) for place, part in enumerate(parts)]


def _exactly(part: Written) -> Written:
    if part.bare.startswith("="):
        return part
    return Written(f"={part.text}", f"={part.bare}", (part.position, *part.places))


def _text(field: Field, value: Written, at: Clock) -> Node:
    if value.bare.startswith("=") and len(value.text) > 1:
        return Term(field.name, "equals", value.text[1:])
    _check_comparison(field, value)
    if field.name == "kwargs" and "=" in value.text:
        key, _, item = value.text.partition("=")
        return Term(field.name, "pair", (key.strip(), item.strip()))
    return Term(field.name, "contains", value.text)


def _word(field: Field, value: Written, at: Clock) -> Node:
    if value.bare.startswith("="):
        return Term(field.name, "equals", value.text[1:])
    _check_comparison(field, value)
    if _is_pattern(value):
        return Term(field.name, "like", _pattern(value))
    return Term(field.name, "is" if field.kind == "state" else "contains", value.text)


def _check_comparison(field: Field, value: Written) -> None:
    if field.name in FLOWERS or not value.bare.startswith(("<", ">")):
        return
    able = ", ".join(name for name, other in FIELDS.items() if ordered(other))
    hint = f'to find the sign, quote it: {field.name}:"{value.text}"; these can be compared: {able}'
    raise SearchError(f"'{field.name}' cannot be compared", value.position, hint=hint)


def _ordered(field: Field, value: Written, at: Clock) -> Node:
    return Term(field.name, "range", _bounds(value, lambda part: _span(field, part, at)))


def _bounds(value: Written, span: Callable[[Written], Bounds]) -> Bounds:
    """`span` gives the first and last value that a text means; the first is None for a moment seen from now."""
    sign, rest = _sign(value)
    between = rest.bare.find("..")
    if between >= 0:
        return _between(value, sign, rest.part(0, between), rest.part(between + 2), span)
    low, high = span(rest)
    match sign:
        case ">":
            return math.nextafter(_last(high), math.inf), None
        case ">=":
            return (high if low is None else low), None
        case "<":
            return None, math.nextafter(_last(high if low is None else low), -math.inf)
        case "<=":
            return None, high
    if low is None:
        hint = f"'{rest.text}' is a moment: '>{rest.text}' finds what came after it, '<{rest.text}' what came before"
        raise SearchError("Nothing happens at exactly that moment", rest.position, hint=hint)
    return low, high


def _between(value: Written, sign: str, first: Written, last: Written, span: Callable[[Written], Bounds]) -> Bounds:
    if sign not in ("", "="):
        raise SearchError(f"'{sign}' and '..' do not go together", value.position, hint="write a..b, a.., or ..b")
    if not first.text and not last.text:
        raise SearchError("A range needs a bound", value.position, hint="write a..b, a.., or ..b")
    low, of_first = span(first) if first.text else (None, None)
    low = of_first if low is None else low
    high = span(last)[1] if last.text else None
    if low is not None and high is not None and low > high:
        raise SearchError("The range ends before it begins", value.position, hint=f"write {last.text}..{first.text}")
    return low, high


def _last(value: float | None) -> float:
    assert value is not None
    return value


def _sign(value: Written) -> tuple[str, Written]:
    for sign in (*COMPARISONS, "="):
        if value.bare.startswith(sign):
            return sign, value.part(len(sign))
    return "", value


def _span(field: Field, value: Written, at: Clock) -> Bounds:
    if field.kind == "time":
        return _time(field, value, at)
    try:
        found = duration(value.text) if field.duration else number(value.text)
    except ValueError:
        raise _no_value(field, value, "a duration" if field.duration else "a number") from None
    return found, found


def _time(field: Field, value: Written, at: Clock) -> Bounds:
    text = value.text.strip()
    try:
        seen = moment(text, at)
        return (None, seen) if seen is not None else time_span(text, at)
    except ValueError:
        pass
    try:
        epoch = number(text)
    except ValueError:
        raise _no_value(field, value, "a date or time") from None
    return epoch, epoch


def _no_value(field: Field, value: Written, wanted: str) -> SearchError:
    return SearchError(
        f"'{field.name}' takes {wanted}",
        value.position,
        hint=f"for example {field.example}; quote the text to find it as it is",
    )


def _path(keys: tuple[str, ...], value: Written) -> Path:
    if _is_pattern(value):
        return Path(keys, "like", _pattern(value))
    if value.bare.startswith(("<", ">")):
        return Path(keys, "range", _bounds(value, _number_of_path))
    if ".." in value.bare:
        try:
            return Path(keys, "range", _bounds(value, _number_of_path))
        except SearchError:
            return Path(keys, "is", value.text)  # two dots in a text
    return Path(keys, "is", value.text)


def _number_of_path(value: Written) -> Bounds:
    try:
        found = number(value.text)
    except ValueError:
        hint = "what is under a key is compared as a number; to find the text, quote it"
        raise SearchError(f"'{value.text}' is not a number", value.position, hint=hint) from None
    return found, found


def _is_pattern(value: Written) -> bool:
    return "*" in value.bare or "?" in value.bare


def _pattern(value: Written) -> str:
    if value.bare.count("*") > MAX_STARS:
        raise SearchError(f"A pattern takes at most {MAX_STARS} stars", value.position)
    wild = (character in "*?" for character in value.bare)
    return "".join(c if is_wild else escaped(c) for c, is_wild in zip(value.text, wild, strict=True))


def _condition(value: Written) -> Node:
    condition = CONDITIONS.get(value.text.casefold())
    if condition is None:
        hint = did_you_mean(value.text, CONDITIONS)
        raise SearchError(f"Nothing is known to be '{value.text}'", value.position, hint=hint)
    return condition.node


def _presence(value: Written) -> Node:
    parts = value.split(".")
    field = field_named(parts[0].text)
    if field is None:
        hint = did_you_mean(parts[0].text, (*FIELDS, *ALIASES))
        raise SearchError(f"There is no field '{parts[0].text}'", value.position, hint=hint)
    if len(parts) == 1:
        return Term(field.name, "present", "")
    return Term(field.name, "path", Path(keys_of(field, parts[1:]), "present"))


def keys_of(field: Field, parts: list[Written]) -> tuple[str, ...]:
    """The keys that stand between dots. Raises SearchError."""
    if not field.keys:
        able = ", ".join(name for name, other in FIELDS.items() if other.keys)
        raise SearchError(f"'{field.name}' has no keys", parts[0].position, hint=f"these have: {able}")
    for part in parts:
        if not part.text:
            hint = f'for example {field.name}.customer.id:7731; quote a key with a dot in it: {field.name}."a.b":1'
            raise SearchError("A key is missing here", part.position, hint=hint)
    return tuple(part.text for part in parts)


def either(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else any_of(nodes)


_READERS: dict[Kind, Reader] = {
    "text": _text,
    "word": _word,
    "id": _word,
    "state": _word,
    "number": _ordered,
    "time": _ordered,
}
