"""What happened after a number of the change sequence, with the tasks as they are now."""

from dataclasses import dataclass, field
from typing import Final

from flower.records import Task
from flower.store.protocols import Reader

#: Beyond so many touched tasks it is better to read everything again.
MAX_CHANGES: Final = 20_000
#: So many touched tasks are all looked at; of more than that only the newest ones.
MAX_COMPLETE_READ: Final = 2_000
PARTIAL_READ_SIZE: Final = 500
#: Characters of texts after which no more tasks are read in one step.
MAX_TEXT_LENGTH: Final = 32 << 20

#: No number is beyond it: `changes` after it tells how far the sequence has come, and nothing else.
_END_OF_SEQUENCE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """`tasks` are those that were looked at, None for one that is not there any more; the newest change comes last.
    `touched` counts all. With a `gap` nothing of this is known: the sentence says why."""

    sequence: int
    tasks: dict[str, Task | None] = field(default_factory=dict)
    changed: int = 0
    gap_reason: str = ""

    @property
    def omitted(self) -> int:
        return self.changed - len(self.tasks)


def read_latest_sequence(records: Reader) -> int:
    """How far the change sequence has come."""
    return records.changes(_END_OF_SEQUENCE).sequence


class ChangeReader:
    """Reads for one step: a task that several have not heard of yet is read once."""

    def __init__(self, records: Reader) -> None:
        self._records = records
        self._tasks: dict[str, Task | None] = {}
        self._text_length = 0

    def read_since(self, position: int) -> ChangeSet:
        found = self._records.changes(position)
        if not found.complete:
            return ChangeSet(found.sequence, gap_reason="The log of changes does not reach back that far")
        touched = len(found.uuids)
        if touched > MAX_CHANGES:
            return ChangeSet(found.sequence, gap_reason=f"Too much has happened: {touched:,} tasks have changed")
        some = found.uuids if touched <= MAX_COMPLETE_READ else found.uuids[-PARTIAL_READ_SIZE:]
        tasks: dict[str, Task | None] = {}
        for uuid in reversed(some):
            if uuid not in self._tasks and self._text_length > MAX_TEXT_LENGTH:
                break
            tasks[uuid] = self._read_task(uuid)
        return ChangeSet(found.sequence, dict(reversed(tasks.items())), touched)

    def _read_task(self, uuid: str) -> Task | None:
        if uuid not in self._tasks:
            task = self._tasks[uuid] = self._records.task(uuid)
            self._text_length += 0 if task is None else _get_text_length(task)
        return self._tasks[uuid]


def _get_text_length(task: Task) -> int:
    return sum(len(text or "") for text in (task.args, task.kwargs, task.result, task.exception, task.traceback))
