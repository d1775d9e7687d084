"""The documented search functions (`flower.utils.search`)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flower.search.field_values import value_text
from flower.search.matcher import TaskLike, matches
from flower.search.parser import parse_search
from flower.search.python_literal import parse_literal
from flower.search.tree import And, Node


def parse_search_terms(raw_search_value: str | None) -> list[Node]:
    """The terms of a query that must all match: `Term`s with field, operator and value; alternatives (`Or`) and
    negations (`Not`) contain terms. No terms match every task. Raises SearchError with the position."""
    tree = parse_search(raw_search_value)
    return list(tree.terms) if isinstance(tree, And) else [tree]


def satisfies_search_terms(
    task: TaskLike, search_terms: Iterable[Node], slow: Mapping[str, float] | None = None
) -> bool:
    """Whether a task matches all terms: a TaskInfo dict, a record, or a task of `celery.events.state`. `slow`: the
    threshold of `is:slow` by task name; without it `is:slow` matches no task."""
    return all(matches(term, task, slow) for term in search_terms)


def task_args_contains_search_args(task_args: Any, search_args: Iterable[Any]) -> bool:
    """Whether every search argument occurs among the arguments of the task, as a value or as text.

    `task_args` is a list or tuple of positional arguments, a dict of keyword arguments, the text of either as in an
    event, or None. A search argument occurs if it equals an argument or a value inside one, or, if it is a string, if
    the text of the arguments contains it, ignoring case. In text that is not a Python literal, any other search
    argument occurs if its repr is present as a separate word (17 is not in 170).
    """
    search_values = [search_args] if isinstance(search_args, str) else list(search_args)
    if task_args is None:
        return not search_values
    arguments, text = _flatten_arguments(task_args), value_text(task_args)
    return all(_occurs(item, arguments, text) for item in search_values)


def _flatten_arguments(task_args: Any) -> list[Any]:
    """The arguments, and all values inside them."""
    if isinstance(task_args, str):
        try:
            task_args = parse_literal(task_args)
        except ValueError:
            return []
    if isinstance(task_args, Mapping | list | tuple | set | frozenset):
        return list(_container_items(task_args))
    return [task_args]


def _container_items(container: Iterable[Any]) -> Iterator[Any]:
    pending = [container]
    while pending:
        outer = pending.pop()
        for item in outer.values() if isinstance(outer, Mapping) else outer:
            yield item
            if isinstance(item, Mapping | list | tuple | set | frozenset):
                pending.append(item)


def _occurs(item: Any, arguments: list[Any], text: str) -> bool:
    if any(_values_equal(item, argument) for argument in arguments):
        return True
    if isinstance(item, str):
        folded = item.casefold()
        return folded in text.casefold() or any(folded in str(part).casefold() for part in arguments)
    alone = rf"(?<![\w.]){re.escape(repr(item))}(?![\w.])"
    return not arguments and re.search(alone, text) is not None


def _values_equal(one: Any, other: Any) -> bool:
    """Equality in which True is not 1. Sequences of different types can be equal, because JSON turns tuples into
    lists."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_values_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
