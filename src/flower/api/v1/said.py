"""What workers say of themselves, fit to be shown: settings without their secrets, and arguments of tasks as the text
that events tell them by, masked by the same rules."""

from collections.abc import Mapping
from typing import Any, Final

from flower.cluster.inspected import Kind
from flower.redaction import Redactor
from flower.redaction.configuration import masked_settings

_TASKS: Final = frozenset({"active", "reserved", "scheduled"})
#: Characters of a text of arguments; Celery's events cut theirs at about that.
_LONGEST: Final = 1_024


def fit(kind: Kind, value: Any, redactor: Redactor) -> Any:
    """The same for people: what is not of the form that Celery gives it is masked as a value."""
    if kind == "conf":
        return redactor.value(masked_settings(value)) if isinstance(value, Mapping) else redactor.value(value)
    if kind in _TASKS and isinstance(value, list):
        return [_task(each, redactor) for each in value]
    if kind == "stats" and isinstance(value, Mapping):
        return {key: _broker(item) if key == "broker" else item for key, item in value.items()}
    return value


def _task(task: Any, redactor: Redactor) -> Any:
    if not isinstance(task, Mapping):
        return redactor.value(task)
    if isinstance(task.get("request"), Mapping):  # one that waits for its time
        return {**task, "request": _task(task["request"], redactor)}
    args = _text(task.get("args"), redactor)
    return {
        **task,
        "args": None if args is None else redactor.placed(str(task.get("name") or ""), args),
        "kwargs": _text(task.get("kwargs"), redactor),
    }


def _text(value: Any, redactor: Redactor) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        text = redactor.text(value)
    else:
        kept = redactor.value(value)
        text = repr(tuple(kept)) if isinstance(kept, list) else repr(kept)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _broker(value: Any) -> Any:
    """Celery tells no password here; an address may hold one all the same."""
    return masked_settings(value) if isinstance(value, Mapping) else value
