"""Values at a path of keys in arguments, results and custom data, compared by their text or number."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flower.errors import InvalidRequest
from flower.search.python_literal import is_whole, parse_literal
from flower.search.tree import PathCondition
from flower.search.wildcards import compile_wildcard
from flower.units import parse_number


def has_kwargs_pair(kwargs_text: str | None, key: str, value: str) -> bool:
    """Whether the text of keyword arguments contains exactly this pair, ignoring case.

    False if the text is not the literal of a dict, or if the value was truncated. A value is compared by its text: a
    string itself, bytes also decoded, any other value by its repr; None also by the empty text.
    """
    if not kwargs_text or not _may_contain_keys(kwargs_text, (key,)):
        return False
    try:
        pairs = parse_literal(kwargs_text)
    except ValueError:
        return False
    if not isinstance(pairs, dict):
        return False
    wanted_key, wanted = key.casefold(), value.casefold()
    return any(
        any(text.casefold() == wanted for text in repr_variants(item)) and is_whole(item)
        for name, item in pairs.items()
        if isinstance(name, str) and name.casefold() == wanted_key
    )


def find_path_values(value: object, keys: Sequence[str]) -> list[Any]:
    """The values at a path of keys in a value, or in the literal of a text: several if keys differ only in case, none
    if the text is not a literal or was truncated there. Keys of dicts ignore case; numbers are indexes of sequences."""
    if isinstance(value, str):
        if not _may_contain_keys(value, [key for key in keys if not _is_number(key)]):
            return []
        try:
            value = parse_literal(value)
        except ValueError:
            return []
    values: list[Any] = [value]
    for key in keys:
        values = [inner for outer in values for inner in _nested_values(outer, key)]
    return [item for item in values if item is not ...]


def path_predicate(path: PathCondition) -> Callable[[object], bool]:
    """Whether a value, or the literal of a text, satisfies the condition. Raises InvalidRequest."""
    keys, test = path.keys, path_value_predicate(path)
    return lambda value: any(map(test, find_path_values(value, keys)))


def data_path_predicate(path: PathCondition) -> Callable[[object], bool]:
    """The predicate for custom data, where `progress` also names the event type `task-progress`."""
    predicates = (
        path_predicate(path),
        path_predicate(PathCondition((f"task-{path.keys[0]}", *path.keys[1:]), path.operator, path.value)),
    )
    return lambda value: any(test(value) for test in predicates)


def path_value_predicate(path: PathCondition) -> Callable[[object], bool]:
    """Whether a value at the path satisfies the condition. Raises InvalidRequest for an invalid condition."""
    match path.operator, path.value:
        case "present", "":
            return lambda value: True
        case "is", str(wanted):
            folded = wanted.casefold()
            return lambda value: any(text.casefold() == folded for text in repr_variants(value)) and is_whole(value)
        case "like", str(pattern):
            matches = compile_wildcard(pattern)
            return lambda value: any(map(matches, repr_variants(value))) and is_whole(value)
        case "range", (low, high) if not isinstance(low, str) and not isinstance(high, str):
            minimum = float("-inf") if low is None else low
            maximum = float("inf") if high is None else high
            return lambda value: (number := _number(value)) is not None and minimum <= number <= maximum
    raise InvalidRequest(f"Invalid condition on the key '{'.'.join(path.keys)}': '{path.operator}' {path.value!r}")


def repr_variants(value: object) -> tuple[str, ...]:
    """The texts that a value is compared by."""
    match value:
        case str():
            return (value,)
        case bytes():
            return (repr(value), value.decode("utf-8", "replace"))
        case None:
            return ("None", "")
    try:
        return (repr(value),)
    except (ValueError, RecursionError):  # an integer with more digits than Python prints, or deep nesting
        return ()


def _may_contain_keys(text: str, keys: Sequence[str]) -> bool:
    """Parsing a literal is expensive. Without escapes, a key that is present is visible in the text."""
    if "\\" in text:
        return True
    folded = text.casefold()
    return all(key.casefold() in folded for key in keys)


def _nested_values(outer: object, key: str) -> list[Any]:
    if isinstance(outer, Mapping):
        folded_key = key.casefold()
        return [item for name, item in outer.items() if _key_text(name) == folded_key]
    if isinstance(outer, list | tuple) and _is_number(key) and int(key) < len(outer):
        return [outer[int(key)]]
    return []


def _key_text(name: object) -> str | None:
    if isinstance(name, str):
        return name.casefold()
    try:
        return str(name) if type(name) is int else None
    except ValueError:  # more digits than Python prints
        return None


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) <= 9


def _number(value: object) -> float | None:
    """A number, or the number in a text. (NaN is in no range.)"""
    if isinstance(value, str):
        try:
            return parse_number(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
