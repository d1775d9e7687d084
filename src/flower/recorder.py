"""The loop: take a batch of events, fold it, write it, and only then let the broker forget it.

Knows no technology; it is handed its parts. It runs in one thread and owns the writer. Nothing
that has been read is ever thrown away: if the disk is full it waits, and capture waits with it.
What happens is counted too, in the same writes (`flower.counting`).
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from typing import Any, TypeVar

from flower.capture.port import Capture, Captured
from flower.counting import Counting, Limits
from flower.errors import StoreFull
from flower.fold import fold, fold_worker
from flower.records import FINAL_STATES, Event, Gap, Task, Worker
from flower.store.port import Batch, Changed, Retention, Writer

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may wait. What they mean for who looks is in docs/storage.md."""

    #: seconds until what was read is on disk, when there is little to do
    flush_interval: float = 0.2
    #: the same when much comes in: fewer, larger writes cost less
    busy_interval: float = 0.5
    #: events that make a batch at once
    flush_events: int = 40_000
    #: bytes that make a batch at once, against huge arguments
    flush_bytes: int = 32 << 20
    #: above this many events in a batch, tasks that still run may wait for their end ...
    busy_events: int = 2_000
    #: ... this many seconds, so that most become a row once instead of three times
    linger: float = 2.0
    #: With no more events than this in a message, messages are many, and a broker slows down under those that
    #: are not acknowledged (RabbitMQ gave 27k a second where it had to wait 1 s, 65k where it had not): then what
    #: waits is kept in the store as it is, unseen, and acknowledged at once.
    few_events: int = 4
    #: unfinished tasks kept in memory; others are read back when their next event comes
    max_live: int = 20_000
    #: an unfinished task with more text than this is not kept in memory
    max_live_text: int = 16_384
    #: seconds for writing what is already here when told to stop
    finish_within: float = 3.0
    #: seconds between two sayings of how we are
    status_interval: float = 1.0
    #: seconds between looks at what may be forgotten
    prune_interval: float = 10.0
    #: seconds between two pieces of the store's upkeep, each of which takes a part of a second
    upkeep_interval: float = 1.0
    #: seconds between tries when the disk is full
    full_interval: float = 1.0


class _Stopped(Exception):
    """We were told to stop while we waited for the disk."""


class _Live:
    """A task in memory: what it is, what the store holds of it, and since when the two differ."""

    __slots__ = ("before", "key", "since", "task", "token")

    def __init__(self, task: Task, key: int | None, before: Task | None) -> None:
        self.task = task
        self.key = key
        self.before = before
        self.token = 0
        self.since = 0.0


class Recorder:
    def __init__(
        self,
        capture: Capture,
        writer: Writer,
        *,
        retention: Retention | None = None,
        limits: Limits | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._capture = capture
        self._writer = writer
        self._retention = retention or Retention()
        self._pace = pace or Pace()
        self._clock = clock
        self._live: dict[str, _Live] = {}
        #: differs from what is on disk; in the order in which that began
        self._pending: dict[str, _Live] = {}
        self._workers: dict[str, Worker] = dict(writer.workers())
        self._pending_workers: dict[str, Worker] = {}
        self._pending_gaps: list[Gap] = []
        self._pending_events = 0
        self._pending_bytes = 0
        #: messages that the broker keeps for us until we say that they are done
        self._pending_messages = 0
        self._oldest = 0.0
        self._token = self._acknowledged = 0
        self._meter = _Meter()
        self._stop = Flag()
        #: whether the store holds tasks for us that are not rows yet
        self._holds = False
        self._take_up(writer.held())
        self._counting = Counting(writer.tallies(), writer.marks(), limits or Limits(), clock())
        self._next_status = 0.0
        self._next_prune = time.monotonic() + 1.0
        self._next_upkeep = 0.0

    def run(self, stop: Flag) -> None:
        """Until `stop` is set; then what is in memory is written. Raises what it cannot mend."""
        self._stop = stop
        self._capture.start()
        try:
            while not stop.is_set():
                captured = self._capture.read(self._pace.flush_interval / 2)
                if captured is not None:
                    self._take(captured)
                if self._is_due():
                    self._flush()
                self._tend()
            self._finish()
        except _Stopped:
            log.error("Stopped while the disk was full: %d tasks were not written.", len(self._pending))
        finally:
            self._capture.stop()
            self._say_status(running=False)

    def _take_up(self, held: Sequence[Task]) -> None:
        """What the recorder before us held back: its events will not come again."""
        stored = self._writer.load([task.uuid for task in held]) if held else {}
        for task in held:
            before = stored.get(task.uuid)
            if before is not None and (before.task.timestamp or 0.0) >= (task.timestamp or 0.0):
                # The write that was to let go of it was cut off when its row was there already.
                continue
            entry = _Live(task, before and before.key, before and before.task)
            self._live[task.uuid] = self._pending[task.uuid] = entry
        self._holds = bool(held)

    def _finish(self) -> None:
        """Write what has come in already; on a busy broker that never ends, so not for long."""
        deadline = time.monotonic() + self._pace.finish_within
        while time.monotonic() < deadline and (captured := self._capture.read(0)) is not None:
            self._take(captured)
            if self._is_due():
                self._flush()
        self._flush(everything=True)

    def _take(self, captured: Captured) -> None:
        now = time.monotonic()
        if not self._pending and not self._pending_gaps:
            self._oldest = now
        live = self._live
        unknown = {event.uuid for event in captured.events if event.uuid is not None}.difference(live)
        if unknown:
            for known, stored in self._until_there_is_room(lambda: self._writer.load(unknown)).items():
                live[known] = _Live(stored.task, stored.key, stored.task)
        pending = self._pending
        portion = self._counting.portion(captured)
        count, repeated = portion.events.append, portion.repeated
        for event in captured.events:
            uuid = event.uuid
            if uuid is None or event.type.startswith("worker-"):
                self._take_worker(event, captured.received)
                continue
            entry = live.get(uuid)
            if entry is None:
                task = fold(None, event)
                entry = live[uuid] = _Live(task, None, None)
            else:
                task = entry.task = fold(entry.task, event)
            kind = event.type
            if not repeated or id(event) not in repeated:
                name = event.name or task.name
                count((event.hostname, kind, name))
                if event.runtime:
                    portion.ended.append(((event.hostname, name), event.runtime))
                elif kind == "task-started":
                    portion.started.append((event, task))
            if uuid not in pending:
                pending[uuid] = entry
                entry.token = captured.token
                entry.since = now
        self._counting.take(portion)
        if captured.gap is not None:
            self._pending_gaps.append(captured.gap)
        self._token = captured.token
        self._pending_events += len(captured.events)
        self._pending_bytes += captured.size
        self._pending_messages += captured.messages
        self._meter.events += len(captured.events)
        self._meter.last_event = captured.received

    def _take_worker(self, event: Event, received: float) -> None:
        if event.hostname is not None:
            worker = fold_worker(self._workers.get(event.hostname), event, received)
            self._workers[event.hostname] = self._pending_workers[event.hostname] = worker

    def _is_due(self) -> bool:
        pace = self._pace
        if self._pending_events >= pace.flush_events or self._pending_bytes >= pace.flush_bytes:
            return True
        waited = time.monotonic() - self._oldest
        if waited < (pace.busy_interval if self._is_busy() else pace.flush_interval):
            return False
        return bool(self._pending or self._pending_gaps or self._token > self._acknowledged)

    def _is_busy(self) -> bool:
        return self._pending_events >= self._pace.busy_events

    def _flush(self, *, everything: bool = False) -> None:
        now = time.monotonic()
        held_until = now - self._pace.linger
        hold = not everything and self._is_busy()
        going: list[_Live] = []
        held: list[_Live] = []
        for entry in self._pending.values():
            if hold and entry.since > held_until and entry.task.state not in FINAL_STATES:
                held.append(entry)
            else:
                going.append(entry)
        new = [entry for entry in going if entry.key is None]
        changed = [entry for entry in going if entry.key is not None and entry.task != entry.before]
        keep = self._pending_messages * self._pace.few_events > self._pending_events
        acknowledged = self._token if keep or not held else held[0].token - 1
        counted = self._counting.until(acknowledged)
        batch = Batch(
            new=[entry.task for entry in new],
            changed=[Changed(entry.key, entry.before, entry.task) for entry in changed if entry.key and entry.before],
            workers=list(self._pending_workers.values()),
            gaps=self._pending_gaps,
            held=[entry.task for entry in held] if keep and held else () if self._holds else None,
            tallies=counted.tallies,
            forgotten=counted.forgotten,
            marks=counted.marks,
        )
        keys = self._until_there_is_room(lambda: self._writer.write(batch))
        self._counting.written()
        for entry, key in zip(new, keys, strict=True):
            entry.key = key
        self._forget_written(going)
        self._pending_workers = {}
        self._pending_gaps = []
        self._pending_events = self._pending_bytes = self._pending_messages = 0
        self._oldest = now
        self._holds = bool(batch.held)
        self._acknowledged = acknowledged
        self._capture.done(self._acknowledged)
        self._meter.batches += 1
        self._meter.lag = time.monotonic() - (min((entry.since for entry in going), default=now))

    def _until_there_is_room(self, action: Callable[[], T]) -> T:
        """Do it as often as the disk refuses. Raises _Stopped if we are told to stop meanwhile."""
        while True:
            try:
                done = action()
            except StoreFull as error:
                if self._meter.trouble is None:
                    log.error("%s. Capture waits; nothing that is kept is harmed. Work goes on by itself.", error)
                self._meter.trouble = error.message
                self._say_status()
                if self._stop.wait(self._pace.full_interval):
                    raise _Stopped from error
            else:
                if self._meter.trouble is not None:
                    log.warning("There is room on the disk again; recording goes on.")
                    self._meter.trouble = None
                return done

    def _forget_written(self, going: list[_Live]) -> None:
        """What is on disk and has ended may leave memory; what still runs stays, within bounds."""
        live, pace = self._live, self._pace
        for entry in going:
            uuid = entry.task.uuid
            del self._pending[uuid]
            if entry.task.state in FINAL_STATES or _text_length(entry.task) > pace.max_live_text:
                del live[uuid]
            else:
                entry.before = entry.task
        if (excess := len(live) - pace.max_live) > 0:
            clean = (uuid for uuid in live if uuid not in self._pending)
            for uuid in [uuid for uuid, _ in zip(clean, range(excess), strict=False)]:
                del live[uuid]

    def _tend(self) -> None:
        """What is done now and then."""
        now = time.monotonic()
        if now >= self._next_status:
            self._next_status = now + self._pace.status_interval
            if self._pending_workers and not self._pending_events:
                self._flush()
            self._say_status()
        if now >= self._next_prune:
            gone = self._until_there_is_room(lambda: self._writer.prune(self._retention, self._clock()))
            self._next_prune = now + (0.5 if gone else self._pace.prune_interval)
        if now >= self._next_upkeep:
            more = self._until_there_is_room(self._writer.maintain)
            # with nothing else to do, one piece after the other
            self._next_upkeep = now + (0.0 if more and not self._pending_events else self._pace.upkeep_interval)

    def _say_status(self, *, running: bool = True) -> None:
        status = self._meter.status(self._clock())
        self._writer.set_status({**status, "running": running, "capture": self._capture.status()})


class _Meter:
    """Figures about ourselves, for people."""

    def __init__(self) -> None:
        self.since = time.time()
        self.events = 0
        self.batches = 0
        self.last_event: float | None = None
        self.lag = 0.0
        self.trouble: str | None = None
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
            "trouble": self.trouble,
        }


def _text_length(task: Task) -> int:
    return sum(
        len(text) for text in (task.args, task.kwargs, task.result, task.traceback, task.exception) if text is not None
    )
