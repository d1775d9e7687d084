"""Fixtures: a running Bellflower with a live worker, on each broker."""

from collections.abc import Iterator

import pytest

from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.product_client import Desk, ExtendedWorker
from tests.helpers.servers import Redis


@pytest.fixture(scope="session")
def redis_desk(redis_cluster: Cluster) -> Iterator[Desk]:
    with Desk(redis_cluster) as desk:
        desk.wait_until_capturing()
        yield desk


@pytest.fixture(scope="session")
def rabbitmq_desk(rabbitmq_cluster: Cluster) -> Iterator[Desk]:
    with Desk(rabbitmq_cluster) as desk:
        desk.wait_until_capturing()
        yield desk


@pytest.fixture(params=["redis", "rabbitmq"])
def desk(request: pytest.FixtureRequest) -> Desk:
    found: Desk = request.getfixturevalue(f"{request.param}_desk")
    return found


@pytest.fixture(scope="session")
def extended_cluster(redis_server: Redis) -> Iterator[Cluster]:
    """A cluster with `result_extended`: the result backend stores the arguments."""
    app = make(redis_server.url.removesuffix("0") + "2", redis_server.url.removesuffix("0") + "2")
    with ExtendedWorker(app, node="extended") as worker:
        yield Cluster(app, worker)


@pytest.fixture(scope="session")
def extended_desk(extended_cluster: Cluster) -> Iterator[Desk]:
    with Desk(extended_cluster) as desk:
        desk.wait_until_capturing()
        yield desk
