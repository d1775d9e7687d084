"""The search tree held against one task, whatever shape the task has: our record, a `TaskInfo` dict,
or an object with attributes such as `celery.events.state.Task`.

A tree is made into one function once, so that a query over many tasks does not read it again for each.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from flower.errors import Invalid
from flower.records import Task
from flower.search.fields import FIELDS, FREE_TEXT, Field
from flower.search.literal import is_whole, literal
from flower.search.tree import And, Node, Not, Or, Term

#: A record, a TaskInfo dict or any object with the attributes of a task.
AnyTask: TypeAlias = Any
Predicate: TypeAlias = Callable[[AnyTask], bool]


def matches(node: Node, task: AnyTask) -> bool:
    """Whether the query holds for the task. Raises Invalid for a term that the table of fields does not allow."""
    return predicate(node)(task)


@lru_cache(maxsize=256)
def predicate(node: Node) -> Predicate:
    """The query as a function of a task."""
    match node:
        case Term():
            return _term(node)
        case Not(term):
            inner = predicate(term)
            return lambda task: not inner(task)
        case And(terms):
            every = tuple(map(predicate, terms))
            return lambda task: all(holds(task) for holds in every)
        case Or(terms):
            either = tuple(map(predicate, terms))
            return lambda task: any(holds(task) for holds in either)


def contains(text: str, folded_needle: str) -> bool:
    """Whether the casefolded needle occurs in the text, ignoring case."""
    return folded_needle in text.casefold()


def kwargs_pair(kwargs_text: str | None, key: str, value: str) -> bool:
    """Whether the text of keyword arguments has exactly this pair, ignoring case.

    False if the text does not read as a dict, or if the value was cut. A value is compared by its text: a
    string as it is, bytes also decoded, anything else by its repr; None also goes by the empty text.
    """
    if not kwargs_text:
        return False
    wanted_key, wanted = key.casefold(), value.casefold()
    # Reading a literal is dear; without escapes a key that is there can be seen in the text.
    if "\\" not in kwargs_text and wanted_key not in kwargs_text.casefold():
        return False
    try:
        pairs = literal(kwargs_text)
    except ValueError:
        return False
    if not isinstance(pairs, dict):
        return False
    return any(
        any(text.casefold() == wanted for text in _spellings(item)) and is_whole(item)
        for name, item in pairs.items()
        if isinstance(name, str) and name.casefold() == wanted_key
    )


def field_value(task: AnyTask, field: Field) -> Any:
    """What the task holds in that field, in whatever shape; None if it is missing."""
    if type(task) is Task:
        return getattr(task, field.attribute)
    if isinstance(task, Mapping):
        value = task.get(field.attribute)
        return _worker_name(task.get("worker")) if value is None and field.name == "worker" else value
    if field.name == "worker":
        # Celery's `hostname` is the sender of the last event, which may be no worker.
        return _worker_name(task.worker if hasattr(task, "worker") else getattr(task, "hostname", None))
    value = getattr(task, field.attribute, None)
    return _worker_name(value) if field.name == "client" else value


def field_text(task: AnyTask, field: Field) -> str | None:
    """What `contains`, `is`, `equals` and `pair` look at: text as the event brought it; None if missing."""
    value = field_value(task, field)
    return value if value is None or type(value) is str else text_of(value)


def text_of(value: object) -> str:
    """A value that is no text any more: the text it was read from, if it kept that, else its repr."""
    text = value if isinstance(value, str) else getattr(value, "text", None)
    return text if isinstance(text, str) else repr(value)


def _worker_name(worker: Any) -> Any:
    if isinstance(worker, Mapping):
        return worker.get("hostname")
    return getattr(worker, "hostname", worker)


def _spellings(value: object) -> tuple[str, ...]:
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


def _term(term: Term) -> Predicate:
    if term.field == "" and term.operator == "contains" and isinstance(term.value, str):
        return _contains(FREE_TEXT, term.value)
    field = FIELDS.get(term.field)
    if field is None:
        raise Invalid(f"No search field is called '{term.field}'", hint=f"there are {', '.join(FIELDS)}")
    ordered = field.kind in ("number", "time")
    match term.operator, term.value:
        case "contains", str(value) if not ordered:
            return _contains((field,), value)
        case "is", str(value) if not ordered:
            return _is(field, value)
        case "equals", str(value) if not ordered:
            return lambda task: field_text(task, field) == value
        case "pair", (str(key), str(value)) if field.name == "kwargs":
            return lambda task: kwargs_pair(field_text(task, field), key, value)
        case "range", (low, high) if ordered and not isinstance(low, str) and not isinstance(high, str):
            return _range(field, low, high)
    raise Invalid(f"A search of the field '{field.name}' cannot be '{term.operator}' {term.value!r}")


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


def _range(field: Field, low: float | None, high: float | None) -> Predicate:
    least = float("-inf") if low is None else low
    most = float("inf") if high is None else high

    def holds(task: AnyTask) -> bool:
        value = field_value(task, field)
        return isinstance(value, int | float) and least <= value <= most

    return holds
