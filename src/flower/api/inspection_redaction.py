"""Masks secrets in inspection replies of workers: settings, and arguments of tasks, which are converted to the text
form of events and masked by the same rules."""

from collections.abc import Mapping
from typing import Any, Final

from flower.cluster.inspection_cache import InspectKind
from flower.redaction import Redactor
from flower.redaction.settings import mask_settings

_TASK_KINDS: Final = frozenset({"active", "reserved", "scheduled"})
#: Characters of arguments as text; events are truncated by Celery at about this length.
_MAX_TEXT_LENGTH: Final = 1_024


def redact_inspection(kind: InspectKind, value: Any, redactor: Redactor) -> Any:
    """The reply with secrets masked. A reply that does not have the structure of Celery's replies is masked as a
    value."""
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
    if isinstance(task.get("request"), Mapping):  # a scheduled task
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
        masked = redactor.mask_value(value)
        text = repr(tuple(masked)) if isinstance(masked, list) else repr(masked)
    return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}..."


def _redact_broker(value: Any) -> Any:
    """Celery omits the password of the broker here, but a URL may contain one."""
    return mask_settings(value) if isinstance(value, Mapping) else value
