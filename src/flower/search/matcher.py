"""Compiles a search tree to a predicate of one task: a record, a `TaskInfo` dict, or an object with attributes such as
`celery.events.state.Task`.

A tree is compiled once and cached, so that a query over many tasks does not traverse it for each task.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from flower.errors import InvalidRequest
from flower.search.field_values import TaskLike, field_text, field_value, value_text
from flower.search.fields import FIELDS, FREE_TEXT, Field, is_ordered
from flower.search.key_paths import data_path_predicate, find_path_values, has_kwargs_pair, path_predicate
from flower.search.tree import And, Node, Not, Or, PathCondition, Term, iter_terms
from flower.search.wildcards import compile_wildcard

__all__ = [
    "Predicate",
    "TaskLike",
    "compile_predicate",
    "contains_folded",
    "field_text",
    "field_value",
    "find_path_values",
    "has_kwargs_pair",
    "matches",
    "needs_slow_thresholds",
    "value_text",
]  # fmt: skip

Predicate: TypeAlias = Callable[[TaskLike], bool]
#: Run time in seconds above which a task is slow, by task name.
SlowThresholds: TypeAlias = Mapping[str, float]


def matches(node: Node, task: TaskLike, slow_thresholds: SlowThresholds | None = None) -> bool:
    """Whether the task matches the query. Raises InvalidRequest for a term that is invalid for its field."""
    return compile_predicate(node, slow_thresholds)(task)


def compile_predicate(node: Node, slow_thresholds: SlowThresholds | None = None) -> Predicate:
    """The query as a predicate of a task. `slow_thresholds` are those of `is:slow`
    (`store.protocols.Reader.slow_thresholds`); without them `is:slow` matches no task. Raises InvalidRequest."""
    return _build_predicate(node, slow_thresholds) if slow_thresholds and needs_slow_thresholds(node) else _cached(node)


def needs_slow_thresholds(node: Node) -> bool:
    """Whether the query contains `is:slow`."""
    return any(term.operator == "slow" for term in iter_terms(node))


@lru_cache(maxsize=256)
def _cached(node: Node) -> Predicate:
    return _build_predicate(node, None)


def _build_predicate(node: Node, slow: SlowThresholds | None) -> Predicate:
    match node:
        case Term():
            return _slow(node, slow) if node.operator == "slow" else _term(node)
        case Not(term):
            inner = _build_predicate(term, slow)
            return lambda task: not inner(task)
        case And(terms):
            every = tuple(_build_predicate(term, slow) for term in terms)
            return lambda task: all(predicate(task) for predicate in every)
        case Or(terms):
            either = tuple(_build_predicate(term, slow) for term in terms)
            return lambda task: any(predicate(task) for predicate in either)


def contains_folded(text: str, folded_needle: str) -> bool:
    """Whether the text contains the casefolded needle, ignoring case."""
    return folded_needle in text.casefold()


def _term(term: Term) -> Predicate:
    if term.field == "" and term.operator == "contains" and isinstance(term.value, str):
        return _contains(FREE_TEXT, term.value)
    field = _field(term)
    match term.operator, term.value:
        case "contains", str(value) if not is_ordered(field):
            return _contains((field,), value)
        case "is", str(value) if not is_ordered(field):
            return _is(field, value)
        case "equals", str(value) if not is_ordered(field):
            return lambda task: field_text(task, field) == value
        case "like", str(value) if field.kind in ("word", "state", "id"):
            return _like(field, value)
        case "pair", (str(key), str(value)) if field.name == "kwargs":
            return lambda task: has_kwargs_pair(field_text(task, field), key, value)
        case "path", PathCondition(keys=(_, *_)) as path if field.has_keys:
            return _path(field, path)
        case "present", "":
            return _range(field, None, None) if is_ordered(field) else lambda task: field_value(task, field) is not None
        case "range", (low, high) if is_ordered(field) and not isinstance(low, str) and not isinstance(high, str):
            return _range(field, low, high)
    raise _unsupported_term(term)


def _field(term: Term) -> Field:
    field = FIELDS.get(term.field)
    if field is None:
        raise InvalidRequest(f"Unknown search field '{term.field}'", hint=f"valid: {', '.join(FIELDS)}")
    return field


def _unsupported_term(term: Term) -> InvalidRequest:
    return InvalidRequest(f"Invalid condition on the field '{term.field}': '{term.operator}' {term.value!r}")


def _contains(fields: tuple[Field, ...], value: str) -> Predicate:
    needle = value.casefold()

    def is_match(task: TaskLike) -> bool:
        for field in fields:
            text = field_text(task, field)
            if text is not None and needle in text.casefold():
                return True
        return False

    return is_match


def _is(field: Field, value: str) -> Predicate:
    wanted = value.casefold()

    def is_match(task: TaskLike) -> bool:
        text = field_text(task, field)
        return text is not None and text.casefold() == wanted

    return is_match


def _like(field: Field, pattern: str) -> Predicate:
    matches = compile_wildcard(pattern)

    def is_match(task: TaskLike) -> bool:
        text = field_text(task, field)
        return text is not None and matches(text)

    return is_match


def _path(field: Field, path: PathCondition) -> Predicate:
    test = data_path_predicate(path) if field.name == "data" else path_predicate(path)

    def is_match(task: TaskLike) -> bool:
        value = field_value(task, field)
        return value is not None and test(value)

    return is_match


def _range(field: Field, low: float | None, high: float | None) -> Predicate:
    minimum = float("-inf") if low is None else low
    maximum = float("inf") if high is None else high

    def is_match(task: TaskLike) -> bool:
        value = field_value(task, field)
        return isinstance(value, int | float) and minimum <= value <= maximum

    return is_match


def _slow(term: Term, slow: SlowThresholds | None) -> Predicate:
    if term.value != "" or _field(term).name != "runtime":
        raise _unsupported_term(term)
    name_field, runtime_field = FIELDS["name"], FIELDS["runtime"]
    limits = dict(slow or {})

    def is_match(task: TaskLike) -> bool:
        limit = limits.get(field_value(task, name_field))
        runtime = field_value(task, runtime_field)
        return limit is not None and isinstance(runtime, int | float) and runtime > limit

    return is_match
