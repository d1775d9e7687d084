"""The last step of folding an event: time, data and whether anything changed."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from flower.records import Event, Task

#: Types of custom events of one task whose fields and times are kept separately, and fields of one type. The record of
#: a task is written again with each of its events, so that it must not grow without limit.
MAX_EVENT_TYPES: Final = 100
MAX_FIELDS: Final = 10_000
OTHER_TYPES: Final = "__other__"


def complete(task: Task, event: Event, changes: dict[str, Any]) -> Task:
    """The changed task; the same object if nothing changed."""
    after = replace(task, **changes)
    if after == task:
        return task
    newer: dict[str, Any] = {}
    if task.timestamp is None or event.timestamp >= task.timestamp:
        newer = {"timestamp": event.timestamp, "clock": task.clock if event.clock is None else event.clock}
    if event.data:
        newer["data"] = merge_data(task.data or {}, event)
    return replace(after, **newer)


def data_key(current: Mapping[str, object] | None, event_type: str) -> str:
    """The key of the type in `Task.data` and `Task.event_times`: further types of a task share one."""
    return event_type if not current or event_type in current or len(current) < MAX_EVENT_TYPES else OTHER_TYPES


def merge_data(current: dict[str, dict[str, Any]], event: Event) -> dict[str, dict[str, Any]]:
    key = data_key(current, event.type)
    fields = {**current.get(key, {}), **(event.data or {})}
    if len(fields) > MAX_FIELDS:
        # the newest names
        fields = dict(list(fields.items())[-MAX_FIELDS:])
    return {**current, key: fields}
