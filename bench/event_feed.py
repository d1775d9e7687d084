"""The publisher process seen from the side that measures, and the pace at which a system is fed."""

import bisect
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from bench.event_stream import Workload
from bench.install import ROOT
from bench.visibility_check import View
from bench.wire_format import Ended
from tests.helpers.servers import Server

#: How long to wait between two looks at the system.
POLL = 0.03
#: A system that shows nothing new for so long has lost something.
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Form:
    """A broker and how events go over it. `label` is what people read."""

    broker: str
    batched: bool

    @property
    def label(self) -> str:
        return f"{self.broker}-{'batched' if self.batched else 'single'}"


FORMS = tuple(Form(broker, batched) for broker in ("redis", "rabbitmq") for batched in (False, True))


class Lost(Exception):
    """The system did not show what it was sent."""


class Feed:
    """A stream that is ready to be published, as often as one likes. A context manager."""

    def __init__(self, form: Form, workload: Workload) -> None:
        self.form = form
        self.workload = workload
        command = [
            sys.executable, "-m", "bench.publisher",
            form.broker, "batched" if form.batched else "single", json.dumps(asdict(workload)),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        facts = self._answer()
        self.messages: int = facts["messages"]
        self.bytes: int = facts["bytes"]
        self.sent_by_step: list[int] = [events for events, _ in facts["steps"]]
        self.ended_by_step = [Ended(*ended) if ended else None for _, ended in facts["steps"]]
        self.tail = [Ended(*ended) for ended in facts["tail"]]

    @property
    def events(self) -> int:
        return self.sent_by_step[-1]

    @property
    def steps(self) -> int:
        return len(self.sent_by_step)

    def connect(self, server: Server) -> None:
        self._ask("rewind")
        self._ask(f"connect 127.0.0.1 {server.port}")

    def send(self, until: int) -> dict[str, Any]:
        """Publish all steps before this one; gives the `seconds` it took, and for Redis the messages `unheard`."""
        return self._ask(f"send {until}")

    def greet(self, view: View, limit: float = 60.0) -> None:
        """Return when the system hears us: it shows a task that is in no workload."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            stranger = str(uuid.uuid4())
            self._ask(f"greet {stranger}")
            answer = time.monotonic() + 2
            while time.monotonic() < answer:
                if view.task(stranger) is not None:
                    return
                time.sleep(POLL)
        raise Lost("the system does not hear its broker")

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

    def _ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the publisher ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


@dataclass(slots=True)
class Paced:
    """Feeds a system as fast as it shows what it was given, with at most `window` events on the way.

    What is on the way is known from the tasks that end in the stream: the system is asked whether the
    one that ended last an eighth of the window further on is in its final state. That costs it next to
    nothing, and events become visible in the order in which they were sent.
    """

    feed: Feed
    view: View
    window: int

    def run(self, seen: Callable[[int], None], until: int | None = None) -> None:
        """Feed all steps before `until`. `seen` is called with the number of events visible whenever
        that has grown. Raises Lost if it does not grow for a long time."""
        goal = self.feed.steps if until is None else until
        sent = shown = 0
        progress = time.monotonic()
        while shown < goal:
            ahead = self._reach(shown, self.window, goal)
            if ahead > sent:
                self.feed.send(ahead)
                sent = ahead
            mark = self._reach(shown, self.window // 8, goal)
            ended = self.feed.ended_by_step[mark - 1]
            if ended is None or self.view.ended([ended]):
                shown, progress = mark, time.monotonic()
                seen(self._events(shown))
            elif time.monotonic() - progress > PATIENCE:
                raise Lost(f"only {self._events(shown):,} of {self._events(goal):,} events became visible")
            else:
                time.sleep(POLL)

    def _events(self, step: int) -> int:
        return self.feed.sent_by_step[step - 1] if step else 0

    def _reach(self, step: int, events: int, goal: int) -> int:
        """The step that lies so many events further on; at least one step, at most the goal."""
        found = bisect.bisect_right(self.feed.sent_by_step, self._events(step) + events)
        return min(max(found, step + 1), goal)
