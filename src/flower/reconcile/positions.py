"""Where the broker has each task: its answer → `QueuePosition`, and what follows from it for the worker."""

from collections import defaultdict
from collections.abc import Mapping

from flower.reconcile.candidates import EXPIRY_MARGIN, parse_time
from flower.reconcile.cluster_view import ClusterView
from flower.reconcile.decisions import is_with_worker
from flower.reconcile.findings import BrokerAnswer, QueuePosition, WorkerCondition, WorkersAnswer
from flower.reconcile.queue_positions import QueuedTask, derive_positions
from flower.reconcile.request import Request
from flower.records import PENDING, RECEIVED, Task


class PositionFinder:
    """Finds positions. `acks_late` is the setting of the application, for types that no worker reported."""

    def __init__(self, *, acks_late: bool = False) -> None:
        self._acks_late = acks_late

    def find(
        self, request: Request, broker: BrokerAnswer, workers: WorkersAnswer | None
    ) -> Mapping[str, QueuePosition]:
        """The positions of the unfinished tasks; those that are missing are unknown."""
        has_ids = broker.shows_ids and (broker.unacknowledged is not None or bool(broker.seen_unacknowledged))
        if has_ids or any(reading.waiting is not None and reading.ready for reading in broker.queues.values()):
            return {task.uuid: self._position_by_id(task, request.view, broker) for task in request.due_tasks}
        if not broker.queues:
            return dict.fromkeys(request.due, "unavailable")
        return self._positions_by_count(request, broker, workers)

    def relevant_queues(self, request: Request) -> set[str]:
        """The queues that may have the tasks that are due."""
        queues: set[str] = set()
        for task in request.due_tasks:
            queues |= self._queues_of(task, request.view) or request.queues
        return queues

    def has_excess(self, request: Request, broker: BrokerAnswer) -> bool:
        """Whether a queue has fewer messages than tasks that wait in it, as recorded."""
        recorded: dict[str, int] = defaultdict(int, request.contents.unread)
        for task in request.tasks.values():
            if not is_with_worker(task) and task.queue is not None:
                recorded[task.queue] += 1
        return any((reading.ready or 0) < recorded[queue] for queue, reading in broker.queues.items())

    def condition(self, task: Task, view: ClusterView, broker: BrokerAnswer) -> WorkerCondition:
        """The condition of the task's worker. A silent worker whose queue has no consumer but the workers that
        answered has lost its connection: the broker has returned its messages."""
        condition = view.condition(task)
        queues = self._queues_of(task, view)
        if condition != "silent" or not queues:
            return condition
        for queue in queues:
            reading = broker.queues.get(queue)
            if reading is None or reading.consumers is None or reading.consumers > view.consumers(queue):
                return condition
        return "gone"

    def may_be_unlisted(self, task: Task, view: ClusterView) -> bool:
        """Whether the worker may have the task in its memory without listing it: types with a rate limit."""
        profile = view.profiles.get(task.hostname or "")
        if profile is None or profile.tasks is None or task.name is None:
            return True
        options = profile.tasks.get(task.name)
        return options is not None and options.rate_limit

    def has_expired(self, task: Task, request: Request, broker: BrokerAnswer) -> bool:
        """Whether the broker has dropped the message because it expired, and no gap can hide another end."""
        expires = parse_time(task.expires)
        if not broker.drops_expired or expires is None or task.sent is None or task.state != PENDING or task.earlier:
            return False
        has_expired = expires + EXPIRY_MARGIN < request.view.now
        return task.received is None and has_expired and not request.has_gap_since(task.sent)

    # --- Redis

    def _position_by_id(self, task: Task, view: ClusterView, broker: BrokerAnswer) -> QueuePosition:
        if task.uuid in broker.seen_waiting:
            return "waiting"
        if task.uuid in broker.seen_unacknowledged:
            return "unacknowledged"
        queues = self._queues_of(task, view) or broker.queues.keys()
        readings = [broker.queues.get(queue) for queue in queues]
        complete = all(reading is not None and reading.waiting is not None for reading in readings)
        return "absent" if complete and broker.unacknowledged is not None else "incomplete"

    # --- brokers that only count

    def _positions_by_count(
        self, request: Request, broker: BrokerAnswer, workers: WorkersAnswer | None
    ) -> Mapping[str, QueuePosition]:
        positions: dict[str, QueuePosition] = {}
        queued: dict[str, list[QueuedTask]] = defaultdict(list)
        for task in request.tasks.values():
            if workers is not None and task.uuid in workers.held:
                continue
            queues = self._queues_of(task, request.view)
            position = self._position_without_count(task, queues, request, broker, workers)
            if position is not None:
                positions[task.uuid] = position
                continue
            (queue,) = queues
            queued[queue].append(self._queued_task(task, request.view, broker))
        for queue, tasks in queued.items():
            reading = broker.queues.get(queue)
            if reading is None:
                continue  # not relevant to any task that is due
            if reading.ready is None:
                positions |= dict.fromkeys((task.uuid for task in tasks), "unavailable")
                continue
            positions |= derive_positions(
                reading.ready,
                tasks,
                younger=request.contents.unread.get(queue, 0),
                is_ordered=not request.contents.has_priorities,
            )
        return {
            # Its worker answered without it, and its message may be one of many in the queue.
            uuid: "unavailable"
            if position == "unknown" and request.view.condition(request.tasks[uuid]) == "answered"
            else position
            for uuid, position in positions.items()
        }

    def _position_without_count(
        self,
        task: Task,
        queues: frozenset[str],
        request: Request,
        broker: BrokerAnswer,
        workers: WorkersAnswer | None,
    ) -> QueuePosition | None:
        """The position if it does not depend on the number of messages; None = the message may be in the queue."""
        view = request.view
        condition = self.condition(task, view, broker)
        if condition == "no_answer" or (condition == "answered" and workers is None):
            return "unknown"
        if condition == "silent":
            # Its connection may still exist, and with it the delivery.
            return "unacknowledged" if self._is_unacknowledged(task, view) else "absent"
        if condition in ("gone", "answered") and not self._is_unacknowledged(task, view):
            return "absent"
        if condition == "answered" and task.state == RECEIVED and self.may_be_unlisted(task, view):
            return "unacknowledged"
        if condition == "none" and broker.has_delayed_messages:
            return "unknown"
        if len(queues) == 1:
            (queue,) = queues
            return "absent" if self._was_passed(task, queue, request) else None
        return self._position_in_any(queues or request.queues, broker, condition)

    def _position_in_any(
        self, queues: frozenset[str], broker: BrokerAnswer, condition: WorkerCondition
    ) -> QueuePosition:
        """The position of a task of which the queue is not known."""
        counts = [reading.ready for queue in queues if (reading := broker.queues.get(queue)) is not None]
        if counts and len(counts) == len(queues) and all(count == 0 for count in counts):
            return "absent"
        return "unavailable" if condition == "gone" else "unknown"

    def _was_passed(self, task: Task, queue: str, request: Request) -> bool:
        """Whether a younger message was taken from the queue, which is first in, first out."""
        taken = request.contents.youngest_taken.get(queue)
        if taken is None or task.sent is None or task.state != PENDING or task.earlier or task.received is not None:
            return False
        return not request.contents.has_priorities and taken > task.sent + request.view.clock_tolerance()

    def _queued_task(self, task: Task, view: ClusterView, broker: BrokerAnswer) -> QueuedTask:
        expires = parse_time(task.expires)
        has_expired = broker.drops_expired and expires is not None and expires < view.now + EXPIRY_MARGIN
        # A worker that answered and does not list the task has returned the message, or finished the task unobserved.
        certain = view.condition(task) != "answered" and not has_expired
        if task.sent is not None:
            return QueuedTask(task.uuid, task.sent, certain, task.client)
        return QueuedTask(task.uuid, task.received or task.timestamp, certain, task.hostname)

    def _is_unacknowledged(self, task: Task, view: ClusterView) -> bool:
        """Whether a worker that had the task had not acknowledged the message."""
        if task.state == RECEIVED:
            return True
        options = view.options(task.name)
        return self._acks_late if options is None else options.acks_late

    def _queues_of(self, task: Task, view: ClusterView) -> frozenset[str]:
        """The queues that may have the message; empty = not known."""
        if task.queue is not None:
            return frozenset({task.queue})
        return view.queues_of(task.hostname)
