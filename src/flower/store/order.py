"""The order of tasks, and what comes after a place in it."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, TypeAlias

from flower.errors import Invalid
from flower.records import Task
from flower.store.cursor import TEXT_KEYS, Position
from flower.store.port import SORT_KEYS, Sort

#: A task and its key.
Item: TypeAlias = tuple[int, Task]


def check_sort(sorts: Sequence[Sort]) -> None:
    unknown = [sort.key for sort in sorts if sort.key not in SORT_KEYS]
    if unknown:
        raise Invalid(f"Tasks cannot be sorted by '{unknown[0]}'", hint=f"there are {', '.join(SORT_KEYS)}")


def ordered(items: Sequence[Item], sorts: Sequence[Sort]) -> list[Item]:
    found = sorted(items, key=lambda item: item[0], reverse=_backwards(sorts))
    for sort in reversed(sorts):
        found = _sorted(found, sort)
    return found


def position(item: Item, sorts: Sequence[Sort]) -> Position:
    return Position(tuple(_value(sort.key)(item[1]) for sort in sorts), item[0])


def is_after(place: Position, other: Position, sorts: Sequence[Sort]) -> bool:
    """Whether `place` comes after `other`."""
    for sort, mine, its in zip(sorts, place.values, other.values, strict=True):
        if mine != its:
            if mine is None or its is None:
                return mine is None
            return bool(mine < its if sort.descending else mine > its)
    return place.key < other.key if _backwards(sorts) else place.key > other.key


def _backwards(sorts: Sequence[Sort]) -> bool:
    return bool(sorts) and sorts[0].descending


def _sorted(found: list[Item], sort: Sort) -> list[Item]:
    """By one key, stably; those without a value last."""
    value = _value(sort.key)
    there = [item for item in found if value(item[1]) is not None]
    missing = [item for item in found if value(item[1]) is None]
    # sorted(reverse=True) keeps equal items in their order
    return sorted(there, key=lambda item: value(item[1]), reverse=sort.descending) + missing


def _value(key: str) -> Callable[[Task], Any]:
    """What is compared: text casefolded, and a number that is none (NaN) is missing."""
    attribute = "hostname" if key == "worker" else key
    if key in TEXT_KEYS:
        return lambda task: None if getattr(task, attribute) is None else getattr(task, attribute).casefold()
    return lambda task: _number(getattr(task, attribute))


def _number(value: float | None) -> float | None:
    return None if value is None or isnan(value) else value
