"""Depths of queues that pages and metrics share."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flower.api import queue_depths
from flower.api.context import Context
from flower.api.queue_depths import MAX_AGE, MAX_SHARED_AGE, QueueDepths, refresh_queue_depths
from flower.errors import BackendUnavailable
from flower.store.ledger.queue_samples import QueueSample


class Broker:
    """Counts the requests for depths."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests = 0
        self.is_reachable = True
        monkeypatch.setattr(queue_depths, "get_current_samples", self.read)

    async def read(self, context: Context) -> list[QueueSample]:
        self.requests += 1
        await asyncio.sleep(0.01)
        if not self.is_reachable:
            raise BackendUnavailable("unreachable")
        return [QueueSample("mail", time.time(), self.requests)]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    return Broker(monkeypatch)


CONTEXT = cast(Context, None)


def set_time(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    """For this module only: the event loop needs a clock that runs."""
    monkeypatch.setattr(queue_depths, "time", SimpleNamespace(monotonic=lambda: now))


def test_many_pages_cost_one_request(broker: Broker) -> None:
    async def request() -> None:
        depths = QueueDepths()
        assert depths.latest() is None
        found = await asyncio.gather(*(depths.get(CONTEXT) for _ in range(20)))
        assert {each[0].ready for each in found} == {1}
        assert broker.requests == 1
        latest = depths.latest()
        assert latest is not None
        assert latest[0].ready == 1

    asyncio.run(request())


def test_old_depths_are_read_again(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def request() -> None:
        depths, now = QueueDepths(), time.monotonic()
        await depths.get(CONTEXT)
        set_time(monkeypatch, now + MAX_SHARED_AGE + 1)
        assert (await depths.get(CONTEXT))[0].ready == 2
        set_time(monkeypatch, now + MAX_SHARED_AGE + MAX_AGE + 2)
        assert depths.latest() is None

    asyncio.run(request())


def test_all_pages_receive_the_error_and_a_cancelled_one_does_not_end_the_request(broker: Broker) -> None:
    async def request() -> None:
        broker.is_reachable = False
        depths = QueueDepths()
        pages = [asyncio.create_task(depths.get(CONTEXT)) for _ in range(3)]
        await asyncio.sleep(0)
        pages[0].cancel()
        results = await asyncio.gather(*pages, return_exceptions=True)
        assert [type(each) for each in results] == [asyncio.CancelledError, BackendUnavailable, BackendUnavailable]
        assert broker.requests == 1
        broker.is_reachable = True
        assert (await depths.get(CONTEXT))[0].ready == 2

    asyncio.run(request())


@pytest.mark.parametrize("is_in_use", [False, True])
def test_depths_are_kept_up_to_date_while_metrics_are_in_use(broker: Broker, is_in_use: bool) -> None:
    context: Any = SimpleNamespace(metrics=SimpleNamespace(is_in_use=is_in_use), queue_depths=QueueDepths())
    asyncio.run(refresh_queue_depths(context))
    assert broker.requests == is_in_use
