"""Statistics of workers that pages share."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flower.api import worker_stats
from flower.api.context import Context
from flower.api.worker_stats import MAX_SHARED_AGE, WorkerStats
from flower.errors import BackendUnavailable


class Broker:
    """Counts the requests for statistics, each of which takes `duration` seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, duration: float = 0.0) -> None:
        self.requests = 0
        self.duration = duration
        monkeypatch.setattr(WorkerStats, "_request_stats", self.read)

    async def read(self, context: Context) -> None:
        self.requests += 1
        await asyncio.sleep(self.duration)
        raise BackendUnavailable("unreachable")


def set_time(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(worker_stats, "time", SimpleNamespace(monotonic=lambda: now))


CONTEXT = cast(Context, None)


def test_many_pages_cost_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)

    async def request() -> None:
        stats = WorkerStats()
        set_time(monkeypatch, 100.0)
        await asyncio.gather(*(stats.refresh(CONTEXT) for _ in range(20)))
        await stats.refresh(CONTEXT)
        assert broker.requests == 1
        set_time(monkeypatch, 100.0 + MAX_SHARED_AGE + 0.1)
        await stats.refresh(CONTEXT)
        assert broker.requests == 2

    asyncio.run(request())


def test_pages_do_not_wait_for_slow_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, duration=3600.0)
    monkeypatch.setattr(worker_stats, "MAX_WAIT", 0.01)

    async def request() -> Any:
        stats = WorkerStats()
        await stats.refresh(CONTEXT)  # would wait for an hour
        await stats.refresh(CONTEXT)
        assert broker.requests == 1

    asyncio.run(request())
