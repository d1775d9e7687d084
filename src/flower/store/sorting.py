"""Order of tasks, and comparison with a position in it."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, TypeAlias

from flower.errors import InvalidRequest
from flower.records import Task
from flower.store.cursor import TEXT_SORT_KEYS, Position
from flower.store.protocols import SORT_KEYS, Sort

#: Key and task.
KeyedTask: TypeAlias = tuple[int, Task]


def validate_sort(sorts: Sequence[Sort]) -> None:
    """Raises InvalidRequest for an unknown sort key."""
    unknown = [sort.key for sort in sorts if sort.key not in SORT_KEYS]
    if unknown:
        raise InvalidRequest(f"Unknown sort key '{unknown[0]}'", hint=f"valid: {', '.join(SORT_KEYS)}")


def sort_keyed_tasks(items: Sequence[KeyedTask], sorts: Sequence[Sort]) -> list[KeyedTask]:
    result = sorted(items, key=lambda item: item[0], reverse=_is_descending(sorts))
    for sort in reversed(sorts):
        result = _sort_by_key(result, sort)
    return result


def sort_position(item: KeyedTask, sorts: Sequence[Sort]) -> Position:
    """The position of a task in the order."""
    return Position(tuple(_key_function(sort.key)(item[1]) for sort in sorts), item[0])


def is_after(position: Position, other: Position, sorts: Sequence[Sort]) -> bool:
    """Whether `position` comes after `other`."""
    for sort, mine, its in zip(sorts, position.values, other.values, strict=True):
        if mine != its:
            if mine is None or its is None:
                return mine is None
            return bool(mine < its if sort.descending else mine > its)
    return position.key < other.key if _is_descending(sorts) else position.key > other.key


def _is_descending(sorts: Sequence[Sort]) -> bool:
    return bool(sorts) and sorts[0].descending


def _sort_by_key(items: list[KeyedTask], sort: Sort) -> list[KeyedTask]:
    """Stable sort by one key; tasks without the value last."""
    value = _key_function(sort.key)
    present = [item for item in items if value(item[1]) is not None]
    missing = [item for item in items if value(item[1]) is None]
    # sorted(reverse=True) keeps the order of equal items
    return sorted(present, key=lambda item: value(item[1]), reverse=sort.descending) + missing


def _key_function(key: str) -> Callable[[Task], Any]:
    """The value that is compared: text casefolded; NaN is missing."""
    attribute = "hostname" if key == "worker" else key
    if key in TEXT_SORT_KEYS:
        return lambda task: None if getattr(task, attribute) is None else getattr(task, attribute).casefold()
    return lambda task: _number_or_none(getattr(task, attribute))


def _number_or_none(value: float | None) -> float | None:
    return None if value is None or isnan(value) else value
