"""A capture that also reports what else may be missing: the events of workers with disabled task events, and messages
that cannot be read; and, in its status, whether the broker blocks publishers, and workers whose task events cannot be
enabled. Task events of new workers are enabled as soon as their first event arrives."""

import time
from collections import deque
from dataclasses import replace
from typing import Final

import msgspec

from flower.capture.blocked_publishers import BlockedPublisherMonitor
from flower.capture.decoder import Decoder
from flower.capture.enable_events import EventEnabler
from flower.capture.protocols import Capture, CapturedBatch
from flower.capture.task_event_monitor import TaskEventMonitor
from flower.recorder_status import WorkerWithoutEvents
from flower.records import Event, Gap

_WORKER_EVENTS = ("worker-online", "worker-heartbeat")
#: Workers without events in the status.
_MAX_WITHOUT_EVENTS: Final = 100


class ReportingCapture:
    """Implements `flower.capture.protocols.Capture`."""

    def __init__(
        self,
        capture: Capture,
        decoder: Decoder,
        enabler: EventEnabler | None,
        monitor: BlockedPublisherMonitor | None = None,
    ) -> None:
        self._capture, self._decoder, self._enabler, self._monitor = capture, decoder, enabler, monitor
        self._task_events = TaskEventMonitor()
        self._gaps: deque[Gap] = deque()
        self._token = 0

    def start(self) -> None:
        self._capture.start()
        if self._monitor is not None:
            self._monitor.start()

    def read(self, timeout: float) -> CapturedBatch | None:
        batch = self._capture.read(timeout)
        if batch is not None:
            self._token = batch.token
            if batch.gap is not None:
                self._task_events.reset()
            self._task_events.add(batch.events, batch.received)
            if self._enabler is not None:
                _report_workers(self._enabler, batch)
        if self._enabler is not None:
            for enabled in self._enabler.take_gaps():
                self._task_events.reset(enabled.worker)
                self._gaps.append(enabled)
        if (gap := self._decoder.unreadable.take_gap(time.time())) is not None:
            self._gaps.append(gap)
        if not self._gaps:
            return batch
        if batch is None:
            return CapturedBatch((), self._token, time.time(), self._gaps.popleft())
        return batch if batch.gap is not None else replace(batch, gap=self._gaps.popleft())

    def ack(self, token: int) -> None:
        self._capture.ack(token)

    def progress(self, token: int) -> bytes:
        return self._capture.progress(token)

    def stop(self) -> None:
        if self._monitor is not None:
            self._monitor.stop()
        self._capture.stop()

    def status(self) -> dict[str, object]:
        return {
            **self._capture.status(),
            "unreadable": msgspec.to_builtins(self._decoder.unreadable.report()),
            "blocked_since": None if self._monitor is None else self._monitor.blocked_since,
            "workers_without_events": [msgspec.to_builtins(each) for each in self._find_workers_without_events()],
        }

    def _find_workers_without_events(self) -> list[WorkerWithoutEvents]:
        now, enabler = time.time(), self._enabler
        if enabler is None:
            return self._task_events.find_workers(now, "not_enabled")[:_MAX_WITHOUT_EVENTS]
        found = {each.name: each for each in enabler.find_failed(now)}
        for each in self._task_events.find_workers(now, "no_remote_control"):
            # The tasks of a worker that has confirmed its events have `send_events = False`.
            if not enabler.has_confirmed(each.name):
                found.setdefault(each.name, each)
        return [found[name] for name in sorted(found)[:_MAX_WITHOUT_EVENTS]]


def _report_workers(enabler: EventEnabler, batch: CapturedBatch) -> None:
    event: Event
    for event in batch.events:
        if event.uuid is None and event.hostname is not None and event.type in _WORKER_EVENTS:
            enabler.on_worker_event(event.hostname, event.type, batch.received)
