"""Black-box tests, one for each line of Flower's contract that is a promise, run against Bellflower and, by
`make test-compat`, against Flower 2.2.0, so that we know that the tests are right.

Where Bellflower does better, the test states the difference: `if site.is_flower`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from celery import Celery

from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import KINDS, Kind, Site
from tests.helpers.servers import wait_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS, scope="session")


@pytest.fixture(scope="session")
def sites() -> Iterator[dict[tuple[str, ...], Site]]:
    """Those that are running, by what they were started with."""
    running: dict[tuple[str, ...], Site] = {}
    yield running
    for site in running.values():
        site.__exit__(None, None, None)


@dataclass(frozen=True)
class Ran:
    """Tasks that ran while the site was watching."""

    added: str
    failed: str
    retried: str
    marked: str


@pytest.fixture
def site(kind: Kind, redis_cluster: Cluster, sites: dict[tuple[str, ...], Site]) -> Site:
    """On Redis, with a worker, no login, the API open. The same one for all tests of a session."""
    return _on(kind, redis_cluster.app, sites, "redis")


@pytest.fixture
def rabbit_site(kind: Kind, rabbitmq_cluster: Cluster, sites: dict[tuple[str, ...], Site]) -> Site:
    return _on(kind, rabbitmq_cluster.app, sites, "rabbitmq")


def _on(kind: Kind, app: Celery, sites: dict[tuple[str, ...], Site], name: str) -> Site:
    if (kind, name) not in sites:
        made = Site(kind, app.conf.broker_url, backend=app.conf.result_backend)
        sites[kind, name] = made.__enter__()
        watching(made, app)
    return sites[kind, name]


def watching(site: Site, app: Celery) -> None:
    """Wait until the site receives events: Flower does not get events that were sent before."""
    sent: list[str] = []

    def seen() -> bool:
        sent.append(app.send_task("shop.add", (0, 0)).id)
        return any(site.http.get(f"/api/task/info/{uuid}").status_code == 200 for uuid in sent[-20:])

    wait_for("events", seen)


_ran: dict[str, Ran] = {}


@pytest.fixture
def ran(site: Site, redis_cluster: Cluster) -> Ran:
    """A success, a failure and a task that was tried three times; run once for each kind."""
    if site.kind not in _ran:
        send: Any = redis_cluster.app.send_task
        found = Ran(
            added=send("shop.add", (19, 23)).id,
            failed=send("shop.fail", kwargs={"message": "card declined"}).id,
            retried=send("shop.again").id,
            marked=send("shop.echo", ("needle-in-args",), {"order": "ORD-1704", "n": 7}).id,
        )
        site.wait_for_task(found.added, state="SUCCESS")
        site.wait_for_task(found.failed, state="FAILURE")
        site.wait_for_task(found.marked, state="SUCCESS")
        wait_for("the retries", lambda: site.task(found.retried)["succeeded"] is not None)
        _ran[site.kind] = found
    return _ran[site.kind]
