"""Which tasks belong to a workflow: a re-run sends the task alone, without the steps that followed it."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from flower.records import Task
from flower.store.protocols import Reader

#: Tasks whose children are looked up together.
_BATCH_SIZE: Final = 500


def find_workflow_root(store: Reader, task: Task) -> str | None:
    """Id of the root of the workflow that the task belongs to; None if it has neither parent nor children. The first
    step of a chain that failed before it sent the next one cannot be distinguished from a single task."""
    root = _named_root(task)
    if root is None and store.children([task.uuid]):
        return task.uuid
    return root


def count_workflow_members(store: Reader, tasks: Iterable[Task]) -> int:
    """Number of the tasks that belong to a workflow."""
    count = 0
    remaining = iter(tasks)
    while batch := list(islice(remaining, _BATCH_SIZE)):
        alone = [task.uuid for task in batch if _named_root(task) is None]
        count += len(batch) - len(alone) + len(store.children(alone))
    return count


def _named_root(task: Task) -> str | None:
    return next((uuid for uuid in (task.root_id, task.parent_id) if uuid is not None and uuid != task.uuid), None)
