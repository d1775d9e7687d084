"""Fixtures: a running Bellflower with a live worker, on each broker."""

from collections.abc import Iterator

import pytest

from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.product_client import ExtendedWorker, ProductClient
from tests.helpers.servers import Redis


@pytest.fixture(scope="session")
def redis_client(redis_cluster: Cluster) -> Iterator[ProductClient]:
    with ProductClient(redis_cluster) as client:
        client.wait_until_capturing()
        yield client


@pytest.fixture(scope="session")
def rabbitmq_client(rabbitmq_cluster: Cluster) -> Iterator[ProductClient]:
    with ProductClient(rabbitmq_cluster) as client:
        client.wait_until_capturing()
        yield client


@pytest.fixture(params=["redis", "rabbitmq"])
def client(request: pytest.FixtureRequest) -> ProductClient:
    found: ProductClient = request.getfixturevalue(f"{request.param}_client")
    return found


@pytest.fixture(scope="session")
def extended_cluster(redis_server: Redis) -> Iterator[Cluster]:
    """A cluster with `result_extended`: the result backend stores the arguments."""
    app = make(redis_server.url.removesuffix("0") + "2", redis_server.url.removesuffix("0") + "2")
    with ExtendedWorker(app, node="extended") as worker:
        yield Cluster(app, worker)


@pytest.fixture(scope="session")
def extended_client(extended_cluster: Cluster) -> Iterator[ProductClient]:
    with ProductClient(extended_cluster) as client:
        client.wait_until_capturing()
        yield client
