"""One examination: query broker, workers and result backend about some tasks, in this order, and decide.

The order is that of a message: from the queue to a worker to the result backend. A task that moves on meanwhile is
found by the next query.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from kombu.connection import Connection

from flower.reconcile.broker import BrokerSource
from flower.reconcile.candidates import Reason
from flower.reconcile.cluster_view import ClusterView
from flower.reconcile.decisions import Verdict, decide, is_with_worker
from flower.reconcile.findings import BackendCondition, BrokerAnswer, Findings, StoredResult, WorkersAnswer
from flower.reconcile.inspection import WorkerInspector
from flower.reconcile.positions import PositionFinder
from flower.reconcile.request import Request
from flower.reconcile.results import MonitoredResults
from flower.reconcile.results.entry_parser import ENDED_STATES
from flower.records import RECEIVED, RETRY, Task

#: Seconds that the end of a run must be after that of the previous run with the same id to belong to the current one.
RUN_TOLERANCE: Final = 1.0


#: Seconds of failed queries after which tasks are decided without the result backend: an outage must not leave tasks
#: that ended as running. Once it answers, it corrects them.
BACKEND_PATIENCE: Final = 20.0


class Decision(NamedTuple):
    task: Task
    verdict: Verdict | None


@dataclass(slots=True)
class Result:
    """The decisions, and what the workers answered; None = they were not inspected."""

    decisions: list[Decision] = field(default_factory=list)
    workers: WorkersAnswer | None = None


class Examiner:
    """Examines tasks with the sources that are passed in. `results` is None without a readable result backend."""

    def __init__(
        self,
        broker: BrokerSource,
        inspector: WorkerInspector,
        results: MonitoredResults | None,
        positions: PositionFinder,
        stopping: Callable[[], bool],
        backend_patience: float = BACKEND_PATIENCE,
    ) -> None:
        self._broker, self._inspector, self._results = broker, inspector, results
        self._positions = positions
        self._stopping = stopping
        self._backend_patience = backend_patience

    def examine(self, connection: Connection, request: Request, skipped_workers: frozenset[str]) -> Result:
        """Query the sources and decide. Raises what the transport raises; an unreachable result backend only makes
        tasks undecided."""
        broker = self._read_broker(connection, request)
        view = request.view
        settled = self._find_settled(request, broker)
        open_tasks = [task for task in request.due_tasks if task.uuid not in settled]
        workers = None
        if open_tasks:
            workers = self._inspect(connection, view, open_tasks, skipped_workers)
            view = replace(view, answer=workers)
        condition, results = self._fetch_results([task.uuid for task in open_tasks])
        placed = self._positions.find(replace(request, view=view), broker, workers)
        decisions = [Decision(task, None) for task in request.due_tasks if task.uuid in settled]
        for task in open_tasks:
            findings = self._gather(task, request, view, workers, broker, condition, results, placed)
            decisions.append(Decision(task, decide(task, findings, time.time())))
        return Result(decisions, workers)

    # --- sources

    def _read_broker(self, connection: Connection, request: Request) -> BrokerAnswer:
        queues = self._positions.relevant_queues(request)
        read_ids = any(_needs_ids(task, request.due[task.uuid]) for task in request.due_tasks)
        answer = self._broker.read(connection, queues, read_ids=read_ids)
        if answer.shows_ids and not read_ids and self._positions.has_excess(request, answer):
            answer = self._broker.read(connection, queues, read_ids=True)
        return answer

    def _inspect(
        self, connection: Connection, view: ClusterView, tasks: Sequence[Task], skipped: frozenset[str]
    ) -> WorkersAnswer:
        heard = set(view.heard_workers()) - skipped
        silent = {
            task.hostname
            for task in tasks
            if task.hostname and is_with_worker(task) and view.condition(task) == "silent"
        }
        return self._inspector.inspect_tasks(connection, heard, silent, skipped)

    def _fetch_results(self, uuids: Sequence[str]) -> tuple[BackendCondition, dict[str, StoredResult]]:
        if self._results is None:
            return "none", {}
        if not uuids:
            return "answered", {}
        results: dict[str, StoredResult] = {}
        try:
            for start in range(0, len(uuids), self._results.batch_size):
                if self._stopping():
                    return "failed", {}
                results |= self._results.fetch(uuids[start : start + self._results.batch_size])
        except Exception:  # noqa: BLE001  each client library has its own errors
            failed_at = self._results.failed_at
            is_recent = failed_at is None or time.time() - failed_at < self._backend_patience
            return "failed" if is_recent else "unreachable", results
        return "answered", results

    # --- findings

    def _find_settled(self, request: Request, broker: BrokerAnswer) -> set[str]:
        """Tasks that certainly wait in their queue, as recorded: no other source is queried about them."""
        plain = [
            task
            for task in request.due_tasks
            if request.due[task.uuid] == "periodic" and task.lost is None and not is_with_worker(task)
        ]
        if not plain:
            return set()
        placed = self._positions.find(request, broker, None)
        return {task.uuid for task in plain if placed.get(task.uuid) == "waiting"}

    def _gather(
        self,
        task: Task,
        request: Request,
        view: ClusterView,
        workers: WorkersAnswer | None,
        broker: BrokerAnswer,
        backend: BackendCondition,
        results: Mapping[str, StoredResult],
        placed: Mapping[str, object],
    ) -> Findings:
        result = results.get(task.uuid)
        queried = ["workers"] if workers is not None else []
        queried += ["result backend"] if backend == "answered" else []
        queried += ["queue"] if broker.queues else []
        return Findings(
            worker=self._positions.condition(task, view, broker),
            held=workers.held.get(task.uuid) if workers is not None else None,
            unanswered=self._unanswered(task, request, view, broker),
            position=placed.get(task.uuid, "unknown"),  # type: ignore[arg-type]
            position_at=broker.observed_at,
            backend=backend,
            result=result if result is not None and is_end_of_run(result, task, view.clock_tolerance()) else None,
            may_be_unlisted=self._positions.may_be_unlisted(task, view),
            may_have_dropped=request.has_lost_connection_since(task.received),
            has_expired=self._positions.has_expired(task, request, broker),
            queried=tuple(queried),
        )

    def _unanswered(self, task: Task, request: Request, view: ClusterView, broker: BrokerAnswer) -> tuple[str, ...]:
        """Workers that may have the task without an answer that shows it."""
        if broker.unacknowledged is not None and not request.has_gap_since(task.sent or task.received):
            # The ids of all prefetched messages are known, and a worker that had started the task has reported it.
            return ()
        names = []
        for name in sorted(view.unanswered()):
            queues = view.queues_of(name)
            if task.queue is None or not queues or task.queue in queues:
                names.append(name)
        return tuple(names)


def _needs_ids(task: Task, reason: Reason) -> bool:
    """Whether the number of messages is not sufficient for this task."""
    return task.lost is not None or reason not in ("periodic", "overdue") or task.state == RECEIVED


def is_end_of_run(result: StoredResult, task: Task, tolerance: float) -> bool:
    """Whether the result is the end of the current run of the task, not that of an earlier run with the same id.
    `tolerance` is in seconds, for the difference of clocks."""
    if result.state not in ENDED_STATES:
        return False
    run = task.run or 0
    previous_ends = [each.ended for each in task.earlier if each.run < run and each.ended is not None]
    if run and (result.ended is None or not previous_ends):
        return False
    if result.ended is None:
        return True
    if previous_ends and result.ended <= max(previous_ends) + RUN_TOLERANCE:
        return False
    times = [at for each in task.attempts if each.run == run for at in (each.received, each.started) if at is not None]
    # After a retry, `sent` is the time of the last message.
    if task.sent is not None and task.state != RETRY and not task.earlier:
        times.append(task.sent)
    return not times or result.ended >= min(times) - tolerance
