"""Fixtures of tests that send HTTP requests: a real store with a few tasks, and the web application on it or on the
store of the examples, with the API open without a login, as most of these tests need it.

The `conftest.py` of a folder imports those that its tests use."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from flower.http.v1.openapi_examples import example_store
from flower.records import Attempt, Gap, Task, Worker
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Reader, Writer
from tests.helpers.api_v1 import ClientOf
from tests.helpers.web_server import WebServer

HOSTILE = Task(
    uuid="<script>alert(1)</script>/a b",
    name="<img src=x onerror=alert(1)>",
    state="PROGRESS",
    hostname="evil@\u202ehost\x00",
    received=50.0,
    timestamp=400.0,
    args="('<b>bold</b>', '\x1b[31m')",
    result='"></pre><script>alert(2)</script>',
    data={"task-progress": {"<i>done</i>": "</dl>"}},
)

TASKS = [
    Task(
        uuid="a",
        name="shop.charge",
        state="SUCCESS",
        hostname="celery@w1",
        sent=99.0,
        received=100.0,
        started=101.0,
        succeeded=102.5,
        timestamp=102.5,
        runtime=1.5,
        args="(1, 'EUR')",
        kwargs="{'order_id': 17}",
        result="'ok'",
        retries=0,
    ),
    Task(
        uuid="b",
        name="shop.mail",
        state="FAILURE",
        hostname="celery@w2",
        received=200.0,
        started=201.0,
        failed=202.0,
        timestamp=202.0,
        exception="ValueError('card declined')",
        traceback="Traceback: card declined",
        root_id="a",
        parent_id="a",
        retries=1,
        earlier=(Attempt(0, "celery@w1", 7, 190.0, 191.0, 192.0, "RETRY", None, "Timeout()", "first traceback"),),
    ),
    Task(uuid="c/d", name="shop.mail", state="PENDING", sent=300.0, timestamp=300.0),
    HOSTILE,
]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = open_writer(tmp_path / "store")
    yield writer
    writer.close()


@pytest.fixture
def store(writer: Writer, tmp_path: Path) -> Iterator[Reader]:
    workers = [Worker("celery@w1", sw_ident="py-celery"), Worker("celery@w2")]
    writer.write(Batch(new=TASKS, workers=workers, gaps=[Gap(10.0, 20.0, "the broker was away")]))
    reader = open_reader(tmp_path / "store")
    yield reader
    reader.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")


@pytest.fixture
def live(store: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(store) as server:
        yield server


@pytest.fixture
def client_of(opened: None) -> Iterator[ClientOf]:
    with ExitStack() as running:

        def client(store: Reader) -> httpx.Client:
            return running.enter_context(WebServer(store)).http

        yield client


@pytest.fixture(scope="session")
def examples() -> Iterator[WebServer]:
    with WebServer(example_store()) as server:
        yield server


@pytest.fixture
def http(examples: WebServer, opened: None) -> httpx.Client:
    """A client of the server with the store of the OpenAPI examples."""
    return examples.http
