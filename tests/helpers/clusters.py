"""Fixtures: brokers with a real worker, one of each kind per test session."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from celery import Celery

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.servers import RabbitMQ, Redis


@dataclass(frozen=True)
class Cluster:
    app: Celery
    worker: Worker


@pytest.fixture(scope="module")
def module_redis() -> Iterator[Redis]:
    """A broker of one module, for tests that count all tasks: on the broker of the session, the workers of other
    modules send events as well."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(redis_server: Redis) -> Iterator[Cluster]:
    app = make(redis_server.url, redis_server.url)
    with Worker(app) as worker:
        yield Cluster(app, worker)


@pytest.fixture(scope="session")
def rabbitmq_cluster(rabbitmq_server: RabbitMQ, redis_server: Redis) -> Iterator[Cluster]:
    """RabbitMQ is the broker, Redis the result backend, with another database than that of `redis_cluster`."""
    app = make(rabbitmq_server.url, redis_server.url.removesuffix("0") + "1")
    with Worker(app) as worker:
        yield Cluster(app, worker)


@pytest.fixture(scope="module")
def rpc_cluster(rabbitmq_server: RabbitMQ) -> Iterator[Cluster]:
    """It ends with its module, because it would answer the inspections of all others."""
    app = make(rabbitmq_server.url, "rpc://")
    app.conf.task_default_queue = "rpc"
    with Worker(app, node="rpc") as worker:
        yield Cluster(app, worker)


@pytest.fixture(params=["redis", "rabbitmq"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The same test on both brokers."""
    found: Cluster = request.getfixturevalue(f"{request.param}_cluster")
    return found
