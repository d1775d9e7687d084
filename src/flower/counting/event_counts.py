"""What is to be counted of one task, or of workers, in the next write.

Nearly all events are ordinary steps: then the number of the sequence of their types is sufficient, because the record
contains everything else. All tasks with the same sequence share one object. Other events are recorded one by one.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from flower.records import Event, Task

#: Sender, event type, task.
CountKey: TypeAlias = tuple[str | None, str, str | None]

#: Sender and task, as in the events.
WorkerTask: TypeAlias = tuple[str | None, str | None]


class EventCounts:
    """Counts of events that are not written yet: of one task, or of workers."""

    __slots__ = ("backoffs", "events", "runtimes", "waits")

    def __init__(self) -> None:
        self.events: list[CountKey] = []
        #: runtimes, with the worker and task
        self.runtimes: list[tuple[WorkerTask, float]] | None = None
        #: how long the task waited, with its name
        self.waits: list[tuple[str | None, float]] | None = None
        #: time from a retry to the next start, with the name of the task
        self.backoffs: list[tuple[str | None, float]] | None = None

    def add(self, event: Event, task: Task) -> None:
        """Count an event that changed the task into this."""
        name = event.name or task.name
        self.events.append((event.hostname, event.type, name))
        if event.runtime:
            self._add_runtime((event.hostname, name), event.runtime)
        elif event.type == "task-started":
            self._add_start(event, task)

    def add_worker_event(self, event: Event) -> None:
        """Count an event of a worker. It belongs to no task type."""
        self.events.append((event.hostname, event.type, None))

    def add_sequence(self, sequence: "EventSequence", task: Task) -> None:
        """Count the events of this sequence, the last of which changed the task into this."""
        name = task.name
        if sequence.is_sent:
            self.events.append((task.client, "task-sent", name))
        self.events += [(task.hostname, event_type, name) for event_type in sequence.worker_types]
        if sequence.has_end and task.runtime:
            self._add_runtime((task.hostname, name), task.runtime)
        if sequence.has_start and (wait := find_wait(task)) is not None:
            self._add_wait(name, wait)

    def _add_start(self, event: Event, task: Task) -> None:
        started = task.first_started if task.earlier else task.started
        if started == event.timestamp and (wait := find_wait(task)) is not None:
            self._add_wait(task.name, wait)
        backoff = task.backoff_before(event.timestamp) if task.earlier else None
        if backoff is not None:
            if self.backoffs is None:
                self.backoffs = []
            self.backoffs.append((task.name, backoff))

    def _add_runtime(self, key: WorkerTask, runtime: float) -> None:
        if self.runtimes is None:
            self.runtimes = []
        self.runtimes.append((key, runtime))

    def _add_wait(self, name: str | None, wait: float) -> None:
        if self.waits is None:
            self.waits = []
        self.waits.append((name, wait))


class EventSequence:
    """Types of consecutive ordinary events of a task. `then` returns the same object for the same types, so that two
    sequences are equal only if they are identical."""

    __slots__ = ("_longer", "has_end", "has_start", "is_sent", "worker_types")

    def __init__(self, types: tuple[str, ...] = ()) -> None:
        self._longer: dict[str, EventSequence] = {}
        #: whether it begins with `task-sent`, the only one of these events that a client sends
        self.is_sent = types[:1] == ("task-sent",)
        self.worker_types = types[1:] if self.is_sent else types
        self.has_start = "task-started" in types
        #: whether it contains the only event with a runtime
        self.has_end = "task-succeeded" in types

    def then(self, event_type: str) -> "EventSequence":
        """This sequence and an event of this type."""
        longer = self._longer.get(event_type)
        if longer is None:
            types = ("task-sent", *self.worker_types) if self.is_sent else self.worker_types
            longer = self._longer[event_type] = EventSequence((*types, event_type))
        return longer


#: What is to be counted of one task.
TaskCounts: TypeAlias = EventCounts | EventSequence

_NO_EVENTS: Final = EventSequence()


def find_sequence(types: Iterable[str]) -> EventSequence:
    """The sequence of these types."""
    sequence = _NO_EVENTS
    for event_type in types:
        sequence = sequence.then(event_type)
    return sequence


def count_step(counts: TaskCounts | None, before: Task | None, event: Event, task: Task) -> TaskCounts:
    """The counts with an ordinary event, which changed the record from `before` into `task`: one that no clock offset
    concerns."""
    name = task.name
    # The record after the next write must still show the sender, the name and the duration of each event.
    if (
        not task.earlier
        and (event.name is None or event.name == name)
        and (event.runtime is None or event.type == "task-succeeded")
    ):
        if counts is None:
            return _NO_EVENTS.then(event.type)
        if (
            isinstance(counts, EventSequence)
            and before is not None
            and before.name == name
            and (before.hostname is not None or not counts.worker_types)
        ):
            return counts.then(event.type)
    return count_event(counts, before, event, task)


def count_event(counts: TaskCounts | None, before: Task | None, event: Event, task: Task) -> EventCounts:
    """The counts with any event, which changed the record from `before` into `task`."""
    single = expand_counts(counts, before) or EventCounts()
    single.add(event, task)
    return single


def expand_counts(counts: TaskCounts | None, task: Task | None) -> EventCounts | None:
    """The counts in a form that does not depend on the present record, which is about to be changed."""
    if not isinstance(counts, EventSequence):
        return counts
    assert task is not None  # an event of the sequence created it
    single = EventCounts()
    single.add_sequence(counts, task)
    return single


def find_wait(task: Task) -> float | None:
    """Seconds from sent to the first start. None if that is not known, or if the task was not to start immediately."""
    return None if task.eta is not None else task.wait
