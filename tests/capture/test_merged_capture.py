"""Gaps of publish/subscribe while the stream of durable events is read: they affect only what is not in the stream."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis as RedisClient

from flower.capture.factory import create_capture
from flower.capture.settings import settings_from_app
from tests.helpers.capture_session import CaptureSession
from tests.helpers.celery_worker import DURABLE_EVENTS
from tests.helpers.servers import Redis, wait_for


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def session(own_redis: Redis, tmp_path: Path) -> Iterator[CaptureSession]:
    """A capture that reads an existing stream."""
    app = Celery("durable", broker=own_redis.url, set_as_current=False)
    app.events_cls = DURABLE_EVENTS
    CaptureSession(app, None).send("before")
    settings = settings_from_app(app, enable_events=False, queue_name="store", spill_folder=tmp_path / "spill")
    session = CaptureSession(app, create_capture(settings))
    session.capture.start()
    wait_for("capture", session.connected)
    session.until("the stream", lambda: "before" in session.uuids)
    yield session
    session.capture.stop()


def send_published(session: CaptureSession, url: str, event_type: str, hostname: str, uuid: str) -> None:
    """An event of a worker or client without durable events."""
    app = Celery("plain", broker=url, set_as_current=False)
    with app.connection_for_write() as connection, app.events.Dispatcher(connection, hostname) as dispatcher:
        dispatcher.send(event_type, uuid=uuid)
    session.until("the event", lambda: uuid in session.uuids)


def lose_connection(session: CaptureSession, redis: Redis) -> None:
    """Redis closes the subscription, and a later event arrives on a new one."""
    with RedisClient(port=redis.port) as client:
        before = session.capture.status()["since"]
        client.client_kill_filter(_type="pubsub")
        wait_for("a new connection", lambda: session.capture.status()["since"] not in (None, before))
    wait_for("capture", session.connected)
    session.send("after")
    session.until("a later event", lambda: "after" in session.uuids)


def test_lost_subscription_is_no_gap_if_all_events_are_in_the_stream(session: CaptureSession, own_redis: Redis) -> None:
    session.send("in the stream")
    lose_connection(session, own_redis)
    session.read(0.3)
    assert session.gaps == []


def test_lost_subscription_is_a_gap_of_workers_without_durable_events(
    session: CaptureSession, own_redis: Redis
) -> None:
    send_published(session, own_redis.url, "task-started", "old@shop", "plain")
    lose_connection(session, own_redis)
    session.until("the gap", lambda: bool(session.gaps))
    assert [gap.worker for gap in session.gaps] == ["old@shop"]


def test_gap_is_assigned_to_a_worker_without_durable_events_that_is_seen_later(
    session: CaptureSession, own_redis: Redis
) -> None:
    session.send("in the stream")
    lose_connection(session, own_redis)
    send_published(session, own_redis.url, "task-started", "new@shop", "plain")
    session.until("the gap", lambda: bool(session.gaps))
    assert [gap.worker for gap in session.gaps] == ["new@shop"]


def test_gap_affects_all_tasks_if_a_client_has_no_durable_events(session: CaptureSession, own_redis: Redis) -> None:
    send_published(session, own_redis.url, "task-sent", "gen1@client", "plain")
    lose_connection(session, own_redis)
    session.until("the gap", lambda: bool(session.gaps))
    assert [gap.worker for gap in session.gaps] == [None]


def test_worker_whose_events_are_buffered_is_no_worker_without_durable_events(
    session: CaptureSession, own_redis: Redis
) -> None:
    with RedisClient(port=own_redis.port) as client:
        client.config_set("maxmemory", "1")  # Redis refuses XADD and accepts PUBLISH
        session.send("buffered")
        session.until("the event", lambda: "buffered" in session.uuids)
        client.config_set("maxmemory", "0")
    lose_connection(session, own_redis)
    session.read(0.3)
    assert session.gaps == []


def test_restart_of_redis_is_a_gap_because_its_last_writes_may_be_lost(
    session: CaptureSession, own_redis: Redis
) -> None:
    session.send("in the stream")
    session.until("the event", lambda: "in the stream" in session.uuids)
    own_redis.stop()
    wait_for("the loss", lambda: not session.connected())
    own_redis.start()
    wait_for("capture", session.connected)
    session.send("after")
    session.until("the gap", lambda: any(gap.cause == "broker_unreachable" for gap in session.gaps), 60)
    assert all(gap.worker is None for gap in session.gaps)
