"""Enables events: broadcasts `enable_events` to all workers after a connect and periodically, and sends it to a worker
at once when its first event arrives.

The reply of a worker proves whether its task events were enabled: if they were not, the time until then is a gap of
this worker.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from celery import Celery
from kombu.common import maybe_declare
from kombu.messaging import Producer
from kombu.utils.uuid import uuid

from flower.capture.connection import describe_error, open_connection
from flower.recorder_status import WorkerWithoutEvents
from flower.records import Gap
from flower.untrusted_values import convert_or_none

log = logging.getLogger(__name__)

_STOP_TIMEOUT = 2.0
#: Seconds between two attempts to connect.
_RETRY_DELAY: Final = 5.0
#: Seconds to wait for the next reply.
_REPLY_TIMEOUT: Final = 1.0
#: Seconds until the command is sent again to a worker that sends events and has not replied.
_REPEAT_DELAY: Final = 5.0
#: Transports on which workers can reply.
_TRANSPORTS_WITH_REPLIES: Final = ("redis", "amqp")
#: What a worker replies that did not send task events before.
_ENABLED_REPLY: Final = "task events enabled"
#: Broadcasts after which a worker that no longer replies with an error is not reported.
_ERROR_BROADCASTS: Final = 3

#: enabled          it did not send task events before
#: already_enabled  it did
#: failed           it cannot send any: an error, as without an event dispatcher
EnableReply: TypeAlias = Literal["enabled", "already_enabled", "failed"]


def read_enable_reply(reply: Any) -> EnableReply:
    """The meaning of the reply of a worker to `enable_events`."""
    text = reply.get("ok") if isinstance(reply, dict) else None
    if not text:
        return "failed"
    return "enabled" if text == _ENABLED_REPLY else "already_enabled"


class _SingleAttemptProducer(Producer):
    """Kombu's mailbox would retry forever without a message; the loop in this module can be stopped."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:
        return super().publish(*args, **{**kwargs, "retry": False})  # type: ignore[no-untyped-call]


#: Workers whose state is kept in memory; the ones that are known for the longest time are removed first, and receive
#: another command with their next event.
_MAX_WORKERS = 10_000
#: Workers that one command names; more are reached by a command to all workers.
_MAX_DESTINATIONS = 1_000


class _ControlConnection:
    """Sends control commands on one connection."""

    def __init__(self, app: Celery, connection: Any) -> None:
        self._mailbox = app.control.mailbox(connection)
        self._channel = connection.default_channel
        self._producer = _SingleAttemptProducer(self._channel, auto_declare=False)  # type: ignore[no-untyped-call]
        self._has_replies = connection.transport.driver_type in _TRANSPORTS_WITH_REPLIES

    def send(self, command: str) -> None:
        self._mailbox._publish(command, {}, producer=self._producer)

    def call(self, command: str, workers: Sequence[str] | None = None) -> Mapping[str, Any]:
        """The replies by worker. `workers` None: all. Waits until each of `workers` has replied, or none replies for
        _REPLY_TIMEOUT seconds."""
        mailbox, destination = self._mailbox, None if workers is None else list(workers)
        if not self._has_replies:
            mailbox._publish(command, {}, destination=destination, producer=self._producer)
            return {}
        maybe_declare(mailbox.reply_queue(self._channel))  # type: ignore[no-untyped-call]
        ticket = uuid()
        mailbox._publish(
            command, {}, destination=destination, reply_ticket=ticket, channel=self._channel,
            timeout=_REPLY_TIMEOUT, producer=self._producer,
        )  # fmt: skip
        replies = mailbox._collect(
            ticket, limit=len(destination) if destination else None, timeout=_REPLY_TIMEOUT, channel=self._channel
        )
        by_worker: dict[str, Any] = {}
        for reply in replies or ():
            by_worker.update(convert_or_none(reply, dict[str, Any]) or {})
        return by_worker


class EventEnabler:
    """Enables events over its own connection. `interval`: seconds between two broadcasts to all workers."""

    def __init__(self, app: Celery, interval: float) -> None:
        self._app, self._interval = app, interval
        self._wake = threading.Event()
        self._stopping = False
        self._has_connected = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="capture-enable", daemon=True)
        self._lock = threading.Lock()
        #: by worker: when it last confirmed that task events are enabled, by the local clock
        self._confirmed: dict[str, float] = {}
        #: by worker: when the command was last requested for it alone
        self._requested: dict[str, float] = {}
        self._new_workers: dict[str, float] = {}
        #: by worker: arrival of its `worker-online`, or of its first event
        self._seen_at: dict[str, float] = {}
        #: by worker: when it first and last replied with an error, in epoch seconds
        self._failed: dict[str, tuple[float, float]] = {}
        self._all_requested = False
        self._gaps: list[Gap] = []

    def start(self) -> None:
        self._thread.start()

    def on_connect(self) -> None:
        """Capture has (re)connected: broadcast immediately, and request a heartbeat, so that online workers are known
        at once."""
        self._has_connected = self._all_requested = True
        self._wake.set()

    def on_worker_event(self, hostname: str, event_type: str, received: float) -> None:
        """A worker has sent `worker-online` or a heartbeat: enable its task events if they may be disabled."""
        now = time.monotonic()
        with self._lock:
            if event_type == "worker-online" or hostname not in self._seen_at:
                self._seen_at[hostname] = received
            if event_type != "worker-online" and (
                hostname in self._confirmed or now - self._requested.get(hostname, -_REPEAT_DELAY) < _REPEAT_DELAY
            ):
                return
            self._requested[hostname] = now
            if len(self._new_workers) < _MAX_DESTINATIONS:
                self._new_workers.setdefault(hostname, received)
            else:
                self._all_requested = True
            for known in (self._seen_at, self._requested, self._confirmed):
                _remove_oldest(known)
        self._wake.set()

    def take_gaps(self) -> list[Gap]:
        """The gaps that were found since the last call."""
        if not self._gaps:
            return []
        with self._lock:
            gaps, self._gaps = self._gaps, []
        return gaps

    def find_failed(self, now: float) -> list[WorkerWithoutEvents]:
        """The workers that reply with an error, by name. `now`: epoch seconds."""
        timeout = _ERROR_BROADCASTS * self._interval
        with self._lock:
            failed = sorted(self._failed.items())
        return [
            WorkerWithoutEvents(name, since, "no_dispatcher") for name, (since, last) in failed if now - last < timeout
        ]

    def has_confirmed(self, worker: str) -> bool:
        """Whether the worker has replied that its task events are enabled."""
        return worker in self._confirmed

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        while not self._stopping:
            # Events are requested only once capture is connected.
            if self._wake.wait(min(self._interval, _RETRY_DELAY) if self._has_connected else None):
                self._wake.clear()
            if self._stopping:
                return
            if not self._has_connected:
                continue
            try:
                with open_connection(self._app.connection_for_write()) as connection:
                    self._enable(_ControlConnection(self._app, connection))
            except Exception as error:  # noqa: BLE001  each transport has its own errors; none may end this thread
                self._log_failure(error)

    def _enable(self, control: _ControlConnection) -> None:
        """Send commands on one connection until it fails or stop is requested."""
        next_broadcast = 0.0
        self._all_requested = True
        while not self._stopping:
            self._wake.clear()
            with self._lock:
                new_workers, self._new_workers = self._new_workers, {}
            if self._all_requested or time.monotonic() >= next_broadcast:
                is_first, self._all_requested = self._all_requested, False
                next_broadcast = time.monotonic() + self._interval
                if is_first:
                    control.send("heartbeat")
                self._process_replies(control, control.call("enable_events"), new_workers)
            elif new_workers:
                self._process_replies(control, control.call("enable_events", list(new_workers)), new_workers)
            if self._failing:
                log.info("capture: enable_events broadcasts resumed")
                self._failing = False
            self._wake.wait(max(0.0, next_broadcast - time.monotonic()))

    def _process_replies(
        self, control: _ControlConnection, replies: Mapping[str, Any], first_seen: Mapping[str, float]
    ) -> None:
        now = time.time()
        outcomes = {name: read_enable_reply(reply) for name, reply in replies.items()}
        disabled = [name for name, outcome in outcomes.items() if outcome == "enabled"]
        started = self._find_start_times(control, disabled, now) if disabled else {}
        gaps = []
        for name in disabled:
            start = max(
                started.get(name) or first_seen.get(name) or self._seen_at.get(name, now),
                self._confirmed.get(name, 0.0),
            )
            reason = f"task events of {name} were disabled until Bellflower enabled them"
            gaps.append(Gap(min(start, now), now, reason, cause="worker_events_disabled", worker=name))
            log.info("capture: enabled the task events of %s", name)
        with self._lock:
            self._gaps += gaps
            for name, outcome in outcomes.items():
                if outcome == "failed":
                    self._confirmed.pop(name, None)
                    self._failed[name] = (self._failed.get(name, (now,))[0], now)
                else:
                    self._confirmed[name] = now
                    self._failed.pop(name, None)
            _remove_oldest(self._failed)

    @staticmethod
    def _find_start_times(control: _ControlConnection, workers: Sequence[str], now: float) -> dict[str, float]:
        """When the workers started, by the local clock: a worker reports for how many whole seconds it runs."""
        times: dict[str, float] = {}
        for name, reply in control.call("stats", workers).items():
            uptime = convert_or_none(reply.get("uptime"), float) if isinstance(reply, dict) else None
            if uptime is not None:
                times[name] = now - uptime - 1.0
        return times

    def _log_failure(self, error: Exception) -> None:
        if not self._failing:
            reason = describe_error(error, self._app.conf.broker_write_url)
            log.warning("capture: cannot broadcast enable_events: %s", reason)
            log.debug("capture: enable_events failed", exc_info=True)
        self._failing = True


def _remove_oldest(by_worker: dict[str, Any]) -> None:
    while len(by_worker) > _MAX_WORKERS:
        del by_worker[next(iter(by_worker))]
