"""Clients of `/api/v1` and stores in memory for its tests."""

from collections.abc import Callable, Sequence
from typing import Any

import httpx

from flower.records import Task, Worker
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Reader

ClientOf = Callable[[Reader], httpx.Client]


def memory(tasks: Sequence[Task], workers: Sequence[Worker] = ()) -> MemoryReader:
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=tasks, workers=workers))
    return MemoryReader(store)


def get(http: httpx.Client, address: str, status: int = 200, **parameters: Any) -> Any:
    answer = http.get(f"/api/v1/{address}", params=parameters or None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    return answer.json()


def error(http: httpx.Client, address: str, status: int = 400, **parameters: Any) -> dict[str, Any]:
    answer = get(http, address, status, **parameters)
    assert list(answer) == ["error"]
    found: dict[str, Any] = answer["error"]
    assert {"code", "message", "hint"} <= found.keys() <= {"code", "message", "hint", "position"}
    return found
