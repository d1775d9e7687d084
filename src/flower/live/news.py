"""What happened after a number of the change sequence, with the tasks as they are now."""

from dataclasses import dataclass, field
from typing import Final

from flower.records import Task
from flower.store.port import Reader

#: Beyond so many touched tasks it is better to read everything again.
TOO_MANY: Final = 20_000
#: So many touched tasks are all looked at; of more than that only the newest ones.
READ_ALL: Final = 2_000
READ_SOME: Final = 500
#: Characters of texts after which no more tasks are read in one step.
READ_TEXT: Final = 32 << 20

#: No number is beyond it: `changes` after it tells how far the sequence has come, and nothing else.
_BEYOND: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class News:
    """`tasks` are those that were looked at, None for one that is not there any more; the newest change comes last.
    `touched` counts all. With a `gap` nothing of this is known: the sentence says why."""

    sequence: int
    tasks: dict[str, Task | None] = field(default_factory=dict)
    touched: int = 0
    gap: str = ""

    @property
    def unread(self) -> int:
        return self.touched - len(self.tasks)


def newest(records: Reader) -> int:
    """How far the change sequence has come."""
    return records.changes(_BEYOND).sequence


class NewsReader:
    """Reads for one step: a task that several have not heard of yet is read once."""

    def __init__(self, records: Reader) -> None:
        self._records = records
        self._read: dict[str, Task | None] = {}
        self._text = 0

    def after(self, position: int) -> News:
        found = self._records.changes(position)
        if not found.complete:
            return News(found.sequence, gap="The log of changes does not reach back that far")
        touched = len(found.uuids)
        if touched > TOO_MANY:
            return News(found.sequence, gap=f"Too much has happened: {touched:,} tasks have changed")
        some = found.uuids if touched <= READ_ALL else found.uuids[-READ_SOME:]
        tasks: dict[str, Task | None] = {}
        for uuid in reversed(some):
            if uuid not in self._read and self._text > READ_TEXT:
                break
            tasks[uuid] = self._task(uuid)
        return News(found.sequence, dict(reversed(tasks.items())), touched)

    def _task(self, uuid: str) -> Task | None:
        if uuid not in self._read:
            task = self._read[uuid] = self._records.task(uuid)
            self._text += 0 if task is None else _length(task)
        return self._read[uuid]


def _length(task: Task) -> int:
    return sum(len(text or "") for text in (task.args, task.kwargs, task.result, task.exception, task.traceback))
