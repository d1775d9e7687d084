"""The search tree held against one task, whatever shape the task has: our record, a `TaskInfo` dict,
or an object with attributes such as `celery.events.state.Task`.

A tree is made into one function once, so that a query over many tasks does not read it again for each.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from flower.errors import Invalid
from flower.search.fields import FIELDS, FREE_TEXT, Field, ordered
from flower.search.paths import data_test, kwargs_pair, path_test, path_values
from flower.search.tree import And, Node, Not, Or, Path, Term, terms_of
from flower.search.values import AnyTask, field_text, field_value, text_of
from flower.search.wildcards import matcher

__all__ = [
    "AnyTask", "Predicate", "contains", "field_text", "field_value", "kwargs_pair", "matches", "path_values",
    "predicate", "text_of", "uses_slow",
]  # fmt: skip

Predicate: TypeAlias = Callable[[AnyTask], bool]
#: By name, the run time in seconds above which a task is slow.
Slow: TypeAlias = Mapping[str, float]


def matches(node: Node, task: AnyTask, slow: Slow | None = None) -> bool:
    """Whether the query holds for the task. Raises Invalid for a term that the table of fields does not allow."""
    return predicate(node, slow)(task)


def predicate(node: Node, slow: Slow | None = None) -> Predicate:
    """The query as a function of a task. `slow` is what `is:slow` compares with (`store.port.Reader.slow`); without
    it, it holds for nothing. Raises Invalid."""
    return _built(node, slow) if slow and uses_slow(node) else _cached(node)


def uses_slow(node: Node) -> bool:
    """Whether the query has to be given thresholds."""
    return any(term.operator == "slow" for term in terms_of(node))


@lru_cache(maxsize=256)
def _cached(node: Node) -> Predicate:
    return _built(node, None)


def _built(node: Node, slow: Slow | None) -> Predicate:
    match node:
        case Term():
            return _slow(node, slow) if node.operator == "slow" else _term(node)
        case Not(term):
            inner = _built(term, slow)
            return lambda task: not inner(task)
        case And(terms):
            every = tuple(_built(term, slow) for term in terms)
            return lambda task: all(holds(task) for holds in every)
        case Or(terms):
            either = tuple(_built(term, slow) for term in terms)
            return lambda task: any(holds(task) for holds in either)


def contains(text: str, folded_needle: str) -> bool:
    """Whether the casefolded needle occurs in the text, ignoring case."""
    return folded_needle in text.casefold()


def _term(term: Term) -> Predicate:
    if term.field == "" and term.operator == "contains" and isinstance(term.value, str):
        return _contains(FREE_TEXT, term.value)
    field = _field(term)
    match term.operator, term.value:
        case "contains", str(value) if not ordered(field):
            return _contains((field,), value)
        case "is", str(value) if not ordered(field):
            return _is(field, value)
        case "equals", str(value) if not ordered(field):
            return lambda task: field_text(task, field) == value
        case "like", str(value) if field.kind in ("word", "state", "id"):
            return _like(field, value)
        case "pair", (str(key), str(value)) if field.name == "kwargs":
            return lambda task: kwargs_pair(field_text(task, field), key, value)
        case "path", Path(keys=(_, *_)) as path if field.keys:
            return _path(field, path)
        case "present", "":
            return _range(field, None, None) if ordered(field) else lambda task: field_value(task, field) is not None
        case "range", (low, high) if ordered(field) and not isinstance(low, str) and not isinstance(high, str):
            return _range(field, low, high)
    raise _refused(term)


def _field(term: Term) -> Field:
    field = FIELDS.get(term.field)
    if field is None:
        raise Invalid(f"No search field is called '{term.field}'", hint=f"there are {', '.join(FIELDS)}")
    return field


def _refused(term: Term) -> Invalid:
    return Invalid(f"A search of the field '{term.field}' cannot be '{term.operator}' {term.value!r}")


def _contains(fields: tuple[Field, ...], value: str) -> Predicate:
    needle = value.casefold()

    def holds(task: AnyTask) -> bool:
        for field in fields:
            text = field_text(task, field)
            if text is not None and needle in text.casefold():
                return True
        return False

    return holds


def _is(field: Field, value: str) -> Predicate:
    wanted = value.casefold()

    def holds(task: AnyTask) -> bool:
        text = field_text(task, field)
        return text is not None and text.casefold() == wanted

    return holds


def _like(field: Field, pattern: str) -> Predicate:
    fits = matcher(pattern)

    def holds(task: AnyTask) -> bool:
        text = field_text(task, field)
        return text is not None and fits(text)

    return holds


def _path(field: Field, path: Path) -> Predicate:
    test = data_test(path) if field.name == "data" else path_test(path)

    def holds(task: AnyTask) -> bool:
        value = field_value(task, field)
        return value is not None and test(value)

    return holds


def _range(field: Field, low: float | None, high: float | None) -> Predicate:
    least = float("-inf") if low is None else low
    most = float("inf") if high is None else high

    def holds(task: AnyTask) -> bool:
        value = field_value(task, field)
        return isinstance(value, int | float) and least <= value <= most

    return holds


def _slow(term: Term, slow: Slow | None) -> Predicate:
    if term.value != "" or _field(term).name != "runtime":
        raise _refused(term)
    name_field, runtime_field = FIELDS["name"], FIELDS["runtime"]
    limits = dict(slow or {})

    def holds(task: AnyTask) -> bool:
        limit = limits.get(field_value(task, name_field))
        runtime = field_value(task, runtime_field)
        return limit is not None and isinstance(runtime, int | float) and runtime > limit

    return holds
