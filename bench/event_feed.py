"""The publisher process, seen from the process that measures, and flow control of the events that it publishes."""

import bisect
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from bench.event_stream import Workload
from bench.install import ROOT
from bench.visibility_check import HttpClient
from bench.wire_format import FinishedTask
from tests.helpers.servers import Server

#: Events in flight at most, the same for all systems. Flower loses events if more of them wait: Redis disconnects a
#: client that is 32 MB behind, and RabbitMQ drops events that have waited for 5 s.
WINDOW = 20_000
#: Seconds between two polls of the system.
POLL_INTERVAL = 0.03
#: Seconds without progress after which events count as lost.
PROGRESS_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Transport:
    """A broker, and whether task events are batched on it."""

    broker: str
    batched: bool

    @property
    def label(self) -> str:
        return f"{self.broker}-{'batched' if self.batched else 'single'}"


TRANSPORTS = tuple(Transport(broker, batched) for broker in ("redis", "rabbitmq") for batched in (False, True))


class EventsLost(Exception):
    """The system does not show all events that were published."""


class EventFeed:
    """An encoded event stream that can be published any number of times. A context manager."""

    def __init__(self, transport: Transport, workload: Workload) -> None:
        self.transport = transport
        self.workload = workload
        command = [
            sys.executable, "-m", "bench.publisher",
            transport.broker, "batched" if transport.batched else "single", json.dumps(asdict(workload)),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        facts = self._read_reply()
        self.messages: int = facts["messages"]
        self.bytes: int = facts["bytes"]
        self.sent_by_step: list[int] = [events for events, _ in facts["steps"]]
        self.finished_by_step = [FinishedTask(*finished) if finished else None for _, finished in facts["steps"]]
        self.tail = [FinishedTask(*finished) for finished in facts["tail"]]

    @property
    def events(self) -> int:
        return self.sent_by_step[-1]

    @property
    def steps(self) -> int:
        return len(self.sent_by_step)

    def connect(self, server: Server) -> None:
        self._send_command("rewind")
        self._send_command(f"connect 127.0.0.1 {server.port}")

    def send(self, until: int) -> dict[str, Any]:
        """Publish all steps before `until`. Returns the `seconds` it took and, for Redis, the number of messages
        `undelivered`, that is published while no client was subscribed."""
        return self._send_command(f"send {until}")

    def wait_until_consuming(self, client: HttpClient, limit: float = 60.0) -> None:
        """Return when the system consumes events: it shows a task that is in no workload."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            probe = str(uuid.uuid4())
            self._send_command(f"probe {probe}")
            retry_at = time.monotonic() + 2
            while time.monotonic() < retry_at:
                if client.task(probe) is not None:
                    return
                time.sleep(POLL_INTERVAL)
        raise EventsLost("the system does not consume events from its broker")

    def send_all(self) -> dict[str, Any]:
        return self.send(self.steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def _send_command(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._read_reply()

    def _read_reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the publisher exited with status {self.process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply


@dataclass(slots=True)
class WindowedFeed:
    """Feeds a system as fast as it shows the events, with at most `WINDOW` events in flight.

    Progress is measured by the tasks that finish in the stream: the system is queried for the last task that finishes
    within the next eighth of the window, until it shows its final state. One request for one task costs the system
    almost nothing, and events become visible in the order in which they were sent.
    """

    feed: EventFeed
    client: HttpClient
    #: of each checkpoint: seconds from its publication until it was visible
    delays: list[float] = field(default_factory=list)

    def run(self, on_visible: Callable[[int], None], until: int | None = None) -> None:
        """Feed all steps before `until`. Calls `on_visible` with the number of visible events whenever it has grown.
        Raises EventsLost if it has not grown for PROGRESS_TIMEOUT."""
        last_step = self.feed.steps if until is None else until
        sent = shown = 0
        sent_at: list[tuple[int, float]] = []
        progress = time.monotonic()
        while shown < last_step:
            ahead = self._reach(shown, WINDOW, last_step)
            if ahead > sent:
                self.feed.send(ahead)
                sent = ahead
                sent_at.append((sent, time.monotonic()))
            checkpoint = self._reach(shown, WINDOW // 8, last_step)
            finished = self.feed.finished_by_step[checkpoint - 1]
            if finished is None or self.client.are_finished([finished]):
                shown, progress = checkpoint, time.monotonic()
                self.delays.append(progress - sent_at[bisect.bisect_left(sent_at, (shown, 0.0))][1])
                on_visible(self._events_until(shown))
            elif time.monotonic() - progress > PROGRESS_TIMEOUT:
                raise EventsLost(
                    f"only {self._events_until(shown):,} of {self._events_until(last_step):,} events became visible"
                )
            else:
                time.sleep(POLL_INTERVAL)

    def _events_until(self, step: int) -> int:
        return self.feed.sent_by_step[step - 1] if step else 0

    def _reach(self, step: int, events: int, last_step: int) -> int:
        """The step that is `events` further on: at least one step, at most the last one."""
        step_found = bisect.bisect_right(self.feed.sent_by_step, self._events_until(step) + events)
        return min(max(step_found, step + 1), last_step)
