"""Fixtures that every test may use: real brokers, one of each per test session (and per xdist worker)."""

import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.helpers.servers import BrokerServer, RabbitMQ, Redis

#: The tests that ran are counted; slow files come first; real workers on these brokers; the product beside them.
pytest_plugins = [
    "tests.helpers.run_count",
    "tests.helpers.slow_files",
    "tests.helpers.clusters",
    "tests.helpers.product_fixtures",
]

# A stopped server leaves no drain process behind.
os.environ.setdefault("FLOWER_EVENT_DRAIN_LINGER", "0")

# A shell starts background commands with SIGINT ignored, and the servers under test would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The default deadline of 200 ms for one example fails on a loaded machine without a defect in the code.
settings.register_profile("bellflower", deadline=None)
settings.load_profile("bellflower")


_DONT_WRITE_BYTECODE = sys.dont_write_bytecode


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    gc.disable()
    # PYTHONDONTWRITEBYTECODE may be set, and each process of a run, and the next run, would compile all test modules.
    sys.dont_write_bytecode = False


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Collection creates hundreds of thousands of objects that stay: they need not be examined again and again."""
    gc.freeze()
    gc.enable()
    sys.dont_write_bytecode = _DONT_WRITE_BYTECODE


@pytest.fixture(autouse=True)
def restore_environment() -> Iterator[None]:
    """Undo changes of the environment: a command run in the test process with `-b` sets variables of Celery."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> BrokerServer:
    """The same test on both brokers."""
    server: BrokerServer = request.getfixturevalue(f"{request.param}_server")
    return server
