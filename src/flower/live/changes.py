"""Reads the change log: the tasks that changed after a number of the change sequence, in their current state."""

from dataclasses import dataclass, field
from typing import Final

from flower.records import Task
from flower.store.protocols import Reader

#: With more changed tasks than this, the client must reload.
MAX_CHANGES: Final = 20_000
#: Up to this number, all changed tasks are read; of more, only the newest `PARTIAL_READ_SIZE`.
MAX_COMPLETE_READ: Final = 2_000
PARTIAL_READ_SIZE: Final = 500
#: Characters of text after which no more tasks are read in one step.
MAX_TEXT_LENGTH: Final = 32 << 20

#: Greater than any sequence number: `changes` after it returns the latest sequence number and nothing else.
_END_OF_SEQUENCE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """`tasks` are those that were read, None for a task that is no longer stored; the newest change is last. `changed`
    is the number of all changed tasks. If `gap_reason` is set, the changes are unknown and the client must reload."""

    sequence: int
    tasks: dict[str, Task | None] = field(default_factory=dict)
    changed: int = 0
    gap_reason: str = ""

    @property
    def omitted(self) -> int:
        """Number of changed tasks that were not read."""
        return self.changed - len(self.tasks)


def read_latest_sequence(reader: Reader) -> int:
    """The latest number of the change sequence."""
    return reader.changes(_END_OF_SEQUENCE).sequence


class ChangeReader:
    """Reads for one step of the hub. A task that several subscribers need is read once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._tasks: dict[str, Task | None] = {}
        self._text_length = 0

    def read_since(self, position: int) -> ChangeSet:
        changes = self._reader.changes(position)
        if not changes.complete:
            return ChangeSet(changes.sequence, gap_reason="The change log does not reach back to this position")
        changed = len(changes.uuids)
        if changed > MAX_CHANGES:
            return ChangeSet(changes.sequence, gap_reason=f"Too many changes: {changed:,} tasks")
        uuids = changes.uuids if changed <= MAX_COMPLETE_READ else changes.uuids[-PARTIAL_READ_SIZE:]
        tasks: dict[str, Task | None] = {}
        for uuid in reversed(uuids):
            if uuid not in self._tasks and self._text_length > MAX_TEXT_LENGTH:
                break
            tasks[uuid] = self._read_task(uuid)
        return ChangeSet(changes.sequence, dict(reversed(tasks.items())), changed)

    def _read_task(self, uuid: str) -> Task | None:
        if uuid not in self._tasks:
            task = self._tasks[uuid] = self._reader.task(uuid)
            self._text_length += 0 if task is None else task.text_length
        return self._tasks[uuid]
