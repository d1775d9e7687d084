"""What an examination is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flower.reconcile.candidates import Reason
from flower.reconcile.cluster_view import ClusterView
from flower.records import Gap, Task


@dataclass(frozen=True, slots=True)
class QueueContents:
    """What is recorded about queues: by queue, the number of waiting tasks that are younger than those that were read,
    and when the youngest message was sent that was taken. `has_priorities`: queues are not first in, first out."""

    unread: Mapping[str, int] = field(default_factory=dict)
    youngest_taken: Mapping[str, float] = field(default_factory=dict)
    has_priorities: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What is examined: the tasks that are due with the reason for each, and all unfinished tasks that were read."""

    due: Mapping[str, Reason]
    tasks: Mapping[str, Task]
    contents: QueueContents
    view: ClusterView
    gaps: Sequence[Gap] = ()
    #: queues of the cluster
    queues: frozenset[str] = frozenset()

    def has_gap_since(self, moment: float | None) -> bool:
        """Whether events may have been missed after this moment. None = at any time."""
        return any(moment is None or gap.end is None or gap.end >= moment for gap in self.gaps)

    def has_lost_connection_since(self, moment: float | None) -> bool:
        """Whether the broker was unreachable after this moment."""
        return any(
            gap.cause == "broker_unreachable" and (moment is None or gap.end is None or gap.end >= moment)
            for gap in self.gaps
        )

    @property
    def due_tasks(self) -> list[Task]:
        return [self.tasks[uuid] for uuid in self.due]
