"""Detects workers that run tasks and send no task events: heartbeats count the tasks that a worker has started.

This needs no reply of the worker, so it also finds workers that execute no commands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flower.recorder_status import NoEventsCause, WorkerWithoutEvents
from flower.records import Event

#: Seconds from the first event of a worker in which its task events may be enabled.
SETTLING_TIME: Final = 30.0
#: Seconds in which the events of a counted task arrive: workers buffer them.
EVENT_DELAY: Final = 10.0
#: Seconds without a heartbeat after which a worker is no longer reported.
_REPORT_TIMEOUT: Final = 60.0
_MAX_WORKERS: Final = 10_000
_WORKER_EVENTS: Final = frozenset({"worker-online", "worker-heartbeat"})


@dataclass(slots=True)
class _Count:
    """A worker since its last task event. Times are those of receipt."""

    #: number of tasks in the first and in the last heartbeat
    baseline: int
    processed: int
    last_at: float
    #: when a heartbeat first counted more
    since: float | None = None


class TaskEventMonitor:
    """For one thread."""

    def __init__(self) -> None:
        #: by worker: process id, and receipt of its first event
        self._processes: dict[str, tuple[int | None, float]] = {}
        self._counts: dict[str, _Count] = {}

    def add(self, events: Iterable[Event], received: float) -> None:
        """Events in the order of their receipt."""
        counts = self._counts
        for event in events:
            name = event.hostname
            if event.uuid is not None:
                if name in counts and event.type != "task-sent":
                    del counts[name]
            elif name is not None and event.type in _WORKER_EVENTS:
                self._add_heartbeat(name, event, received)

    def reset(self, worker: str | None = None) -> None:
        """Events were missed, of this worker or of all, or have been enabled: count from the next heartbeat."""
        if worker is None:
            self._counts.clear()
        else:
            self._counts.pop(worker, None)

    def find_workers(self, now: float, cause: NoEventsCause) -> list[WorkerWithoutEvents]:
        """The workers that started tasks and sent no task event since, by name."""
        return [
            WorkerWithoutEvents(name, each.since, cause, each.processed - each.baseline)
            for name, each in sorted(self._counts.items())
            if each.since is not None and now - each.since > EVENT_DELAY and now - each.last_at < _REPORT_TIMEOUT
        ]

    def _add_heartbeat(self, name: str, event: Event, received: float) -> None:
        known = self._processes.get(name)
        if known is None or event.type == "worker-online" or known[0] != event.pid:
            self._add_process(name, event.pid, received)
            return
        if received - known[1] < SETTLING_TIME or event.processed is None:
            return
        count = self._counts.get(name)
        if count is None or event.processed < count.processed:
            self._counts[name] = _Count(event.processed, event.processed, received)
            return
        count.processed, count.last_at = event.processed, received
        if count.since is None and count.processed > count.baseline:
            count.since = received

    def _add_process(self, name: str, pid: int | None, received: float) -> None:
        self._remove(name)
        self._processes[name] = (pid, received)
        while len(self._processes) > _MAX_WORKERS:
            self._remove(next(iter(self._processes)))

    def _remove(self, name: str) -> None:
        self._processes.pop(name, None)
        self._counts.pop(name, None)
