"""A client of the event stream (Server-Sent Events) of `/api/v1`, which reads in a thread."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from tests.helpers.servers import wait_for


@dataclass(frozen=True)
class StreamEvent:
    name: str
    id: str
    data: dict[str, Any]


class StreamReader:
    """Reads the stream until it ends or the context is left. `events` are all events received. `client` provides the
    address and the credentials."""

    def __init__(self, client: httpx.Client, *, last: str = "", **parameters: Any) -> None:
        self.events: list[StreamEvent] = []
        self.comments = 0
        self.last_id = last
        self.status: int | None = None
        self.over = False
        self._client = httpx.Client(base_url=client.base_url, auth=client.auth, headers=client.headers, timeout=60)
        self._parameters = parameters
        self._leaving = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leaving.set()
        if self._socket is not None:
            with suppress(OSError):  # already closed
                self._socket.shutdown(socket.SHUT_RDWR)  # interrupts the reading thread
        self._thread.join(20)
        self._client.close()

    def named(self, name: str) -> list[StreamEvent]:
        return [event for event in self.events if event.name == name]

    def wait(self, name: str, count: int = 1) -> StreamEvent:
        """The event number `count` of this name."""
        wait_for(f"{count} {name} in {self.events}", lambda: len(self.named(name)) >= count)
        return self.named(name)[count - 1]

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The rows that a page shows after it has applied all changes."""
        shown: dict[str, dict[str, Any]] = {}
        for event in self.named("tasks"):
            for uuid in event.data["removed"]:
                shown.pop(uuid, None)
            shown.update({row["uuid"]: row for row in event.data["tasks"]})
        return shown

    def _listen(self) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        try:
            with self._client.stream("GET", "/api/v1/stream", params=self._parameters, headers=headers) as answer:
                self._socket = answer.extensions["network_stream"].get_extra_info("socket")
                self.status = answer.status_code
                self._read(answer)
        except (httpx.HTTPError, RuntimeError, OSError):
            if not self._leaving.is_set() and self.status is None:
                self.status = 0
        finally:
            self.over = True

    def _read(self, answer: httpx.Response) -> None:
        """Parse the stream as in the HTML standard, as far as Bellflower uses it."""
        name, data = "message", ""
        for line in _lines(answer):
            field, _, value = line.partition(": ")
            if not line:
                if data:
                    self.events.append(StreamEvent(name, self.last_id, json.loads(data)))
                name, data = "message", ""
            elif field == "event":
                name = value
            elif field == "data":
                data += value
            elif field == "id":
                self.last_id = value
            elif line.startswith(":"):
                self.comments += 1
            if self._leaving.is_set():
                return


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Lines end at a line feed only; those of httpx end at every Unicode line separator."""
    rest = b""
    for piece in answer.iter_raw():
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode() for line in lines)
