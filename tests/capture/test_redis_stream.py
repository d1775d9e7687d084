"""The stream of durable events with a real Redis: what is not acknowledged is read again, what was removed is a gap."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis as RedisClient

from flower.capture.factory import create_capture
from flower.capture.settings import settings_from_app
from tests.helpers.capture_session import CaptureSession
from tests.helpers.celery_worker import DURABLE_EVENTS
from tests.helpers.servers import Redis, Sentinel, wait_for

KEY = "celeryev.stream"
Open = Callable[..., CaptureSession]


def entry_time(entries: Any) -> float:
    """When the stream got the first of these entries, by its id."""
    return int(entries[0][0].split(b"-")[0]) / 1000


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def client(own_redis: Redis) -> Iterator[RedisClient]:
    with RedisClient(port=own_redis.port) as client:
        yield client


def make_app(url: str, *, durable: bool = True, **conf: Any) -> Celery:
    app = Celery("durable", broker=url, set_as_current=False)
    if durable:
        app.events_cls = DURABLE_EVENTS
    app.conf.update(conf)
    return app


@pytest.fixture
def start(own_redis: Redis, tmp_path: Path) -> Iterator[Open]:
    """`start(queue_name=…)`: a started capture that reads the stream, if it exists; stopped after the test."""
    sessions: list[CaptureSession] = []

    def make(*, app: Celery | None = None, wait: bool = True, **options: Any) -> CaptureSession:
        app = app or make_app(own_redis.url)
        defaults = {"enable_events": False, "queue_name": "store", "spill_folder": tmp_path / "spill"}
        session = CaptureSession(app, create_capture(settings_from_app(app, **{**defaults, **options})))
        session.capture.start()
        sessions.append(session)
        wait_for("capture", session.connected)
        if wait:
            wait_for("the stream", lambda: session.capture.status()["stream"]["active"])
        return session

    yield make
    for session in sessions:
        session.capture.stop()


def test_events_that_are_in_the_stream_are_recorded_once(own_redis: Redis, start: Open) -> None:
    app = make_app(own_redis.url)
    session = start(app=app, wait=False)
    session.send("first")
    wait_for("the stream", lambda: session.capture.status()["stream"]["active"])
    session.until("the first", lambda: "first" in session.uuids)
    session.send(*map(str, range(300)))
    session.send("last")
    session.until("the last", lambda: "last" in session.uuids)
    later = [event.uuid for event in session.events if event.uuid != "first"]
    assert later == [*map(str, range(300)), "last"]
    assert session.gaps == []


def test_events_of_workers_without_durable_events_are_recorded_too(own_redis: Redis, start: Open) -> None:
    session = start_active(own_redis, start)
    other = CaptureSession(make_app(own_redis.url, durable=False), session.capture)
    other.send("published")
    session.send("appended")
    session.until("both", lambda: session.uuids >= {"published", "appended"})


def start_active(own_redis: Redis, start: Open, **options: Any) -> CaptureSession:
    """A capture that reads an existing stream."""
    app = make_app(own_redis.url)
    CaptureSession(app, None).send("before")
    session = start(app=app, **options)
    session.until("what was there before", lambda: "before" in session.uuids)
    return session


def test_events_before_the_recorder_started_are_recorded(own_redis: Redis, start: Open) -> None:
    app = make_app(own_redis.url)
    sent_at = time.time()
    CaptureSession(app, None).send(*map(str, range(2500)))
    session = start(app=app)
    session.until("all", lambda: len(session.uuids) == 2500)
    # Each batch has the time of arrival at Redis, not the time at which it was read.
    assert all(sent_at - 1 <= batch.received <= time.time() for batch in session.batches)
    assert session.batches[0].received - sent_at < 1.5
    assert session.gaps == []


def test_unacknowledged_events_are_delivered_to_the_next_recorder(own_redis: Redis, start: Open) -> None:
    session = start_active(own_redis, start)
    session.send("acknowledged")
    session.until("the first", lambda: "acknowledged" in session.uuids)
    session.send("a", "b")
    session.until("both", lambda: session.uuids >= {"a", "b"}, done=False)
    session.capture.stop()  # without acknowledgement, as a killed recorder
    CaptureSession(session.app, None).send("c")
    successor = start(app=session.app)
    successor.until("all", lambda: successor.uuids == {"a", "b", "c"})
    assert [event.uuid for event in successor.events] == ["a", "b", "c"]
    assert successor.gaps == []


def test_acknowledged_events_are_removed_from_redis(own_redis: Redis, client: RedisClient, start: Open) -> None:
    session = start_active(own_redis, start)
    session.send(*map(str, range(1000)))
    session.until("all", lambda: len(session.uuids) == 1001)
    # Whole nodes of 100 entries are removed.
    wait_for("the removal", lambda: client.xlen(KEY) <= 200)


def test_events_are_retained_until_every_store_has_recorded_them(
    own_redis: Redis, client: RedisClient, start: Open
) -> None:
    session = start_active(own_redis, start)
    other = start_active(own_redis, start, queue_name="other")
    other.capture.stop()
    session.send(*map(str, range(1000)))
    session.until("all", lambda: len(session.uuids) == 1001)
    wait_for("the acknowledgement", lambda: pending(client) == 0)
    successor = start(app=session.app, queue_name="other")
    successor.until("all", lambda: successor.uuids >= {str(number) for number in range(1000)})
    assert successor.gaps == []


def pending(client: RedisClient) -> int:
    return int(client.xpending(KEY, "bellflower.store")["pending"])


def test_events_removed_before_they_were_read_are_a_gap(own_redis: Redis, client: RedisClient, start: Open) -> None:
    session = start_active(own_redis, start)
    session.send("newest")
    session.until("the newest", lambda: "newest" in session.uuids)
    wait_for("the acknowledgement", lambda: pending(client) == 0)
    session.capture.stop()
    newest = entry_time(client.xrevrange(KEY, count=1))
    CaptureSession(session.app, None).send(*map(str, range(500)))
    client.xtrim(KEY, maxlen=100, approximate=False)
    first_available = entry_time(client.xrange(KEY, count=1))
    successor = start(app=session.app)
    successor.until("the rest", lambda: successor.uuids == {str(number) for number in range(400, 500)})
    (gap,) = successor.gaps
    assert gap.cause == "stream_overflow"
    assert abs(gap.start - newest) < 0.002
    assert abs(gap.end - first_available) < 0.1


def test_stream_removed_from_redis_is_a_gap(own_redis: Redis, client: RedisClient, start: Open) -> None:
    session = start_active(own_redis, start)
    session.send("newest")
    session.until("the newest", lambda: "newest" in session.uuids)
    client.delete(KEY)
    wait_for("the error", lambda: session.capture.status()["stream"]["last_error"])
    session.send("after")
    session.until("the gap", lambda: bool(session.gaps))
    assert session.gaps[0].cause == "stream_overflow"
    session.until("the event", lambda: "after" in session.uuids)


def test_events_that_a_worker_dropped_are_a_gap_of_this_worker(
    own_redis: Redis, client: RedisClient, start: Open
) -> None:
    session = start_active(own_redis, start)
    client.xadd(KEY, {"d": '{"hostname": "w1@shop", "start": 100.0, "end": 160.0, "event_count": 7}'})
    session.until("the gap", lambda: bool(session.gaps))
    (gap,) = session.gaps
    assert (gap.start, gap.end, gap.worker, gap.cause) == (100.0, 160.0, "w1@shop", "stream_overflow")
    assert "7 events" in gap.reason


def test_connection_lost_while_reading_loses_and_repeats_nothing(
    own_redis: Redis, client: RedisClient, start: Open
) -> None:
    session = start_active(own_redis, start)
    for number in range(5):
        session.send(*(f"{number}-{count}" for count in range(50)))
        client.client_kill_filter(_type="normal")
        session.read(0.05)
    session.send("last")
    session.until("the last", lambda: "last" in session.uuids)
    session.until("all", lambda: len(session.uuids) == 252)


def test_stream_is_not_read_if_the_option_disables_it(own_redis: Redis, client: RedisClient, start: Open) -> None:
    app = make_app(own_redis.url)
    CaptureSession(app, None).send("before")
    session = start(app=app, wait=False, durable_events=False)
    session.send("a")
    session.until("the event", lambda: "a" in session.uuids)
    assert session.uuids == {"a"}
    assert client.xinfo_groups(KEY) == []


def test_stream_is_written_and_read_through_a_sentinel(own_redis: Redis, client: RedisClient, start: Open) -> None:
    with Sentinel(own_redis) as sentinel:
        app = make_app(sentinel.url, broker_transport_options={"master_name": "shop"})
        CaptureSession(app, None).send("before")
        session = start(app=app)
        session.send("after")
        session.until("both", lambda: session.uuids == {"before", "after"})
        assert [event.uuid for event in session.events] == ["before", "after"]
        session.capture.stop()
