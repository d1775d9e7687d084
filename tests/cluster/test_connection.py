"""An unreachable broker or result backend raises BackendUnavailable within seconds, for every operation."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

import django.conf
import django.db.utils
import pytest
import sqlalchemy.exc
from celery import Celery

from flower.cluster.connection import translate_broker_errors
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
from tests.helpers.clusters import Cluster
from tests.helpers.servers import Redis, free_port

OPERATIONS: list[Callable[[Celery], Coroutine[Any, Any, Any]]] = [
    lambda app: task_apply("shop.add", [1, 2], app=app),
    lambda app: task_async_apply("shop.add", [1, 2], app=app),
    lambda app: task_send_task("shop.add", [1, 2], app=app),
    lambda app: get_task_result("x", app=app),
    lambda app: task_abort("x", app=app),
    lambda app: task_revoke("x", app=app),
    lambda app: task_rate_limit("shop.add", "1/s", app=app),
    lambda app: queue_lengths(["celery"], app=app),
]


def assert_all_unavailable(app: Celery) -> None:
    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(operation(app) for operation in OPERATIONS), return_exceptions=True)

    started_at = time.monotonic()
    outcomes = asyncio.run(all_at_once())
    assert [type(outcome) for outcome in outcomes] == [BackendUnavailable] * len(OPERATIONS)
    assert time.monotonic() - started_at < 40


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_connection_refused(scheme: str) -> None:
    assert_all_unavailable(make(f"{scheme}://127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}"))


def test_unresponsive_and_recovered() -> None:
    with Redis() as server:
        app = make(server.url, server.url)
        assert asyncio.run(task_send_task("shop.add", [1, 2], app=app))["state"] == "PENDING"
        server.signal(signal.SIGSTOP)
        try:
            assert_all_unavailable(app)
        finally:
            server.signal(signal.SIGCONT)
        assert asyncio.run(task_send_task("shop.add", [1, 2], app=app))["state"] == "PENDING"


def test_broker_restart_between_two_calls() -> None:
    with Redis() as server:
        app = make(server.url, server.url)
        asyncio.run(task_send_task("shop.add", [1, 2], app=app))
        server.stop()
        server.start()
        assert asyncio.run(task_send_task("shop.add", [1, 2], app=app))["state"] == "PENDING"


@pytest.mark.parametrize(
    "error",
    [
        sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection")),
        sqlalchemy.exc.TimeoutError("pool limit"),
        django.db.utils.OperationalError("connection refused"),
        django.db.utils.InterfaceError("connection already closed"),
    ],
)
def test_errors_of_result_databases_are_translated(error: Exception) -> None:
    with pytest.raises(BackendUnavailable), translate_broker_errors():
        raise error


def test_results_are_read_in_a_program_that_imports_django_without_settings(redis_cluster: Cluster) -> None:
    """A connection of Django is renewed only if Django is configured."""
    assert not django.conf.settings.configured
    sent = asyncio.run(task_send_task("shop.add", [1, 2], app=redis_cluster.app))
    assert asyncio.run(get_task_result(sent["task-id"], 10, app=redis_cluster.app))["result"] == 3
