"""Fixtures that every test may use: real brokers, one of each per test session (and per xdist worker)."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.helpers.servers import RabbitMQ, Redis, Server

#: Counts the tests that ran; real workers on these brokers; the product beside them.
pytest_plugins = ["tests.helpers.run_count", "tests.helpers.clusters", "tests.helpers.product_fixtures"]

# The default deadline of 200 ms for one example fails on a loaded machine without a defect in the code.
settings.register_profile("bellflower", deadline=None)
settings.load_profile("bellflower")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Server:
    """The same test on both brokers."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server
