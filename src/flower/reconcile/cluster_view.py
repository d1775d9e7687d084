"""The workers, as known from the store and from their answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from flower.reconcile.decisions import is_with_worker
from flower.reconcile.findings import WorkerCondition, WorkersAnswer
from flower.records import Task, Worker

#: Heartbeat interval of Celery, in seconds, of a worker that has not sent any.
DEFAULT_FREQ = 2.0

#: Seconds after which two workers that shared a node name count as one again.
DUPLICATE_MEMORY = 300.0

#: Seconds that clocks may differ without being measured.
MIN_CLOCK_TOLERANCE = 5.0


class WorkerProfile(msgspec.Struct, frozen=True):
    """What a worker answered about itself. `tasks` maps task types to their options, `queues` are those it consumes;
    None = not answered."""

    hostname: str
    answered_at: float
    pid: int | None = None
    pool: str | None = None
    prefetch: int | None = None
    queues: frozenset[str] | None = None
    tasks: Mapping[str, "TaskOptions"] | None = None


class TaskOptions(msgspec.Struct, frozen=True):
    """Options of a task type at a worker."""

    rate_limit: bool = False
    acks_late: bool = False
    time_limit: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The workers at one moment."""

    now: float
    workers: Mapping[str, Worker] = field(default_factory=dict)
    profiles: Mapping[str, WorkerProfile] = field(default_factory=dict)
    answer: WorkersAnswer | None = None

    @property
    def answered(self) -> frozenset[str]:
        return self.answer.answered if self.answer is not None else frozenset()

    def is_heard(self, hostname: str) -> bool:
        """Whether the worker sent an event or an answer within two heartbeat intervals, and did not go offline."""
        worker = self.workers.get(hostname)
        if worker is None:
            return False
        heard_at = last_sign(worker)
        return worker.online and heard_at is not None and self.now - heard_at <= 2 * (worker.freq or DEFAULT_FREQ)

    def heard_workers(self) -> list[str]:
        return [name for name in self.workers if self.is_heard(name)]

    def unanswered(self) -> frozenset[str]:
        """Workers that are alive and did not answer completely, so that they may have any task."""
        alive = set(self.heard_workers())
        if self.answer is not None:
            alive |= self.answer.alive
        shared = {name for name in alive if self._is_shared(name)}
        return frozenset((alive - self.answered) | shared)

    def condition(self, task: Task) -> WorkerCondition:
        """The condition of the worker that the record names."""
        hostname = task.hostname
        if hostname is None or not is_with_worker(task):
            return "none"
        worker = self.workers.get(hostname)
        if self._is_shared(hostname):
            return "no_answer"
        if worker is not None and self._is_earlier_incarnation(task, worker):
            return "gone"
        if hostname in self.answered:
            return "answered"
        if self.answer is not None and hostname in self.answer.alive:
            return "no_answer"
        if worker is not None and not worker.online:
            return "gone"
        return "no_answer" if self.is_heard(hostname) else "silent"

    def options(self, name: str | None) -> TaskOptions | None:
        """The options of a task type; None if no worker has reported them."""
        if name is None:
            return None
        reported = [
            options
            for profile in self.profiles.values()
            if profile.tasks is not None and (options := profile.tasks.get(name)) is not None
        ]
        if not reported:
            return None
        return TaskOptions(
            rate_limit=any(options.rate_limit for options in reported),
            acks_late=any(options.acks_late for options in reported),
            time_limit=max((options.time_limit for options in reported if options.time_limit), default=None),
        )

    def consumers(self, queue: str) -> int:
        """The number of workers that answered this time and consume the queue."""
        return sum(
            1
            for name in self.answered
            if (profile := self.profiles.get(name)) is not None and queue in (profile.queues or ())
        )

    def queues_of(self, hostname: str | None) -> frozenset[str]:
        profile = self.profiles.get(hostname or "")
        return (profile.queues or frozenset()) if profile is not None else frozenset()

    def clock_tolerance(self) -> float:
        """Seconds by which times of different clocks in this cluster may differ."""
        offsets = (abs(worker.clock_offset) for worker in self.workers.values() if worker.clock_offset is not None)
        return max(MIN_CLOCK_TOLERANCE, *offsets, 0.0)

    def _is_shared(self, hostname: str) -> bool:
        """Whether two workers have this node name: then an answer proves nothing about the other."""
        worker = self.workers.get(hostname)
        duplicate_at = worker.duplicate_at if worker is not None else None
        return duplicate_at is not None and self.now - duplicate_at < DUPLICATE_MEMORY

    def _is_earlier_incarnation(self, task: Task, worker: Worker) -> bool:
        """Whether the worker was restarted after it had received the task."""
        if task.pid is not None and worker.pid is not None and task.pid != worker.pid:
            return True
        times = [at for at in (task.received, task.started) if at is not None]
        return worker.since is not None and bool(times) and max(times) < worker.since


def last_sign(worker: Worker) -> float | None:
    """The time of the last event or answer of the worker, by the clock of the recorder."""
    signs = (worker.heartbeat, worker.answered_at, worker.seen_at)
    return max((at for at in signs if at is not None), default=None)
