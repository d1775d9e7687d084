"""The reconciler: a thread in the recorder's process that examines unfinished tasks and passes evidence to the
recorder.

It reads the store as every other reader does, has its own connections, and never waits for the recorder, nor the
recorder for it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from celery import Celery
from kombu.connection import Connection

from flower.capture.connection import describe_error
from flower.malloc import release_free_memory
from flower.reconcile.broker import BrokerSource
from flower.reconcile.candidates import CONFIRMATION_DELAY, Reason, Schedule, Signs, find_reason
from flower.reconcile.cluster_view import ClusterView, WorkerProfile
from flower.reconcile.connections import broker_connection, create_app
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.decisions import Verdict, is_with_worker
from flower.reconcile.examination import BACKEND_PATIENCE, Examiner
from flower.reconcile.findings import QueuedMessage, WorkersAnswer
from flower.reconcile.gap_search import search_gap
from flower.reconcile.inspection import WorkerInspector
from flower.reconcile.positions import PositionFinder
from flower.reconcile.request import QueueContents, Request
from flower.reconcile.results import MonitoredResults, create_result_source
from flower.reconcile.survey import MAX_TASKS, WAITING, survey_unfinished
from flower.reconcile.task_discovery import UnrecordedMessages, UnrecordedTasks
from flower.reconcile.worker_checks import WorkerChecks
from flower.recorder_settings import ReconcileSettings
from flower.recorder_status import RecorderStatus
from flower.records import PENDING, Evidence, Gap, Task, WorkerAnswer
from flower.redaction import Redactor
from flower.search.tree import Node, Term, all_of
from flower.store.protocols import Query, Reader, Sort

log = logging.getLogger(__name__)

Observation: TypeAlias = Evidence | WorkerAnswer

#: Seconds between two surveys of all unfinished tasks, as a multiple of what a survey takes.
SURVEY_LOAD: Final = 20.0
#: Seconds between two surveys at most: a source that does not answer must not delay the next one.
MAX_SURVEY_DELAY: Final = 60.0
#: Seconds between two inspections of workers that nothing but time requires, which find unrecorded tasks.
INSPECTION_INTERVAL: Final = 300.0
#: Seconds for which the percentiles of run times are used.
THRESHOLDS_AGE: Final = 60.0
#: Observations that one read returns.
MAX_OBSERVATIONS: Final = 1_000
#: Observations that wait for the recorder; beyond, the reconciler waits.
MAX_WAITING: Final = 20_000
#: Bytes of unread events, and seconds of delay, at which the records are too old to be compared with the sources.
MAX_BACKLOG_BYTES: Final = 4 << 20
MAX_LAG: Final = 10.0
LAG_AGE: Final = 15.0
#: Gaps that ended longer ago than this, in seconds, when the recorder starts are not searched again.
MAX_GAP_AGE: Final = 3600.0
#: Seconds between two log messages about the same failure.
LOG_INTERVAL: Final = 300.0


@dataclass(frozen=True, slots=True)
class ReconcileTuning:
    """Intervals in seconds."""

    #: between two looks at workers and gaps
    tick: float = 1.0
    #: between two surveys of all unfinished tasks, at least
    survey_interval: float = 10.0
    #: between two examinations that must agree
    confirmation_delay: float = CONFIRMATION_DELAY
    #: after the recorder connected until the first pass: events that waited at the broker arrive first
    settling_time: float = 3.0
    #: of failed queries until tasks are decided without the result backend
    backend_patience: float = BACKEND_PATIENCE


class Reconciler:
    """The thread. `read` and `status` are for the recorder's thread."""

    def __init__(self, settings: ReconcileSettings, reader: Reader, *, tuning: ReconcileTuning | None = None) -> None:
        self._settings = settings
        self._tuning = tuning or ReconcileTuning()
        self._reader = reader
        self._cost = ReconcileCost()
        self._observations: deque[Observation] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._error: str | None = None
        self._backend_error: str | None = None
        self._backend_failed_at: float | None = None
        self._last_pass_at: float | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop soon. The thread may still wait for a response; it ends with its timeout and changes nothing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def read(self) -> Sequence[Observation]:
        """What was observed since the last call, at most MAX_OBSERVATIONS. Does not block."""
        observations: list[Observation] = []
        while self._observations and len(observations) < MAX_OBSERVATIONS:
            observations.append(self._observations.popleft())
        return observations

    def status(self) -> Mapping[str, Any]:
        """What reconciliation costs and found, for the status of the recorder."""
        return {
            **self._cost.to_dict(),
            "last_pass_at": self._last_pass_at,
            "error": self._error,
            "backend_error": self._backend_error,
            "backend_failed_at": self._backend_failed_at,
        }

    # --- the thread

    def _run(self) -> None:
        logged: dict[str, float] = {}
        try:
            worker = _Passes(self._settings, self._tuning, self._reader, self._cost, self._stop, self._put)
        except Exception:
            log.exception("reconcile: cannot start")
            self._error = "cannot start"
            return
        while not self._stop.wait(self._tuning.tick):
            started = time.monotonic()
            try:
                if worker.tick():
                    self._last_pass_at = time.time()
                failure = self._check_backend(worker.results)
                self._error = None if failure is None else f"result backend: {self._backend_error}"
            except Exception as error:  # noqa: BLE001  each transport has its own errors
                self._check_backend(worker.results)
                self._error, failure = describe_error(error, worker.app.conf.broker_write_url), error
                worker.postpone()
            if self._error is not None and logged.get(self._error, 0.0) < started:
                log.warning("reconcile: %s", self._error)
                log.debug("reconcile: the query failed", exc_info=failure)
                logged = {self._error: started + LOG_INTERVAL}
            self._cost.seconds += time.monotonic() - started
        worker.close()

    def _check_backend(self, results: MonitoredResults | None) -> Exception | None:
        """The error of the result backend, also if no task requires it at present."""
        if results is None:
            return None
        results.check()
        self._backend_error, self._backend_failed_at = results.failure, results.failed_at
        return results.error

    def _put(self, observations: Iterable[Observation]) -> None:
        while len(self._observations) > MAX_WAITING and not self._stop.wait(0.1):
            pass
        self._observations.extend(observations)


class _Passes:
    """The work of the thread: decides when to examine what."""

    def __init__(
        self,
        settings: ReconcileSettings,
        tuning: ReconcileTuning,
        reader: Reader,
        cost: ReconcileCost,
        stop: threading.Event,
        put: Callable[[Iterable[Observation]], None],
    ) -> None:
        self.app: Celery = create_app(settings)
        self._tuning, self._reader, self._cost, self._put = tuning, reader, cost, put
        self._stopping = stop.is_set
        redactor = Redactor(settings.redaction)
        self._inspector = WorkerInspector(self.app, redactor, cost)
        self.results = create_result_source(self.app, redactor, cost)
        self._broker = BrokerSource(self.app, cost, redactor)
        self._examiner = Examiner(
            self._broker,
            self._inspector,
            self.results,
            PositionFinder(acks_late=bool(self.app.conf.task_acks_late)),
            self._stopping,
            tuning.backend_patience,
        )
        self._schedule = Schedule(confirmation_delay=tuning.confirmation_delay)
        self._checks = WorkerChecks()
        self._unrecorded = UnrecordedTasks()
        self._unrecorded_messages = UnrecordedMessages()
        self._last_answer: WorkersAnswer | None = None
        self._declared_queues: set[str] = set()
        self._unconfirmed: dict[str, tuple[object, ...]] = {}
        self._searched_gaps: set[tuple[str, float]] = set()
        self._gaps_to_search: list[Gap] = []
        self._is_first_look = True
        self._is_forced = True
        self._recording_since: float | None = None
        self._next_survey = 0.0
        self._thresholds: Mapping[str, float] = {}
        self._thresholds_until = 0.0
        self._next_inspection = 0.0
        self._next_tick = 0.0
        self._workers_before: Mapping[str, object] = {}

    def postpone(self) -> None:
        """A query failed: try again a little later."""
        self._next_tick = time.monotonic() + 5.0

    def close(self) -> None:
        if self.results is not None:
            self.results.close()
        self._reader.close()

    def tick(self) -> bool:
        """Look at workers and gaps, and make a pass if one is due. Return whether a pass was made. Raises what the
        transport raises."""
        now = time.monotonic()
        if now < self._next_tick or not self._is_current(now):
            return False
        self._look_at_gaps()
        view = self._view()
        signature = {name: (view.is_heard(name), worker.online, worker.pid) for name, worker in view.workers.items()}
        has_changed = signature != self._workers_before
        confirmation = self._schedule.next_confirmation
        if not (
            self._is_forced
            or has_changed
            or now >= self._next_survey
            or (confirmation is not None and now >= confirmation)
            or self._needs_inspection()
        ):
            return False
        started = time.monotonic()
        made = self._make_pass(view)
        self._workers_before = signature
        self._is_forced = False
        took = time.monotonic() - started
        self._next_survey = time.monotonic() + max(
            self._tuning.survey_interval, min(SURVEY_LOAD * took, MAX_SURVEY_DELAY)
        )
        self._search_gaps(view)
        release_free_memory()  # of the tasks that were surveyed
        return made

    def _is_current(self, now: float) -> bool:
        """Whether the records are as new as the answers of the sources."""
        report = self._reader.recorder_status()
        status = RecorderStatus.from_dict(report)
        recording = status.is_recording(time.time())
        # The lag is that of the last write.
        is_receiving = status.last_event_at is not None and time.time() - status.last_event_at < LAG_AGE
        is_late = is_receiving and (status.lag or 0.0) > MAX_LAG
        if not recording or (status.backlog_bytes or 0) > MAX_BACKLOG_BYTES or is_late:
            if not recording:
                self._recording_since = None
            return False
        if self._recording_since is None:
            self._recording_since = now
        return now - self._recording_since >= self._tuning.settling_time

    def _look_at_gaps(self) -> None:
        for gap in self._reader.gaps():
            if gap.end is None or (gap.id, gap.end) in self._searched_gaps:
                continue
            self._searched_gaps.add((gap.id, gap.end))
            if self._is_first_look and time.time() - gap.end > MAX_GAP_AGE:
                continue
            self._gaps_to_search.append(gap)
            self._is_forced = True
        self._is_first_look = False

    def _view(self) -> ClusterView:
        return ClusterView(time.time(), self._reader.workers(), self._checks.profiles)

    # --- a pass

    def _make_pass(self, view: ClusterView) -> bool:
        tasks = survey_unfinished(self._reader)
        contents = self._queue_contents(tasks)
        signs = Signs(view, self._slow_thresholds(tasks), contents.youngest_taken, self._is_forced)
        due: dict[str, Reason] = {}
        for task in tasks.values():
            reason = "confirmation" if self._schedule.awaits_confirmation(task.uuid) else find_reason(task, signs)
            if self._schedule.is_due(task, reason):
                due[task.uuid] = reason
        self._schedule.retain(tasks)
        self._unconfirmed = {uuid: found for uuid, found in self._unconfirmed.items() if uuid in tasks}
        checks = self._checks.due(view, {tasks[uuid].hostname for uuid in due})
        needs_inspection = self._is_forced or self._needs_inspection()
        if not due and not checks.has_any and not needs_inspection:
            return False
        self._cost.passes += 1
        with broker_connection(self.app) as connection:
            self._check_workers(connection, checks.describe, checks.ping)
            view = ClusterView(time.time(), view.workers, self._checks.profiles)
            # Before the inspection: a message moves from its queue to a worker.
            if self._is_forced:
                self._declared_queues = self._broker.find_queues(connection)
            reads_messages = self._is_forced or _has_passed(self._unrecorded_messages.next_look_at)
            messages = self._broker.read_messages(connection, self._known_queues()) if reads_messages else []
            has_inspected = False
            if due:
                request = Request(due, tasks, contents, view, self._reader.gaps(), self._known_queues())
                has_inspected = self._examine(connection, request)
            if needs_inspection and not has_inspected:
                skipped = self._checks.skipped()
                heard = set(view.heard_workers()) - skipped
                self._note_answers(view, self._inspector.inspect_tasks(connection, heard, (), skipped))
            if reads_messages:
                self._note_messages(view, messages)
        return True

    def _needs_inspection(self) -> bool:
        looks = (self._next_inspection, self._unrecorded.next_look_at, self._unrecorded_messages.next_look_at)
        return any(map(_has_passed, looks))

    def _check_workers(self, connection: Connection, describe: Collection[str], ping: Collection[str]) -> None:
        if describe:
            profiles = self._inspector.describe_workers(connection, sorted(describe))
            self._checks.add_profiles(profiles, describe)
            self._put(_to_answer(profile) for profile in profiles)
        if ping:
            sent_at = time.time()
            answered = self._inspector.ping(connection, sorted(ping))
            self._checks.add_pings(ping)
            self._put(WorkerAnswer(name, sent_at) for name in sorted(answered))

    def _examine(self, connection: Connection, request: Request) -> bool:
        """Examine the tasks that are due. Return whether the workers were inspected."""
        result = self._examiner.examine(connection, request, self._checks.skipped())
        if result.workers is not None:
            self._note_answers(request.view, result.workers)
        evidence: list[Evidence] = []
        for task, verdict in result.decisions:
            confirmed = self._confirm(task, verdict)
            if confirmed is not None:
                evidence.append(confirmed)
            self._schedule.set_examined(
                task, request.due[task.uuid], is_unconfirmed=verdict is not None and confirmed is None
            )
        self._cost.checked += len(result.decisions)
        self._cost.lost += sum(each.lost is not None for each in evidence)
        self._cost.corrected += sum(each.lost is None for each in evidence)
        self._put(evidence)
        return result.workers is not None

    def _confirm(self, task: Task, verdict: Verdict | None) -> Evidence | None:
        """The evidence, once it was found as often as necessary."""
        if verdict is None:
            self._unconfirmed.pop(task.uuid, None)
            return None
        evidence = verdict.evidence
        if not verdict.needs_confirmation:
            self._unconfirmed.pop(task.uuid, None)
            return evidence
        finding = (evidence.basis, evidence.state, evidence.lost and evidence.lost.reason)
        if self._unconfirmed.get(task.uuid) != finding:
            self._unconfirmed[task.uuid] = finding
            return None
        del self._unconfirmed[task.uuid]
        return evidence

    def _note_answers(self, view: ClusterView, workers: WorkersAnswer) -> None:
        self._next_inspection = time.monotonic() + INSPECTION_INTERVAL
        self._put(
            WorkerAnswer(name, workers.observed_at, pool=profile.pool if (profile := view.profiles.get(name)) else None)
            for name in sorted(workers.alive)
        )
        self._checks.add_inspection(view.heard_workers(), workers)
        self._last_answer = workers
        unrecorded = self._unrecorded.select(workers, self._find_task)
        self._cost.found += len(unrecorded)
        self._put(unrecorded)

    def _note_messages(self, view: ClusterView, messages: Sequence[QueuedMessage]) -> None:
        answer = self._last_answer
        view = replace(view, answer=answer)

        def is_held(message: QueuedMessage) -> bool:
            # A task that waits for its rate limit is in no list.
            options = view.options(message.name)
            return (
                answer is None
                or message.uuid in answer.held
                or bool(view.unanswered())
                or (options is not None and options.rate_limit)
            )

        unrecorded = self._unrecorded_messages.select(messages, self._find_task, is_held)
        self._cost.found += len(unrecorded)
        self._put(unrecorded)

    # --- the store

    def _queue_contents(self, tasks: Mapping[str, Task]) -> QueueContents:
        oldest: dict[str, float] = {}
        counts: dict[str, int] = {}
        for task in tasks.values():
            if task.queue is None or is_with_worker(task):
                continue
            counts[task.queue] = counts.get(task.queue, 0) + 1
            if task.state == PENDING and task.sent is not None and task.lost is None:
                oldest[task.queue] = min(task.sent, oldest.get(task.queue, task.sent))
        unread = {}
        if sum(counts.values()) >= MAX_TASKS:
            for queue, count in counts.items():
                total = self._reader.count(all_of((WAITING, Term("queue", "is", queue))))
                unread[queue] = max(0, total - count)
        return QueueContents(
            unread,
            {
                queue: taken
                for queue, sent in oldest.items()
                if (taken := self._youngest_taken(queue, sent)) is not None
            },
            bool(self.app.conf.task_queue_max_priority)
            or any(getattr(queue, "max_priority", None) for queue in self.app.conf.task_queues or ()),
        )

    def _youngest_taken(self, queue: str, since: float) -> float | None:
        """When the youngest message of the queue was sent that a worker took."""
        taken: Node = all_of(
            (
                Term("queue", "is", queue),
                Term("sent", "range", (since, None)),
                Term("received", "present", ""),
            )
        )
        newest = next(iter(self._reader.tasks(Query(taken, sort=(Sort("sent", descending=True),)), limit=1)), None)
        return None if newest is None else newest.sent

    def _slow_thresholds(self, tasks: Mapping[str, Task]) -> Mapping[str, float]:
        if not any(is_with_worker(task) for task in tasks.values()):
            return {}
        if time.monotonic() >= self._thresholds_until:
            self._thresholds = self._reader.slow_thresholds()
            self._thresholds_until = time.monotonic() + THRESHOLDS_AGE
        return self._thresholds

    def _known_queues(self) -> frozenset[str]:
        conf = self.app.conf
        names = {str(conf.task_default_queue), *(str(queue.name) for queue in conf.task_queues or ())}
        for profile in self._checks.profiles.values():
            names |= profile.queues or frozenset()
        return frozenset(names | self._declared_queues)

    def _find_task(self, uuid: str) -> Task | None:
        return self._reader.task(uuid)

    # --- gaps

    def _search_gaps(self, view: ClusterView) -> None:
        while self._gaps_to_search and self.results is not None and not self._stopping():
            gap = self._gaps_to_search.pop(0)
            try:
                for evidence in search_gap(
                    gap, self.results, self._find_task, view.clock_tolerance(), self._cost, self._stopping
                ):
                    self._put(evidence)
            except Exception:  # noqa: BLE001  each client library has its own errors
                self._gaps_to_search.append(gap)
                return
        if self.results is None:
            self._gaps_to_search.clear()


def _has_passed(moment: float | None) -> bool:
    """Whether a time of the monotonic clock has passed; None = never."""
    return moment is not None and time.monotonic() >= moment


def _to_answer(profile: WorkerProfile) -> WorkerAnswer:
    return WorkerAnswer(
        profile.hostname, profile.answered_at, pid=profile.pid, pool=profile.pool, prefetch=profile.prefetch
    )
