"""What a system shows over HTTP, and whether it is right."""

import http.client
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.event_stream import Outcome
from bench.wire_format import Ended


class Shown(msgspec.Struct):
    """The part of a task object that is compared."""

    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    state: str | None = None

    def is_right(self, outcome: Outcome) -> bool:
        """Arguments may be cut short: Celery itself does that to long ones."""
        return (self.name, self.state, self.args, self.kwargs) == (
            outcome.name,
            outcome.state,
            outcome.args,
            outcome.kwargs,
        )


Tasks = dict[str, Shown]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what is shown compares with what happened."""

    expected: int
    absent: int
    wrong: int

    @property
    def lost(self) -> float:
        """Share of the tasks that are absent or wrong."""
        return (self.absent + self.wrong) / self.expected if self.expected else 0.0


def judge(tasks: Mapping[str, Shown], outcomes: Mapping[str, Outcome]) -> Verdict:
    absent = sum(uuid not in tasks for uuid in outcomes)
    right = sum(uuid in tasks and tasks[uuid].is_right(outcome) for uuid, outcome in outcomes.items())
    return Verdict(len(outcomes), absent, len(outcomes) - absent - right)


@dataclass(slots=True)
class View:
    """One client with one connection, which is made again when it breaks."""

    port: int
    page: int | None = None
    #: Called when no answer comes; raises if the system is not there any more.
    alive: Callable[[], None] = lambda: None
    timeout: float = 300.0
    _connection: http.client.HTTPConnection | None = field(default=None)

    def get(self, path: str, **parameters: object) -> tuple[int, bytes]:
        """Status and body; raises OSError or HTTPException if there is no answer."""
        if parameters:
            path = f"{path}?{urllib.parse.urlencode(parameters)}"
        kept_alive = self._connection is not None
        try:
            return self._ask(path)
        except (http.client.RemoteDisconnected, ConnectionError):
            # A server may close a connection that was idle; whether it is there is told by a new one.
            if not kept_alive:
                raise
            return self._ask(path)

    def timed(self, path: str, **parameters: object) -> float:
        """Seconds for an answer, which must be a good one."""
        began = time.perf_counter()
        status, body = self.get(path, **parameters)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {body[:200]!r}")
        return time.perf_counter() - began

    def first_page(self, path: str = "/tasks", *, limit: float = 60.0) -> None:
        """Return as soon as there is a page."""
        deadline = time.monotonic() + limit
        while True:
            try:
                status, body = self.get(path)
                if status == 200 and body:
                    return
            except (OSError, http.client.HTTPException):
                self.alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"no page at {path} after {limit:.0f} s")
            time.sleep(0.005)

    def task(self, uuid: str) -> dict[str, Any] | None:
        """The task object, None if it is not known. Cheap for both systems, so it can be asked often."""
        status, body = self.get(f"/api/task/info/{uuid}")
        if status == 404:
            return None
        if status != 200:
            raise RuntimeError(f"/api/task/info answered {status}: {body[:200]!r}")
        found: dict[str, Any] = msgspec.json.decode(body)
        return found

    def ended(self, tasks: Iterable[Ended]) -> bool:
        """Whether each of them is in the state that it must end in."""
        return all((shown := self.task(uuid)) is not None and shown["state"] == state for uuid, state in tasks)

    def tasks(self) -> Tasks:
        """Everything `/api/tasks` has, page by page where the system has pages."""
        if self.page is None:
            return self._tasks()
        everything: Tasks = {}
        while page := self._tasks(limit=self.page, offset=len(everything)):
            known = len(everything)
            everything.update(page)
            if len(everything) == known:  # pages that repeat themselves would keep us here for ever
                break
        return everything

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, path: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _tasks(self, **parameters: object) -> Tasks:
        status, body = self.get("/api/tasks", **parameters)
        if status != 200:
            raise RuntimeError(f"/api/tasks answered {status}: {body[:200]!r}")
        return msgspec.json.decode(body, type=Tasks)
