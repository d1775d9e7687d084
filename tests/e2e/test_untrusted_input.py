"""Malformed and hostile messages, sent through the broker to the running product."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from redis import Redis as Client

from tests.helpers.product_process import Product
from tests.helpers.prometheus_scrape import ScrapedMetrics
from tests.helpers.servers import Redis, wait_for

CHANNEL = "/0.celeryev/task.received"


@pytest.fixture
def product(redis_server: Redis) -> Iterator[Product]:
    with Product(redis_server.url) as product:
        product.wait_until_capturing()
        yield product


def test_events_of_a_serializer_that_is_not_accepted_are_reported() -> None:
    """Health, a gap with its cause, a metric; not only a line in the log. The broker has no other events."""
    with Redis() as redis, Product(redis.url) as product:
        app = Celery(broker=redis.url, set_as_current=False)
        app.conf.event_serializer = "pickle"
        product.wait_until_capturing()
        with app.connection_for_write() as connection:
            dispatcher = app.events.Dispatcher(connection, hostname="celery@pickle")
            for number in range(3):
                dispatcher.send("task-received", uuid=f"pickled-{number}", name="shop.add")
            dispatcher.close()

        def issues() -> dict[str, dict[str, Any]]:
            return {each["kind"]: each for each in product.get("/api/v1/health")["issues"]}

        wait_for("the issue", lambda: "messages_unreadable" in issues())
        issue = issues()["messages_unreadable"]
        assert issue["severity"] == "critical"
        assert "pickle" in issue["detail"]
        causes = [each["cause"] for each in product.get("/api/v1/gaps")["gaps"]]
        assert causes == ["unreadable_messages"]
        scraped = ScrapedMetrics(product.http.get("/metrics").text)
        assert scraped.value("flower_gaps_total", cause="unreadable_messages") == 1
        assert product.get("/api/v1/status")["recorder"]["unreadable"]["count"] >= 3


class Sender:
    def __init__(self, server: Redis) -> None:
        self.client = Client(port=server.port)

    def publish_raw(self, payload: bytes | str) -> None:
        self.client.publish(CHANNEL, payload)

    def publish_body(self, text: str) -> None:
        """Publish a valid envelope around any text."""
        envelope = {
            "body": text, "content-encoding": "utf-8", "content-type": "application/json", "headers": {},
            "properties": {"delivery_info": {"exchange": "celeryev", "routing_key": "task.received"}},
        }  # fmt: skip
        self.publish_raw(json.dumps(envelope))

    def publish_event(self, uuid: Any, **fields: Any) -> None:
        event = {
            "type": "task-received",
            "uuid": uuid,
            "hostname": "celery@odd",
            "timestamp": time.time(),
            "name": "odd",
        }
        self.publish_body(json.dumps({**event, **fields}))


@pytest.fixture
def sender(redis_server: Redis) -> Sender:
    return Sender(redis_server)


def wait_for_task(product: Product, uuid: str) -> dict[str, Any]:
    wait_for(uuid, lambda: product.task(uuid) is not None)
    task = product.task(uuid)
    assert task is not None
    return task


def test_malformed_messages_are_counted_and_skipped(product: Product, sender: Sender) -> None:
    for payload in (b"", b"\x00\xff", b"not json", b"[]", b'{"body": 3}', b"{" * 100_000, b'"text"'):
        sender.publish_raw(payload)
    for text in ("", "null", "3", '"x"', "[[[]]]", "{", '{"type": 3}', '{"type": "task-received"}', "[" * 100_000):
        sender.publish_body(text)
    invalid: tuple[object, ...] = (None, "", [], {"a": 1}, "x" * 10_000)
    for uuid in invalid:
        sender.publish_event(uuid)
    sender.publish_event("after-malformed")
    assert wait_for_task(product, "after-malformed")["name"] == "odd"
    wait_for("the count", lambda: sum(product.status()["capture"]["malformed"].values()) >= 15)
    # an id of another type is recorded as its JSON text, and a long one with a hash
    ids = product.states().keys()
    assert {"after-malformed", "[]", '{"a": 1}'} < ids
    assert len(ids) == 4


def test_invalid_values_do_not_affect_other_fields(product: Product, sender: Sender) -> None:
    sender.publish_event(
        "types", name=17, args=[1, {"a": None}], kwargs={"k": 1}, retries="2", eta=5, clock="x", pid=True
    )
    sender.publish_event(
        "text", name="\x00\x1b[31m\u202eevil\ud800", args="<script>alert(1)</script>", kwargs="{'é': '\x00'}"
    )
    sender.publish_event("past", timestamp=0)
    sender.publish_event("future", timestamp=4102444800)
    sender.publish_event("no-time", timestamp="soon")
    sender.publish_event("huge", args="(" + "x" * 10_000_000 + ")")
    types = wait_for_task(product, "types")
    assert (types["name"], types["args"], types["retries"], types["worker"]) == (
        "17",
        "[1, {'a': None}]",
        2,
        "celery@odd",
    )
    text = wait_for_task(product, "text")
    assert text["name"].startswith("\x00\x1b[31m\u202eevil")
    assert text["args"] == "<script>alert(1)</script>"
    assert wait_for_task(product, "past")["received"] == 0
    assert wait_for_task(product, "future")["received"] == 4102444800
    assert abs(wait_for_task(product, "no-time")["received"] - time.time()) < 60
    assert len(wait_for_task(product, "huge")["args"]) == 10_000_002
    for page in ("/tasks", "/task/text", "/task/types", "/task/huge"):
        answer = product.http.get(page)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
    assert product.get("/api/tasks", sort_by="-received")
    assert list(product.get("/api/tasks", search='"<script>"')) == ["text"]


def test_many_task_names_use_bounded_memory(product: Product, redis_server: Redis) -> None:
    """A name costs only its own bytes."""
    names = 100_000
    with Celery(broker=redis_server.url, set_as_current=False).connection_for_write() as connection:
        dispatcher = Celery(set_as_current=False).events.Dispatcher(
            connection, hostname="celery@odd", buffer_group={"task"}, buffer_limit=500
        )
        for number in range(names):
            dispatcher.send("task-received", uuid=f"name-{number}", name=f"generated.{number:x}.name", retries=0)
        dispatcher.flush()
    wait_for("the last of them", lambda: product.task(f"name-{names - 1}") is not None, 60)
    assert len(product.get("/api/task/types")["task-types"]) == names
    assert list(product.get("/api/tasks", taskname="generated.ff.name")) == ["name-255"]
    recorder = product.recorder()
    assert recorder is not None
    assert recorder.memory_info().rss < 400 * 2**20
