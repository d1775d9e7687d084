"""A broker or backend that is not there is an `Unavailable` within seconds, whatever was asked."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from celery import Celery

from flower.cluster.queues import queue_lengths
from flower.cluster.task_limits import task_rate_limit
from flower.cluster.tasks import (
    get_task_result,
    task_abort,
    task_apply,
    task_async_apply,
    task_revoke,
    task_send_task,
)
from flower.errors import BackendUnavailable
from tests.helpers.celery_app import make
from tests.helpers.servers import Redis, free_port

ASKED: list[Callable[[Celery], Coroutine[Any, Any, Any]]] = [
    lambda app: task_apply("shop.add", [1, 2], app=app),
    lambda app: task_async_apply("shop.add", [1, 2], app=app),
    lambda app: task_send_task("shop.add", [1, 2], app=app),
    lambda app: get_task_result("x", app=app),
    lambda app: task_abort("x", app=app),
    lambda app: task_revoke("x", app=app),
    lambda app: task_rate_limit("shop.add", "1/s", app=app),
    lambda app: queue_lengths(["celery"], app=app),
]


def refused_everywhere(app: Celery) -> None:
    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(ask(app) for ask in ASKED), return_exceptions=True)

    begun = time.monotonic()
    answers = asyncio.run(all_at_once())
    assert [type(answer) for answer in answers] == [BackendUnavailable] * len(ASKED)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_refused(scheme: str) -> None:
    refused_everywhere(make(f"{scheme}://127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}"))


def test_hanging_and_back_again() -> None:
    with Redis() as server:
        app = make(server.url, server.url)
        assert asyncio.run(task_send_task("shop.add", [1, 2], app=app))["state"] == "PENDING"
        server.signal(signal.SIGSTOP)
        try:
            refused_everywhere(app)
        finally:
            server.signal(signal.SIGCONT)
        assert asyncio.run(task_send_task("shop.add", [1, 2], app=app))["state"] == "PENDING"


def test_a_broker_that_was_restarted_between_two_calls() -> None:
    with Redis() as server:
        app = make(server.url, server.url)
        asyncio.run(task_send_task("shop.add", [1, 2], app=app))
        server.stop()
        server.start()
        assert asyncio.run(task_send_task("shop.add", [1, 2], app=app))["state"] == "PENDING"
