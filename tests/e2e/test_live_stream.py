"""The event stream (Server-Sent Events) end to end: task events, a server restart, and shutdown."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.helpers.event_sender import Stream
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, wait_for
from tests.helpers.sse_client import StreamReader


@pytest.fixture
def product(redis_server: Redis) -> Iterator[Product]:
    with Product(redis_server.url) as product:
        product.wait_until_capturing()
        yield product


def states(*readers: StreamReader) -> dict[str, str]:
    """The states that a page shows after it has read these streams one after the other."""
    states_by_task: dict[str, str] = {}
    for reader in readers:
        states_by_task |= {uuid: row["state"] for uuid, row in reader.tasks().items()}
    return states_by_task


def test_ten_clients_receive_the_tasks_of_their_queries(product: Product, redis_server: Redis) -> None:
    queries = ["", "", "", "name:stream.task", "state:SUCCESS", "state:SUCCESS", "-state:SUCCESS", "nothing-like-it", "args:1", "is:slow"]  # fmt: skip  # noqa: E501
    with ExitStack() as stack:
        pages = [stack.enter_context(StreamReader(product.http, query=query, columns="state")) for query in queries]
        for page in pages:
            page.wait("start")
        with Stream(redis_server.url, rate=200, running=40) as stream:
            wait_for("finished tasks", lambda: len(stream.sent) >= 300)
        ends = set(stream.sent)

        def seen_tasks(page: StreamReader) -> set[str]:
            return {uuid for event in page.named("tasks") for uuid in [*event.data["removed"], *page.tasks()]}

        for page in pages:
            wait_for("all of them", lambda page=page: ends <= seen_tasks(page))  # type: ignore[misc]
            assert page.wait("status").data["recording"] is True
        for page, query in zip(pages, queries, strict=True):
            if query in ("", "name:stream.task", "state:SUCCESS", "args:1"):
                wait_for("their final states", lambda page=page: ends <= set(page.tasks()))  # type: ignore[misc]
                wait_for("the last state", lambda page=page: set(states(page).values()) == {"SUCCESS"})  # type: ignore[misc]
            elif query in ("-state:SUCCESS", "nothing-like-it"):
                wait_for("an empty list", lambda page=page: not page.tasks())  # type: ignore[misc]


def test_client_resumes_after_a_server_restart(product: Product, redis_server: Redis) -> None:
    with StreamReader(product.http, columns="state") as before:
        before.wait("start")
        with Stream(redis_server.url, rate=100, running=40) as first:
            wait_for("some tasks", lambda: len(first.sent) >= 100)
        wait_for(
            "their final states", lambda: set(first.sent) <= {u for u, s in states(before).items() if s == "SUCCESS"}
        )
        product.stop()
        assert before.wait("end").data == {"reason": "the server stops"}
        wait_for("the end", lambda: before.over)
    assert "Traceback" not in product.log.read_text()
    product.start()
    product.wait_until_capturing()
    # events while the client is disconnected
    with Stream(redis_server.url, rate=100, running=40) as second:
        wait_for("more tasks", lambda: len(second.sent) >= 100)
    wait_for("them to be recorded", lambda: set(second.sent) <= set(product.states()))
    with StreamReader(product.http, columns="state", last=before.last_id) as after:
        assert after.wait("start").id == before.last_id
        wait_for(
            "all final states", lambda: set(second.sent) <= {u for u, s in states(after).items() if s == "SUCCESS"}
        )
        assert not after.named("reset")
    assert {*first.sent, *second.sent} <= {u for u, s in states(before, after).items() if s == "SUCCESS"}


def test_lost_broker_is_reported_to_clients() -> None:
    with Redis() as redis, Product(redis.url) as product:
        product.wait_until_capturing()
        with StreamReader(product.http, topics="status") as page:
            wait_for("recording", lambda: any(event.data["recording"] for event in page.named("status")))
            redis.stop()
            wait_for("the report", lambda: page.named("status")[-1].data["recorder"]["connected"] is False)
            assert page.named("status")[-1].data["recording"] is False
            redis.start()
            wait_for("the reconnect", lambda: page.named("status")[-1].data["recording"])
            assert page.named("status")[-1].data["gaps"]


def test_shutdown_does_not_wait_for_open_streams(product: Product) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(StreamReader(product.http)) for _ in range(10)]
        for page in pages:
            page.wait("status")
        assert product.process is not None
        process, started_at = product.process, time.monotonic()
        process.terminate()
        assert process.wait(60) == 0
        assert time.monotonic() - started_at < 20
        for page in pages:
            page.wait("end")
