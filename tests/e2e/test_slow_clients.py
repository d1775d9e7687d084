"""The running product with thousands of idle and slow connections."""

import time

import httpx
import psutil
import pytest

from flower.descriptor_limit import raise_descriptor_limit
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, free_port, wait_for
from tests.helpers.slow_clients import SlowClients

IDLE, SLOW = 2_000, 200


class ProductWithFewDescriptors(Product):
    limit = 256

    def command(self) -> list[str]:
        return ["bash", "-c", f'ulimit -n {self.limit}; exec "$0" "$@"', *super().command()]


def request_pages(product: Product, count: int) -> list[float]:
    """Load the first page on a new connection each time. Returns the seconds of each."""
    seconds = []
    for _ in range(count):
        started = time.monotonic()
        response = httpx.get(f"http://127.0.0.1:{product.port}/", timeout=60, follow_redirects=True)
        assert response.status_code == 200
        seconds.append(time.monotonic() - started)
    return sorted(seconds)


@pytest.fixture(scope="module", autouse=True)
def _descriptors_of_the_clients() -> None:
    if raise_descriptor_limit() < IDLE + SLOW + 200:
        pytest.skip("the hard limit of open files is too low for the clients")


def test_pages_load_with_2000_idle_and_200_slow_connections(redis_server: Redis) -> None:
    with Product(redis_server.url) as product:
        product.wait_until_capturing()
        assert product.process is not None
        process = psutil.Process(product.process.pid)
        request_pages(product, 5)
        descriptors, memory, log = process.num_fds(), process.memory_info().rss, product.log.stat().st_size
        with SlowClients(product.port, IDLE, SLOW) as clients:
            wait_for("the connections", lambda: len(clients) > 0.9 * (IDLE + SLOW))
            deadline = time.monotonic() + 25
            while time.monotonic() < deadline:
                request_pages(product, 5)
                time.sleep(0.5)
            assert clients.closed > IDLE / 2  # those that sent no request in time
            assert process.num_fds() <= descriptors + IDLE + SLOW + 50
        assert process.memory_info().rss <= memory + 100_000_000
        assert product.log.stat().st_size <= log + 3_000
        assert "Traceback" not in product.log.read_text()
        wait_for("the descriptors", lambda: process.num_fds() <= descriptors + 30)


@pytest.mark.parametrize("port", ["main", "metrics"])
def test_pages_load_when_connections_exceed_the_descriptors(redis_server: Redis, port: str) -> None:
    metrics_port = free_port()
    with ProductWithFewDescriptors(redis_server.url, f"--metrics-port={metrics_port}") as product:
        product.wait_until_capturing()
        assert product.process is not None
        process = psutil.Process(product.process.pid)
        log = product.log.stat().st_size
        with SlowClients(product.port if port == "main" else metrics_port, idle=300, slow=30):
            for _ in range(5):
                request_pages(product, 5)
                assert process.num_fds() < ProductWithFewDescriptors.limit
                assert httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=60).status_code == 200
                time.sleep(0.5)
        assert product.log.stat().st_size <= log + 3_000
        assert "Too many open files" not in product.log.read_text()
