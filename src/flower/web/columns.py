"""The columns of the tasks page, by the words of the option `tasks_columns`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flower.records import Task

Kind = Literal["name", "uuid", "state", "worker", "time", "duration", "number", "text"]


@dataclass(frozen=True, slots=True)
class PageColumn:
    slug: str
    label: str
    kind: Kind
    attribute: str

    @property
    def is_number(self) -> bool:
        return self.kind in ("time", "duration", "number")

    def value(self, task: Task) -> object:
        return getattr(task, self.attribute)


def _column(slug: str, label: str, kind: Kind, attribute: str = "") -> PageColumn:
    return PageColumn(slug, label, kind, attribute or slug)


COLUMNS: Mapping[str, PageColumn] = {
    column.slug: column
    for column in (
        _column("name", "Name", "name"),
        _column("uuid", "UUID", "uuid"),
        _column("state", "State", "state"),
        _column("args", "args", "text"),
        _column("kwargs", "kwargs", "text"),
        _column("result", "Result", "text"),
        _column("received", "Received", "time"),
        _column("started", "Started", "time"),
        _column("runtime", "Runtime", "duration"),
        _column("worker", "Worker", "worker", "hostname"),
        _column("exchange", "Exchange", "text"),
        _column("routing_key", "Routing Key", "text"),
        _column("retries", "Retries", "number"),
        _column("revoked", "Revoked", "time"),
        _column("exception", "Exception", "text"),
        _column("expires", "Expires", "text"),
        _column("eta", "ETA", "text"),
        _column("queue", "Queue", "text"),
    )
}


def columns_of(option: str) -> tuple[PageColumn, ...]:
    """In the order of the option; words that name no column are left out."""
    words = dict.fromkeys(word.strip().lower() for word in option.split(","))
    return tuple(COLUMNS[word] for word in words if word in COLUMNS)
