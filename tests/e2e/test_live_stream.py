"""The whole product, with pages that listen: real events, a restart in between, and its end."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.helpers.event_sender import Stream
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, wait_for
from tests.helpers.sse_client import Listener


@pytest.fixture
def product(redis_server: Redis) -> Iterator[Product]:
    with Product(redis_server.url) as product:
        product.wait_until_capturing()
        yield product


def states(*listeners: Listener) -> dict[str, str]:
    """What a page shows that listened to these streams, one after the other."""
    shown: dict[str, str] = {}
    for listener in listeners:
        shown |= {uuid: row["state"] for uuid, row in listener.tasks().items()}
    return shown


def test_ten_pages_while_tasks_run(product: Product, redis_server: Redis) -> None:
    queries = ["", "", "", "name:stream.task", "state:SUCCESS", "state:SUCCESS", "-state:SUCCESS", "nothing-like-it", "args:1", "is:slow"]  # fmt: skip  # noqa: E501
    with ExitStack() as stack:
        pages = [stack.enter_context(Listener(product.http, query=query, columns="state")) for query in queries]
        for page in pages:
            page.wait("hello")
        with Stream(redis_server.url, rate=200, running=40) as stream:
            wait_for("tasks that have ended", lambda: len(stream.sent) >= 300)
        ends = set(stream.sent)

        def told(page: Listener) -> set[str]:
            return {uuid for event in page.named("tasks") for uuid in [*event.data["gone"], *page.tasks()]}

        for page in pages:
            wait_for("all of them", lambda page=page: ends <= told(page))  # type: ignore[misc]
            assert page.wait("status").data["recording"] is True
        for page, query in zip(pages, queries, strict=True):
            if query in ("", "name:stream.task", "state:SUCCESS", "args:1"):
                wait_for("their ends", lambda page=page: ends <= set(page.tasks()))  # type: ignore[misc]
                wait_for("the last state", lambda page=page: set(states(page).values()) == {"SUCCESS"})  # type: ignore[misc]
            elif query in ("-state:SUCCESS", "nothing-like-it"):
                wait_for("none to be left", lambda page=page: not page.tasks())  # type: ignore[misc]


def test_a_restart_in_between_is_not_noticed(product: Product, redis_server: Redis) -> None:
    with Listener(product.http, columns="state") as before:
        before.wait("hello")
        with Stream(redis_server.url, rate=100, running=40) as first:
            wait_for("some tasks", lambda: len(first.sent) >= 100)
        wait_for("their ends", lambda: set(first.sent) <= {u for u, s in states(before).items() if s == "SUCCESS"})
        product.stop()
        assert before.wait("bye").data == {"why": "the server stops"}
        wait_for("the end", lambda: before.over)
    assert "Traceback" not in product.log.read_text()
    product.start()
    product.wait_until_capturing()
    # what happens while the page is away
    with Stream(redis_server.url, rate=100, running=40) as second:
        wait_for("more tasks", lambda: len(second.sent) >= 100)
    wait_for("them to be kept", lambda: set(second.sent) <= set(product.states()))
    with Listener(product.http, columns="state", last=before.last_id) as after:
        assert after.wait("hello").id == before.last_id
        wait_for("all ends", lambda: set(second.sent) <= {u for u, s in states(after).items() if s == "SUCCESS"})
        assert not after.named("reset")
    assert {*first.sent, *second.sent} <= {u for u, s in states(before, after).items() if s == "SUCCESS"}


def test_a_lost_broker_is_said_as_soon_as_it_is_known() -> None:
    with Redis() as redis, Product(redis.url) as product:
        product.wait_until_capturing()
        with Listener(product.http, topics="status") as page:
            wait_for("it to record", lambda: any(event.data["recording"] for event in page.named("status")))
            redis.stop()
            wait_for("the loss to be told", lambda: page.named("status")[-1].data["recorder"]["connected"] is False)
            assert page.named("status")[-1].data["recording"] is False
            redis.start()
            wait_for("it to be back", lambda: page.named("status")[-1].data["recording"])
            assert page.named("status")[-1].data["gaps"]


def test_it_stops_soon_with_pages_open(product: Product) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(Listener(product.http)) for _ in range(10)]
        for page in pages:
            page.wait("status")
        assert product.process is not None
        process, began = product.process, time.monotonic()
        process.terminate()
        assert process.wait(30) == 0
        assert time.monotonic() - began < 20
        for page in pages:
            page.wait("bye")
