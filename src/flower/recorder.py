"""The recorder's main loop: read a batch of events, fold it, write it, and only then acknowledge it to the broker.

The loop depends on no broker or database; capture and writer are passed in. It runs in one thread and owns the writer.
Events that were read are never dropped: if the disk is full, the recorder waits, and so does capture. Counters are
updated in the same writes (`flower.counting`).
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from typing import Any, TypeVar

from flower.capture.protocols import Capture, CapturedBatch
from flower.counters import CounterLimits
from flower.counting import EventAggregator
from flower.errors import StoreFull
from flower.fold import fold, fold_worker
from flower.records import FINAL_STATES, Event, Gap, Task, Worker
from flower.store.protocols import Batch, Retention, TaskChange, Writer

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecorderTuning:
    """Batch sizes, intervals and delays. Their effect on readers is described in docs/storage.md."""

    #: seconds until events are written, at a low rate
    flush_interval: float = 0.2
    #: seconds until events are written, at a high rate: fewer, larger writes cost less
    busy_interval: float = 0.5
    #: number of events at which a batch is written immediately
    flush_events: int = 40_000
    #: bytes at which a batch is written immediately; limits memory with large arguments
    flush_bytes: int = 32 << 20
    #: number of events in a batch above which unfinished tasks are held back ...
    busy_events: int = 2_000
    #: ... for at most this many seconds, so that most tasks are written once instead of three times
    hold_delay: float = 2.0
    #: At or below this many events per message the number of messages is high, and a broker slows down if many are
    #: unacknowledged (RabbitMQ delivered 27k events/s when acknowledgements were delayed by 1 s, 65k otherwise): held
    #: tasks are then stored separately, not visible to readers, and their events are acknowledged at once.
    small_message_events: int = 4
    #: unfinished tasks kept in memory; others are read from the store at their next event
    max_cached_tasks: int = 20_000
    #: unfinished tasks with more characters of text than this are not kept in memory
    max_cached_text: int = 16_384
    #: seconds for writing captured events after stop was requested
    shutdown_timeout: float = 3.0
    #: seconds between two writes of the status file
    status_interval: float = 1.0
    #: seconds between two runs of retention
    prune_interval: float = 10.0
    #: seconds between two maintenance steps of the store, each of which takes a fraction of a second
    maintenance_interval: float = 1.0
    #: seconds between two attempts to write while the disk is full
    disk_retry_interval: float = 1.0


class _StopRequested(Exception):
    """Stop was requested while waiting for disk space."""


class _CachedTask:
    """A task in memory: its current record, the record in the store, and the time since which they differ."""

    __slots__ = ("changed_at", "key", "stored", "task", "token")

    def __init__(self, task: Task, key: int | None, stored: Task | None) -> None:
        self.task = task
        self.key = key
        self.stored = stored
        self.token = 0
        self.changed_at = 0.0


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
    ) -> None:
        self._capture = capture
        self._writer = writer
        self._retention = retention or Retention()
        self._tuning = tuning or RecorderTuning()
        self._clock = clock
        self._cache: dict[str, _CachedTask] = {}
        #: tasks that differ from the store, ordered by when that began
        self._pending: dict[str, _CachedTask] = {}
        self._workers: dict[str, Worker] = dict(writer.workers())
        self._pending_workers: dict[str, Worker] = {}
        self._pending_gaps: list[Gap] = []
        self._pending_events = 0
        self._pending_bytes = 0
        #: messages that the broker keeps until they are acknowledged
        self._pending_messages = 0
        self._pending_since = 0.0
        self._token = self._acknowledged = 0
        self._status_meter = _StatusMeter()
        self._stop = Flag()
        #: whether the store has held tasks that are not rows yet
        self._has_held_tasks = False
        self._load_held_tasks(writer.parked_tasks())
        self._aggregator = EventAggregator(writer.counters(), writer.dedup_marks(), limits or CounterLimits(), clock())
        self._next_status = 0.0
        self._next_prune = time.monotonic() + 1.0
        self._next_maintenance = 0.0

    def run(self, stop: Flag) -> None:
        """Run until `stop` is set, then write what is in memory. Raises errors that it cannot handle."""
        self._stop = stop
        self._capture.start()
        try:
            while not stop.is_set():
                batch = self._capture.read(self._tuning.flush_interval / 2)
                if batch is not None:
                    self._apply_batch(batch)
                if self._is_due():
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
            entry = _CachedTask(task, stored_task and stored_task.key, stored_task and stored_task.task)
            self._cache[task.uuid] = self._pending[task.uuid] = entry
        self._has_held_tasks = bool(held)

    def _drain(self) -> None:
        """Write what has been captured already, for a limited time: on a busy broker there is always more."""
        deadline = time.monotonic() + self._tuning.shutdown_timeout
        while time.monotonic() < deadline and (batch := self._capture.read(0)) is not None:
            self._apply_batch(batch)
            if self._is_due():
                self._flush()
        self._flush(write_all=True)

    def _apply_batch(self, batch: CapturedBatch) -> None:
        """Fold the events of a batch into the cached tasks and count them."""
        now = time.monotonic()
        if not self._pending and not self._pending_gaps:
            self._pending_since = now
        cache = self._cache
        uncached = {event.uuid for event in batch.events if event.uuid is not None}.difference(cache)
        if uncached:
            for uuid_in_store, stored in self._retry_while_disk_full(lambda: self._writer.load(uncached)).items():
                cache[uuid_in_store] = _CachedTask(stored.task, stored.key, stored.task)
        pending = self._pending
        counts = self._aggregator.begin_batch(batch)
        append_count, duplicates = counts.events.append, counts.duplicates
        for event in batch.events:
            uuid = event.uuid
            if uuid is None or event.type.startswith("worker-"):
                self._apply_worker_event(event, batch.received)
                continue
            entry = cache.get(uuid)
            if entry is None:
                task = fold(None, event)
                entry = cache[uuid] = _CachedTask(task, None, None)
            else:
                task = entry.task = fold(entry.task, event)
            event_type = event.type
            if not duplicates or id(event) not in duplicates:
                name = event.name or task.name
                append_count((event.hostname, event_type, name))
                if event.runtime:
                    counts.runtimes.append(((event.hostname, name), event.runtime))
                elif event_type == "task-started":
                    counts.started.append((event, task))
            if uuid not in pending:
                pending[uuid] = entry
                entry.token = batch.token
                entry.changed_at = now
        self._aggregator.add_batch(counts)
        if batch.gap is not None:
            self._pending_gaps.append(batch.gap)
        self._token = batch.token
        self._pending_events += len(batch.events)
        self._pending_bytes += batch.size
        self._pending_messages += batch.messages
        self._status_meter.events += len(batch.events)
        self._status_meter.last_event = batch.received

    def _apply_worker_event(self, event: Event, received: float) -> None:
        if event.hostname is not None:
            worker = fold_worker(self._workers.get(event.hostname), event, received)
            self._workers[event.hostname] = self._pending_workers[event.hostname] = worker

    def _is_due(self) -> bool:
        tuning = self._tuning
        if self._pending_events >= tuning.flush_events or self._pending_bytes >= tuning.flush_bytes:
            return True
        waited = time.monotonic() - self._pending_since
        if waited < (tuning.busy_interval if self._is_busy() else tuning.flush_interval):
            return False
        return bool(self._pending or self._pending_gaps or self._token > self._acknowledged)

    def _is_busy(self) -> bool:
        return self._pending_events >= self._tuning.busy_events

    def _flush(self, *, write_all: bool = False) -> None:
        """Write pending changes and acknowledge them. While the rate is high, unfinished tasks are held back unless
        `write_all`."""
        now = time.monotonic()
        held_until = now - self._tuning.hold_delay
        hold = not write_all and self._is_busy()
        due: list[_CachedTask] = []
        held: list[_CachedTask] = []
        for entry in self._pending.values():
            if hold and entry.changed_at > held_until and entry.task.state not in FINAL_STATES:
                held.append(entry)
            else:
                due.append(entry)
        new = [entry for entry in due if entry.key is None]
        changed = [entry for entry in due if entry.key is not None and entry.task != entry.stored]
        store_held = self._pending_messages * self._tuning.small_message_events > self._pending_events
        acknowledged = self._token if store_held or not held else held[0].token - 1
        counter_update = self._aggregator.collect(acknowledged)
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
            dedup_marks=counter_update.marks,
        )
        keys = self._retry_while_disk_full(lambda: self._writer.write(batch))
        self._aggregator.mark_written()
        for entry, key in zip(new, keys, strict=True):
            entry.key = key
        self._release_written(due)
        self._pending_workers = {}
        self._pending_gaps = []
        self._pending_events = self._pending_bytes = self._pending_messages = 0
        self._pending_since = now
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

    def _release_written(self, written_entries: list[_CachedTask]) -> None:
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

    def _run_periodic_work(self) -> None:
        """Write the status, apply retention and maintain the store when due."""
        now = time.monotonic()
        if now >= self._next_status:
            self._next_status = now + self._tuning.status_interval
            if self._pending_workers and not self._pending_events:
                self._flush()
            self._write_status()
        if now >= self._next_prune:
            removed_any = self._retry_while_disk_full(lambda: self._writer.prune(self._retention, self._clock()))
            self._next_prune = now + (0.5 if removed_any else self._tuning.prune_interval)
        if now >= self._next_maintenance:
            has_more = self._retry_while_disk_full(self._writer.maintain)
            # while idle, without delay between steps
            self._next_maintenance = now + (
                0.0 if has_more and not self._pending_events else self._tuning.maintenance_interval
            )

    def _write_status(self, *, running: bool = True) -> None:
        status = self._status_meter.status(self._clock())
        self._writer.set_status({**status, "running": running, "capture": self._capture.status()})


class _StatusMeter:
    """Statistics of the recorder for its status."""

    def __init__(self) -> None:
        self.since = time.time()
        self.events = 0
        self.batches = 0
        self.last_event: float | None = None
        self.lag = 0.0
        self.error: str | None = None
        self._events_before = 0
        self._at = time.monotonic()

    def status(self, now: float) -> Mapping[str, Any]:
        at = time.monotonic()
        rate = (self.events - self._events_before) / max(at - self._at, 0.001)
        self._events_before, self._at = self.events, at
        return {
            "pid": os.getpid(),
            "since": self.since,
            "at": now,
            "events": self.events,
            "events_per_second": round(rate, 1),
            "batches": self.batches,
            "last_event": self.last_event,
            "lag": round(self.lag, 3),
            "trouble": self.error,
        }
