"""The recorder's main loop: read a batch of events, fold it, write it, and only then acknowledge it to the broker.

The loop depends on no broker or database; capture and writer are passed in. It runs in one thread and owns the writer.
Events that were read are never dropped: if the disk is full, the recorder waits, and so does capture. Counters are
updated in the same writes (`flower.counting`).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest
from threading import Event as Flag
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from flower.capture.protocols import Capture, CapturedBatch
from flower.counters import CounterLimits
from flower.counting import EventAggregator, EventCounts, TaskCounts
from flower.errors import StoreFull
from flower.fold import (
    ClockOffsets,
    fold_evidence,
    fold_worker,
    fold_worker_answer,
    fold_worker_sign,
)
from flower.recorder.cached_task import CachedTask, create_cached_task
from flower.recorder.parameters import RecorderTuning
from flower.recorder.status_meter import StatusMeter
from flower.recorder.write_schedule import WriteSchedule
from flower.recorder_status import FreshnessMeter
from flower.records import FINAL_STATES, Event, Evidence, Gap, Task, Worker, WorkerAnswer
from flower.store.protocols import Batch, Retention, TaskChange, Writer
from flower.worker_state import last_sign

log = logging.getLogger(__name__)

T = TypeVar("T")


class ObservationSource(Protocol):
    """What other sources than events report. No method blocks."""

    def read(self) -> Sequence[Evidence | WorkerAnswer]:
        """What was observed since the last call."""
        ...

    def status(self) -> Mapping[str, Any]:
        """For the status of the recorder."""
        ...


class _StopRequested(Exception):
    """Stop was requested while waiting for disk space."""


class Recorder:
    """Folds captured events into tasks and writes them in batches."""

    def __init__(
        self,
        capture: Capture,
        writer: Writer,
        *,
        retention: Retention | None = None,
        limits: CounterLimits | None = None,
        tuning: RecorderTuning | None = None,
        clock: Callable[[], float] = time.time,
        observations: ObservationSource | None = None,
    ) -> None:
        self._capture = capture
        self._writer = writer
        self._retention = retention or Retention()
        self._tuning = tuning or RecorderTuning()
        self._clock = clock
        self._observations = observations
        self._cache: dict[str, CachedTask] = {}
        #: tasks that differ from the store, ordered by when that began
        self._pending: dict[str, CachedTask] = {}
        self._workers: dict[str, Worker] = dict(writer.workers())
        self._pending_workers: dict[str, Worker] = {}
        #: of the events of workers that are not written yet
        self._worker_event_counts = EventCounts()
        self._pending_gaps: list[Gap] = []
        self._schedule = WriteSchedule(self._tuning)
        self._token = self._acknowledged = 0
        self._status_meter = StatusMeter()
        self._freshness = FreshnessMeter(max(filter(None, map(last_sign, self._workers.values())), default=None))
        #: up to when every event that the broker delivered is read
        self._received_until: float | None = None
        self._stop = Flag()
        #: whether the store has held tasks that are not rows yet
        self._has_held_tasks = False
        self._load_held_tasks(writer.parked_tasks())
        self._aggregator = EventAggregator(writer.counters(), limits or CounterLimits(), clock())
        self._clocks = ClockOffsets()
        self._clocks.restore({name: worker.clock_offset for name, worker in self._workers.items()})
        self._next_status = 0.0
        #: according to the last status
        self._is_connected = False
        self._next_prune = time.monotonic() + 1.0
        self._next_maintenance = 0.0

    def run(self, stop: Flag) -> None:
        """Run until `stop` is set, then write what is in memory. Raises errors that it cannot handle."""
        self._stop = stop
        self._capture.start()
        try:
            while not stop.is_set():
                batch = self._capture.read(self._find_read_timeout())
                self._report_connection()
                if batch is not None:
                    self._apply_batch(batch)
                self._received_until = self._clock() if batch is None else batch.received
                if self._observations is not None:
                    self._apply_observations(self._observations.read())
                if self._is_due(has_more=batch is not None):
                    self._flush()
                self._run_periodic_work()
            self._drain()
        except _StopRequested:
            log.error("Stopped while the disk was full: %d tasks were not written", len(self._pending))
        finally:
            self._capture.stop()
            self._write_status(running=False)

    def _load_held_tasks(self, held: Sequence[Task]) -> None:
        """Load the tasks that the previous recorder held back: their events are acknowledged and will not be
        redelivered."""
        stored = self._writer.load([task.uuid for task in held]) if held else {}
        for task in held:
            stored_task = stored.get(task.uuid)
            if stored_task is not None and (stored_task.task.timestamp or 0.0) >= (task.timestamp or 0.0):
                # The previous recorder was interrupted after writing the row and before removing the held task.
                continue
            entry = CachedTask(task, stored_task and stored_task.key, stored_task and stored_task.task)
            self._cache[task.uuid] = self._pending[task.uuid] = entry
        self._has_held_tasks = bool(held)

    def _drain(self) -> None:
        """Write what has been captured already, for a limited time: on a busy broker there is always more."""
        deadline = time.monotonic() + self._tuning.shutdown_timeout
        while time.monotonic() < deadline and (batch := self._capture.read(0)) is not None:
            self._apply_batch(batch)
            if self._is_due(has_more=True):
                self._flush()
        self._flush(write_all=True)

    def _apply_batch(self, batch: CapturedBatch) -> None:
        """Fold the events of a batch into the cached tasks and count them."""
        now = time.monotonic()
        if not self._pending and not self._pending_gaps:
            self._schedule.begin(now)
        cache = self._cache
        senders, uncached = self._examine_senders(batch.events)
        self._load_stored_tasks(uncached)
        pending, clocks, token = self._pending, self._clocks, batch.token
        clocks.observe(senders, batch.received)
        for event in batch.events:
            uuid = event.uuid
            if uuid is None or event.type.startswith("worker-"):
                self._apply_worker_event(event, batch.received)
                continue
            entry = cache.get(uuid)
            if entry is None:
                cache[uuid] = pending[uuid] = create_cached_task(event, clocks, token, now)
            elif entry.apply(event, clocks) and uuid not in pending:
                pending[uuid] = entry
                entry.token = token
                entry.changed_at = now
        for uuid in uncached.difference(pending):
            cache.pop(uuid, None)
        self._apply_signs_of_life(senders, batch.received)
        if batch.gap is not None:
            self._pending_gaps.append(batch.gap)
        self._token = batch.token
        self._schedule.add(now, events=len(batch.events), size=batch.size, messages=batch.messages)
        self._status_meter.add(batch)

    def _examine_senders(self, events: Sequence[Event]) -> tuple[dict[str | None, Event], set[str]]:
        """The newest task event of each sender, by its name, and the ids that are not in memory."""
        cache = self._cache
        senders: dict[str | None, Event] = {}
        uncached: set[str] = set()
        for event in events:
            uuid = event.uuid
            if uuid is not None:
                senders[event.hostname] = event
                if uuid not in cache:
                    uncached.add(uuid)
        return senders, uncached

    def _load_stored_tasks(self, uuids: set[str]) -> None:
        """Load these tasks into memory, of those that are in the store."""
        if uuids:
            for uuid, stored in self._retry_while_disk_full(lambda: self._writer.load(uuids)).items():
                self._cache[uuid] = CachedTask(stored.task, stored.key, stored.task)

    def _apply_observations(self, observations: Sequence[Evidence | WorkerAnswer]) -> None:
        """Fold evidence and answers of workers. They are not events, and are not counted."""
        if not observations:
            return
        now = time.monotonic()
        if not self._pending and not self._pending_gaps:
            self._schedule.begin(now)
        uncached = {each.uuid for each in observations if isinstance(each, Evidence)}.difference(self._cache)
        self._load_stored_tasks(uncached)
        for each in observations:
            if isinstance(each, Evidence):
                self._apply_evidence(each, now)
            else:
                worker = fold_worker_answer(self._workers.get(each.hostname), each)
                self._workers[each.hostname] = self._pending_workers[each.hostname] = worker

    def _apply_evidence(self, evidence: Evidence, now: float) -> None:
        entry = self._cache.get(evidence.uuid)
        if entry is not None:
            entry.fold_collected(self._clocks)
        task = fold_evidence(None if entry is None else entry.task, evidence)
        if task is None:
            return
        if entry is None:
            entry = self._cache[evidence.uuid] = CachedTask(task)
        else:
            entry.expand_counts()
            entry.record = task
        if evidence.uuid not in self._pending:
            self._pending[evidence.uuid] = entry
            entry.token = self._token
            entry.changed_at = now

    def _apply_worker_event(self, event: Event, received: float) -> None:
        if event.hostname is not None:
            earliest = self._freshness.oldest_event_time(received)
            self._clocks.observe_worker_event(event, received)
            before = self._workers.get(event.hostname)
            worker = fold_worker(before, event, received, earliest)
            # An event that is delivered again is not newer than the record.
            if before is None or before.timestamp is None or event.timestamp > before.timestamp:
                self._worker_event_counts.add_worker_event(event)
            if worker.clock_offset != (offset := self._clocks.offset(event.hostname)):
                worker = replace(worker, clock_offset=offset)
            self._workers[event.hostname] = self._pending_workers[event.hostname] = worker

    def _apply_signs_of_life(self, senders: Mapping[str | None, Event], received: float) -> None:
        """Task events prove that their worker is alive."""
        earliest = self._freshness.oldest_event_time(received)
        for hostname, event in senders.items():
            if hostname is None or event.type == "task-sent":
                continue
            before = self._workers.get(hostname)
            worker = fold_worker_sign(before, event, received, earliest)
            if worker is not None and worker is not before:
                self._workers[hostname] = self._pending_workers[hostname] = worker

    def _find_read_timeout(self) -> float:
        """Seconds to wait for events: until the next write if something is to be written."""
        if not self._has_pending():
            return self._tuning.poll_interval
        return min(max(0.0, self._schedule.find_write_time() - time.monotonic()), self._tuning.poll_interval)

    def _has_pending(self) -> bool:
        return bool(self._pending or self._pending_gaps or self._token > self._acknowledged)

    def _is_due(self, *, has_more: bool) -> bool:
        """Whether to write now. `has_more`: more events may be waiting, and are read first."""
        schedule = self._schedule
        return schedule.is_full or (self._has_pending() and schedule.is_due(time.monotonic(), has_more=has_more))

    def _flush(self, *, write_all: bool = False) -> None:
        """Write pending changes and acknowledge them. While the rate is high, unfinished tasks are held back unless
        `write_all`."""
        now = time.monotonic()
        held_until = now - self._tuning.hold_delay
        hold = not write_all and self._schedule.is_busy(now)
        due: list[CachedTask] = []
        held: list[CachedTask] = []
        for entry in self._pending.values():
            if hold and entry.changed_at > held_until and not entry.is_final:
                held.append(entry)
            else:
                due.append(entry)
        # Tasks that are stored separately stay there, because their events are acknowledged.
        store_held = self._has_held_tasks or (
            self._schedule.messages * self._tuning.small_message_events > self._schedule.events
        )
        # An event is counted in the write that contains its effect on the task: a redelivered event changes nothing.
        counted = [*due, *held] if store_held else due
        for entry in counted:
            entry.fold_collected(self._clocks)
        new = [entry for entry in due if entry.key is None]
        changed = [entry for entry in due if entry.key is not None and entry.task != entry.stored]
        acknowledged = self._token if store_held or not held else held[0].token - 1
        counts: list[tuple[TaskCounts, Task | None]] = [
            (entry.counts, entry.record) for entry in counted if entry.counts is not None
        ]
        if self._worker_event_counts.events:
            counts.append((self._worker_event_counts, None))
        counter_update = self._aggregator.collect(counts, self._clock())
        batch = Batch(
            new=[entry.task for entry in new],
            changed=[
                TaskChange(entry.key, entry.stored, entry.task) for entry in changed if entry.key and entry.stored
            ],
            workers=list(self._pending_workers.values()),
            gaps=self._pending_gaps,
            parked=[entry.task for entry in held] if store_held and held else () if self._has_held_tasks else None,
            counters=counter_update.counters,
            dropped_counters=counter_update.removed_keys,
            capture_progress=self._capture.progress(acknowledged),
        )
        keys = self._retry_while_disk_full(lambda: self._writer.write(batch))
        self._aggregator.mark_written()
        for entry in counted:
            entry.counts = None
        for entry, key in zip(new, keys, strict=True):
            entry.key = key
        self._release_written(due)
        self._pending_workers = {}
        self._remove_old_workers()
        self._worker_event_counts = EventCounts()
        self._pending_gaps = []
        self._schedule.end_write(now, time.monotonic(), has_held_tasks=bool(held))
        self._has_held_tasks = bool(batch.parked)
        self._acknowledged = acknowledged
        self._capture.ack(self._acknowledged)
        self._status_meter.batches += 1
        self._status_meter.lag = time.monotonic() - (min((entry.changed_at for entry in due), default=now))

    def _retry_while_disk_full(self, action: Callable[[], T]) -> T:
        """Call `action` until the disk accepts it. Raises _StopRequested if stop is requested meanwhile."""
        while True:
            try:
                result = action()
            except StoreFull as error:
                if self._status_meter.error is None:
                    log.error("%s. Recording is paused and resumes automatically; stored data is not affected", error)
                self._status_meter.error = error.message
                self._write_status()
                if self._stop.wait(self._tuning.disk_retry_interval):
                    raise _StopRequested from error
            else:
                if self._status_meter.error is not None:
                    log.warning("Disk space is available again; recording resumed")
                    self._status_meter.error = None
                return result

    def _release_written(self, written_entries: list[CachedTask]) -> None:
        """Remove finished tasks that are on disk from memory; unfinished tasks stay, up to the limit."""
        cache, tuning = self._cache, self._tuning
        for entry in written_entries:
            uuid = entry.task.uuid
            del self._pending[uuid]
            if entry.task.state in FINAL_STATES or entry.task.text_length > tuning.max_cached_text:
                del cache[uuid]
            else:
                entry.stored = entry.task
        if (excess := len(cache) - tuning.max_cached_tasks) > 0:
            clean = (uuid for uuid in cache if uuid not in self._pending)
            for uuid in [uuid for uuid, _ in zip(clean, range(excess), strict=False)]:
                del cache[uuid]

    def _remove_old_workers(self) -> None:
        """Each worker costs 1 kB here and in every process that shows workers. A worker may have a new name at each
        start, and any sender of events may choose names."""
        excess = len(self._workers) - self._tuning.max_workers
        if excess <= 0:
            return
        # more than necessary, so that this is rare
        count = excess + self._tuning.max_workers // 20
        oldest = nsmallest(count, self._workers.values(), key=lambda worker: last_sign(worker) or 0.0)
        names = [worker.hostname for worker in oldest]
        self._retry_while_disk_full(lambda: self._writer.remove_workers(names))
        for name in names:
            del self._workers[name]
        self._status_meter.removed_workers += len(names)

    def _run_periodic_work(self) -> None:
        """Write the status, apply retention and maintain the store when due."""
        now = time.monotonic()
        if now >= self._next_status:
            self._next_status = now + self._tuning.status_interval
            if self._pending_workers and not self._schedule.events:
                self._flush()
            self._write_status()
        if now >= self._next_prune:
            removed_any = self._retry_while_disk_full(lambda: self._writer.prune(self._retention, self._clock()))
            self._next_prune = now + (0.5 if removed_any else self._tuning.prune_interval)
        if now >= self._next_maintenance:
            has_more = self._retry_while_disk_full(self._writer.maintain)
            # while idle, without delay between steps
            self._next_maintenance = now + (
                0.0 if has_more and not self._schedule.events else self._tuning.maintenance_interval
            )

    def _report_connection(self) -> None:
        """Write the status when the broker is connected, before its first events: until then, workers are unknown
        because the broker is unreachable."""
        if not self._is_connected and self._capture.status().get("connected"):
            self._write_status()

    def _write_status(self, *, running: bool = True) -> None:
        capture = self._capture.status()
        self._is_connected = bool(capture.get("connected"))
        if capture.get("connected") and (until := self._find_current_time(capture)) is not None:
            self._freshness.advance(until)
        self._writer.set_status(
            {
                **self._status_meter.status(self._clock()),
                **self._freshness.report(),
                "full_labels": self._aggregator.list_full_labels(self._clock()),
                "reconcile": None if self._observations is None else self._observations.status(),
                "running": running,
                "capture": capture,
            }
        )

    def _find_current_time(self, capture: Mapping[str, Any]) -> float | None:
        """Up to when everything that was sent is recorded: what has arrived is on disk, and the broker was reachable.
        Not every source reports these times."""
        times = (capture.get("complete_until", self._received_until), capture.get("confirmed_at"))
        return min((at for at in times if at is not None), default=None)
