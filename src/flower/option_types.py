"""Types of option values: how each is parsed from text, and which Python values are valid."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin

from flower.units import parse_duration, parse_size

TRUE_WORDS = frozenset({"y", "yes", "t", "true", "on", "1"})
FALSE_WORDS = frozenset({"n", "no", "f", "false", "off", "0"})

#: Separators of list entries. In a list of pairs a comma that is not followed by another `user:password` belongs to the
#: password; password hashes contain commas.
_COMMA = re.compile(",")
_COMMA_OF_PAIRS = re.compile(r",(?=[^,:]*:)|,\s*$")


class Seconds(float):
    """A duration; as text `90`, `15m`, `12h`, `30d`."""


class Bytes(int):
    """A size; as text `500000`, `500MB`, `10GB`."""


@dataclass(frozen=True, slots=True)
class OptionType:
    """`parse` takes text, `check` a Python value that is not text; both raise ValueError."""

    #: noun phrase for messages, after "must be" and "is not"
    name: str
    parse: Callable[[str], Any]
    check: Callable[[Any], Any]
    #: short name for option tables
    label: str
    #: whether an empty text and `none` mean None
    optional: bool = False


def option_type_for(hint: Any) -> OptionType:
    """The option type of a field, by its annotation."""
    if NoneType not in get_args(hint):
        return _OPTION_TYPES[hint]
    (rest,) = (each for each in get_args(hint) if each is not NoneType)
    kind = _FUNCTION_TYPE if get_origin(rest) is Callable else _OPTION_TYPES[rest]
    return OptionType(kind.name, _or_none(kind.parse), kind.check, kind.label, optional=True)


def split_pairs(text: str) -> tuple[str, ...]:
    """Split comma-separated `user:password` pairs."""
    return _split_list(_COMMA_OF_PAIRS, text)


def _or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.strip().lower() in ("", "none") else parse(text)


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(text)
    return word in TRUE_WORDS


def _check_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _parse_float(text: str) -> float:
    return _check_float(float(text))


def _check_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(value)
    return float(value)


def _check_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(value)
    return value


def _check_str(value: Any) -> str:
    raise ValueError(value)  # text is parsed, never checked


def _parse_seconds(text: str) -> Seconds:
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError(text)
    return Seconds(seconds)


def _parse_bytes(text: str) -> Bytes:
    return Bytes(parse_size(text))


def _split_list(comma: re.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in comma.split(text) if part.strip())


def _parse_floats(text: str) -> tuple[float, ...]:
    return tuple(map(_parse_float, _split_list(_COMMA, text)))


def _require_sequence(value: Any) -> Iterable[Any]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(value)
    return value


def _check_texts(value: Any) -> tuple[str, ...]:
    items = tuple(_require_sequence(value))
    if not all(isinstance(item, str) for item in items):
        raise ValueError(value)
    return items


def _reject_function_text(text: str) -> Any:
    raise ValueError(text)


def _check_function(value: Any) -> Any:
    if not callable(value):
        raise ValueError(value)
    return value


_FUNCTION_TYPE = OptionType(
    "a function, which only the configuration file can hold", _reject_function_text, _check_function, "function"
)
_OPTION_TYPES: Mapping[Any, OptionType] = {
    bool: OptionType("true or false", _parse_bool, _check_bool, "true or false"),
    int: OptionType("a whole number", int, _check_int, "whole number"),
    float: OptionType("a number", _parse_float, _check_float, "number"),
    str: OptionType("a text", str, _check_str, "text"),
    Seconds: OptionType(
        "a duration such as 90, 15m, 12h or 30d", _parse_seconds, lambda value: Seconds(_check_float(value)), "duration"
    ),
    Bytes: OptionType("a size such as 500MB or 10GB", _parse_bytes, lambda value: Bytes(_check_int(value)), "size"),
    tuple[str, ...]: OptionType(
        "a list of texts, or a text with commas", lambda text: _split_list(_COMMA, text), _check_texts, "list"
    ),
    tuple[float, ...]: OptionType(
        "a list of numbers",
        _parse_floats,
        lambda value: tuple(map(_check_float, _require_sequence(value))),
        "list of numbers",
    ),
}
