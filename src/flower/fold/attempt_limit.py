"""Limit of the attempts of one task: an id that is sent again every minute, a message that is delivered repeatedly.

Folding an event takes time in proportion to the square of the number of attempts, and each event writes all of them."""

from typing import Final

from msgspec.structs import replace

from flower.records import Task

#: Maximum number of attempts of a task before the next event; the oldest ones are removed.
MAX_ATTEMPTS: Final = 100


def remove_oldest_attempts(task: Task) -> Task:
    """The task with at most MAX_ATTEMPTS attempts, as if the removed ones had never been; the same object if there are
    no more."""
    excess = len(task.earlier) + 1 - MAX_ATTEMPTS
    if excess <= 0:
        return task
    earlier = sorted(task.earlier, key=lambda attempt: attempt.number)
    position = next((index for index, each in enumerate(earlier) if each.number != index), len(earlier))
    kept, before_current = earlier[excess:], max(0, position - excess)
    run = task.run or 0
    first_run = min(run, *(attempt.run for attempt in kept))
    return replace(
        task,
        run=run - first_run or None,
        earlier=tuple(
            replace(attempt, number=index + (index >= before_current), run=attempt.run - first_run)
            for index, attempt in enumerate(kept)
        ),
    )
