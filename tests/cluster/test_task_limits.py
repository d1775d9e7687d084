"""Limits are set on real workers and read back from them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flower.cluster.task_limits import task_rate_limit, task_timeout
from flower.cluster.tasks import task_apply
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest, TaskFailed
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.servers import Redis


def registered(worker: Worker, name: str) -> str:
    inspect = worker.app.control.inspect(destination=[worker.hostname], timeout=5)
    tasks = inspect.registered("rate_limit", "time_limit", "soft_time_limit")[worker.hostname]
    return next(task for task in tasks if task.split(" ")[0] == name)


def test_rate_limit(cluster: Cluster) -> None:
    worker = cluster.worker
    replies = asyncio.run(task_rate_limit("shop.echo", "600/m", worker.hostname, app=cluster.app))
    assert replies == {
        "message": "new rate limit set successfully",
        "workers": {worker.hostname: "new rate limit set successfully"},
    }
    assert "rate_limit=600/m" in registered(worker, "shop.echo")
    everywhere = asyncio.run(task_rate_limit("shop.echo", "0", app=cluster.app))
    assert worker.hostname in everywhere["workers"]
    assert "600" not in registered(worker, "shop.echo")


def test_time_limits_are_stored(cluster: Cluster) -> None:
    worker = cluster.worker
    replies = asyncio.run(task_timeout("shop.echo", 7, 9.5, worker.hostname, app=cluster.app))
    assert replies["message"] == "time limits set successfully"
    assert "time_limit=9.5" in registered(worker, "shop.echo")
    assert "soft_time_limit=7" in registered(worker, "shop.echo")
    asyncio.run(task_timeout("shop.echo", workername=worker.hostname, app=cluster.app))
    assert "time_limit" not in registered(worker, "shop.echo")


@pytest.fixture
def own() -> Iterator[Cluster]:
    with Redis() as server:
        app = make(server.url, server.url)
        with Worker(app, concurrency=1) as worker:
            yield Cluster(app, worker)


def test_time_limits_apply_after_a_reconnect(own: Cluster) -> None:
    """Celery workers use the old limits until their next reconnect to the broker; then the new ones apply."""
    asyncio.run(task_timeout("shop.rest", hard=1, app=own.app))
    with own.app.connection_for_read() as connection:
        client = connection.default_channel.client
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    with pytest.raises(TaskFailed, match="TimeLimitExceeded"):
        asyncio.run(task_apply("shop.rest", [30], app=own.app, timeout=25))


def test_rejections(cluster: Cluster) -> None:
    worker = cluster.worker.hostname

    def assert_raises(kind: type[Exception], call: Any, message: str) -> None:
        with pytest.raises(kind, match=message):
            asyncio.run(call)

    assert_raises(Forbidden, task_rate_limit("shop.nothing", "1/s", worker, app=cluster.app), "unknown task")
    assert_raises(Forbidden, task_timeout("shop.nothing", 1, 2, app=cluster.app), "unknown task")
    assert_raises(
        DeadlineExceeded, task_rate_limit("shop.add", "1/s", "celery@nowhere", app=cluster.app), "(?i)timeout"
    )
    assert_raises(
        InvalidRequest, task_rate_limit("shop.add", "fast", worker, app=cluster.app), "Invalid rate limit string"
    )
    assert_raises(InvalidRequest, task_timeout("shop.add", -1, app=cluster.app), "Invalid soft time limit")
    assert_raises(InvalidRequest, task_timeout("shop.add", 1, "x", app=cluster.app), "Invalid hard time limit")  # type: ignore[arg-type]
    assert_raises(InvalidRequest, task_timeout("", 1, app=cluster.app), "name")
