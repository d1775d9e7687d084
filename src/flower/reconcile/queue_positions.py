"""Positions of tasks in a queue of which only the number of ready messages is known.

A queue is first in, first out: of the tasks that may be in it, the youngest are, and the oldest have left it (taken,
purged or expired). Messages of tasks that are not recorded make the result more cautious: more tasks count as waiting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flower.reconcile.findings import QueuePosition

#: Seconds by which the times of two senders must differ before they prove an order.
ORDER_TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A task that may be in the queue. `is_certain` is False if its worker may have acknowledged the message."""

    uuid: str
    #: sent, or else received; None = not known
    queued_at: float | None
    is_certain: bool = True
    #: whose clock `queued_at` is
    clock: str | None = None


def derive_positions(
    ready: int, tasks: Iterable[QueuedTask], *, younger: int = 0, is_ordered: bool = True
) -> Mapping[str, QueuePosition]:
    """The position of each task: waiting, absent or unknown. `tasks` and `younger` other tasks, which were queued after
    them, are all that may be in the queue. A queue with priorities is not ordered."""
    queued = sorted(tasks, key=lambda task: task.queued_at or 0.0)
    if ready == 0:
        return {task.uuid: "absent" for task in queued}
    excess = len(queued) + younger - ready
    if excess <= 0:
        return {task.uuid: "waiting" if task.is_certain else "unknown" for task in queued}
    if not is_ordered or any(not task.is_certain for task in queued[excess:]):
        # One of the younger tasks may not be in the queue, and then an older one is.
        return {task.uuid: "unknown" for task in queued}
    left, remaining = queued[:excess], queued[excess:]
    positions: dict[str, QueuePosition] = {}
    for task in left:
        positions[task.uuid] = "absent" if not remaining or _precedes(task, remaining[0]) else "unknown"
    for task in remaining:
        positions[task.uuid] = "waiting" if _precedes(left[-1], task) else "unknown"
    return positions


def _precedes(first: QueuedTask, second: QueuedTask) -> bool:
    """Whether `first` was certainly queued before `second`."""
    if first.queued_at is None or second.queued_at is None:
        return False
    difference = second.queued_at - first.queued_at
    return difference > 0 if first.clock is not None and first.clock == second.clock else difference > ORDER_TOLERANCE
