"""What is inside of arguments, results and custom data: found by keys, compared by its text or number."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flower.errors import Invalid
from flower.search.literal import is_whole, literal
from flower.search.numbers import number
from flower.search.tree import Path
from flower.search.wildcards import matcher


def kwargs_pair(kwargs_text: str | None, key: str, value: str) -> bool:
    """Whether the text of keyword arguments has exactly this pair, ignoring case.

    False if the text does not read as a dict, or if the value was cut. A value is compared by its text: a
    string as it is, bytes also decoded, anything else by its repr; None also goes by the empty text.
    """
    if not kwargs_text or not _may_have(kwargs_text, (key,)):
        return False
    try:
        pairs = literal(kwargs_text)
    except ValueError:
        return False
    if not isinstance(pairs, dict):
        return False
    wanted_key, wanted = key.casefold(), value.casefold()
    return any(
        any(text.casefold() == wanted for text in spellings(item)) and is_whole(item)
        for name, item in pairs.items()
        if isinstance(name, str) and name.casefold() == wanted_key
    )


def path_values(value: object, keys: Sequence[str]) -> list[Any]:
    """What the keys lead to in a value, or in the literal that a text spells: several things if keys differ only in
    case, nothing if the text is no literal or was cut there. Keys of dicts go without regard to case, numbers lead
    into sequences."""
    if isinstance(value, str):
        if not _may_have(value, [key for key in keys if not _is_number(key)]):
            return []
        try:
            value = literal(value)
        except ValueError:
            return []
    found: list[Any] = [value]
    for key in keys:
        found = [inner for outer in found for inner in _within(outer, key)]
    return [item for item in found if item is not ...]


def path_test(path: Path) -> Callable[[object], bool]:
    """Whether the path leads to what it asks for, in a value or text. Raises Invalid."""
    keys, test = path.keys, value_test(path)
    return lambda value: any(map(test, path_values(value, keys)))


def data_test(path: Path) -> Callable[[object], bool]:
    """The same for custom data, where `progress` also names the event type `task-progress`."""
    either = (path_test(path), path_test(Path((f"task-{path.keys[0]}", *path.keys[1:]), path.operator, path.value)))
    return lambda value: any(test(value) for test in either)


def value_test(path: Path) -> Callable[[object], bool]:
    """Whether what was found is what the path asks for. Raises Invalid for what makes no sense."""
    match path.operator, path.value:
        case "present", "":
            return lambda value: True
        case "is", str(wanted):
            folded = wanted.casefold()
            return lambda value: any(text.casefold() == folded for text in spellings(value)) and is_whole(value)
        case "like", str(pattern):
            fits = matcher(pattern)
            return lambda value: any(map(fits, spellings(value))) and is_whole(value)
        case "range", (low, high) if not isinstance(low, str) and not isinstance(high, str):
            least = float("-inf") if low is None else low
            most = float("inf") if high is None else high
            return lambda value: (found := _number(value)) is not None and least <= found <= most
    raise Invalid(f"A search of what is under '{'.'.join(path.keys)}' cannot be '{path.operator}' {path.value!r}")


def spellings(value: object) -> tuple[str, ...]:
    """The texts that a value goes by."""
    match value:
        case str():
            return (value,)
        case bytes():
            return (repr(value), value.decode("utf-8", "replace"))
        case None:
            return ("None", "")
    try:
        return (repr(value),)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints, or depth
        return ()


def _may_have(text: str, keys: Sequence[str]) -> bool:
    """Reading a literal is dear; without escapes a key that is there can be seen in the text."""
    if "\\" in text:
        return True
    folded = text.casefold()
    return all(key.casefold() in folded for key in keys)


def _within(outer: object, key: str) -> list[Any]:
    if isinstance(outer, Mapping):
        wanted = key.casefold()
        return [item for name, item in outer.items() if _key_text(name) == wanted]
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
    """A number, or the number that a text spells. (NaN is in no range.)"""
    if isinstance(value, str):
        try:
            return number(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
