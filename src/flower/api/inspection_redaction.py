"""What workers say of themselves, fit to be shown: settings without their secrets, and arguments of tasks as the text
that events tell them by, masked by the same rules."""

from collections.abc import Mapping
from typing import Any, Final

from flower.cluster.inspection_cache import InspectKind
from flower.redaction import Redactor
from flower.redaction.settings import mask_settings

_TASK_KINDS: Final = frozenset({"active", "reserved", "scheduled"})
#: Characters of a text of arguments; Celery's events cut theirs at about that.
_MAX_TEXT: Final = 1_024


def redact_inspection(kind: InspectKind, value: Any, redactor: Redactor) -> Any:
    """The same for people: what is not of the form that Celery gives it is masked as a value."""
    if kind == "conf":
        return redactor.mask_value(mask_settings(value)) if isinstance(value, Mapping) else redactor.mask_value(value)
    if kind in _TASK_KINDS and isinstance(value, list):
        return [_redact_task(each, redactor) for each in value]
    if kind == "stats" and isinstance(value, Mapping):
        return {key: _redact_broker(item) if key == "broker" else item for key, item in value.items()}
    return value


def _redact_task(task: Any, redactor: Redactor) -> Any:
    if not isinstance(task, Mapping):
        return redactor.mask_value(task)
    if isinstance(task.get("request"), Mapping):  # one that waits for its time
        return {**task, "request": _redact_task(task["request"], redactor)}
    args = _redact_arguments(task.get("args"), redactor)
    return {
        **task,
        "args": None if args is None else redactor.mask_positions(str(task.get("name") or ""), args),
        "kwargs": _redact_arguments(task.get("kwargs"), redactor),
    }


def _redact_arguments(value: Any, redactor: Redactor) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        text = redactor.mask_text(value)
    else:
        kept = redactor.mask_value(value)
        text = repr(tuple(kept)) if isinstance(kept, list) else repr(kept)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def _redact_broker(value: Any) -> Any:
    """Celery tells no password here; an address may hold one all the same."""
    return mask_settings(value) if isinstance(value, Mapping) else value
