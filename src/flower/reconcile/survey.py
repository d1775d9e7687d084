"""Reads the unfinished tasks for an examination."""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from flower.records import PENDING, RETRY, Task
from flower.search.conditions import CONDITIONS
from flower.search.tree import Node, Not, Term, all_of, any_of
from flower.store.protocols import Query, Reader, Sort

#: Tasks that a survey reads: with workers, and waiting ones, oldest first.
MAX_TASKS: Final = 20_000

WAITING: Final[Node] = any_of((Term("state", "is", PENDING), Term("state", "is", RETRY)))
_WITH_WORKER: Final = Query(all_of((CONDITIONS["unfinished"].node, Not(WAITING))), sort=())
_OLDEST_WAITING: Final = Query(WAITING, sort=(Sort("sent"),))


def survey_unfinished(reader: Reader) -> dict[str, Task]:
    """The unfinished tasks by id, without texts and relatives: those with a worker, and the oldest of those that
    wait."""
    tasks = {task.uuid: task for task in _without_details(reader.tasks(_WITH_WORKER, limit=MAX_TASKS))}
    tasks |= {task.uuid: task for task in _without_details(reader.tasks(_OLDEST_WAITING, limit=MAX_TASKS))}
    return tasks


def _without_details(tasks: Iterable[Task]) -> Iterator[Task]:
    """The tasks without what no decision needs: with arguments and tracebacks, forty thousand of them need more memory
    than everything else in the process of the recorder."""
    for task in tasks:
        yield replace(
            task,
            root_id=None,
            parent_id=None,
            args=None,
            kwargs=None,
            result=None,
            exception=None,
            traceback=None,
            earlier=tuple(replace(attempt, exception=None, traceback=None) for attempt in task.earlier),
        )
