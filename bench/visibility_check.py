"""What a system shows over HTTP, compared with what it must show."""

import http.client
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.event_stream import Outcome
from bench.wire_format import FinishedTask


class VisibleTask(msgspec.Struct):
    """The members of a task object that are compared."""

    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    state: str | None = None

    def matches(self, outcome: Outcome) -> bool:
        """Whether the task is shown as expected."""
        return (self.name, self.state, self.args, self.kwargs) == (
            outcome.name,
            outcome.state,
            outcome.args,
            outcome.kwargs,
        )


Tasks = dict[str, VisibleTask]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Counts of tasks that are missing or wrong."""

    expected: int
    missing: int
    wrong: int

    @property
    def loss(self) -> float:
        """Share of the tasks that are missing or wrong."""
        return (self.missing + self.wrong) / self.expected if self.expected else 0.0


def compare_tasks(tasks: Mapping[str, VisibleTask], outcomes: Mapping[str, Outcome]) -> Comparison:
    missing = sum(uuid not in tasks for uuid in outcomes)
    matching = sum(uuid in tasks and tasks[uuid].matches(outcome) for uuid, outcome in outcomes.items())
    return Comparison(len(outcomes), missing, len(outcomes) - missing - matching)


@dataclass(slots=True)
class HttpClient:
    """An HTTP client with one connection, which is reopened when it breaks."""

    port: int
    page_size: int | None = None
    #: called when there is no response; raises if the system has exited
    check_alive: Callable[[], None] = lambda: None
    timeout: float = 300.0
    _connection: http.client.HTTPConnection | None = field(default=None)

    def get(self, path: str, **parameters: object) -> tuple[int, bytes]:
        """Status and body. Raises OSError or HTTPException if there is no response."""
        if parameters:
            path = f"{path}?{urllib.parse.urlencode(parameters)}"
        was_open = self._connection is not None
        try:
            return self._request(path)
        except (http.client.RemoteDisconnected, ConnectionError):
            # A server may close an idle connection; a new one shows whether it is running.
            if not was_open:
                raise
            return self._request(path)

    def time_get(self, path: str, **parameters: object) -> float:
        """Seconds until the response. Raises RuntimeError if its status is not 200."""
        started_at = time.perf_counter()
        status, body = self.get(path, **parameters)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {body[:200]!r}")
        return time.perf_counter() - started_at

    def wait_for_page(self, path: str = "/tasks", *, limit: float = 60.0) -> None:
        """Return as soon as the path responds with a page."""
        deadline = time.monotonic() + limit
        while True:
            try:
                status, body = self.get(path)
                if status == 200 and body:
                    return
            except (OSError, http.client.HTTPException):
                self.check_alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"no page at {path} after {limit:.0f} s")
            time.sleep(0.005)

    def task(self, uuid: str) -> dict[str, Any] | None:
        """The task object, None if it is unknown. Cheap in both systems, so it can be polled."""
        status, body = self.get(f"/api/task/info/{uuid}")
        if status == 404:
            return None
        if status != 200:
            raise RuntimeError(f"/api/task/info answered {status}: {body[:200]!r}")
        task: dict[str, Any] = msgspec.json.decode(body)
        return task

    def are_finished(self, tasks: Iterable[FinishedTask]) -> bool:
        """Whether each task shows its expected final state."""
        return all((shown := self.task(uuid)) is not None and shown["state"] == state for uuid, state in tasks)

    def tasks(self) -> Tasks:
        """All tasks of `/api/tasks`, page by page if the system has cheap pages."""
        if self.page_size is None:
            return self._tasks()
        everything: Tasks = {}
        while page_size := self._tasks(limit=self.page_size, offset=len(everything)):
            known = len(everything)
            everything.update(page_size)
            if len(everything) == known:  # a page that repeats itself would make the loop endless
                break
        return everything

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, path: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            self._connection.request("GET", path)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _tasks(self, **parameters: object) -> Tasks:
        status, body = self.get("/api/tasks", **parameters)
        if status != 200:
            raise RuntimeError(f"/api/tasks answered {status}: {body[:200]!r}")
        return msgspec.json.decode(body, type=Tasks)
