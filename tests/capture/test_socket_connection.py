"""Reading everything that a broker sent before it closed the connection, and connections that became silent."""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_library
from celery import Celery

from flower.capture import redis as redis_source
from flower.capture import redis_subscription
from flower.capture.factory import create_capture
from flower.capture.settings import settings_from_app
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import Redis, wait_for


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def stalled(own_redis: Redis) -> Iterator[CaptureSession]:
    """A connected capture that stops reading from its socket after two chunks, until the test reads them."""
    app = Celery("stalled", broker=own_redis.url, set_as_current=False)
    capture = create_capture(settings_from_app(app, enable_events=False, memory_limit=1))
    capture.start()
    session = CaptureSession(app, capture)
    wait_for("capture", session.connected)
    session.send("known-clock")
    session.until("the first event", lambda: session.uuids == {"known-clock"})
    yield session
    capture.stop()


def stop_reading(session: CaptureSession) -> None:
    """The first chunk fills the queue; the second waits in the thread that reads the socket."""
    session.send("first-chunk")
    wait_for("the chunk", lambda: session.capture.status()["backlog_bytes"] > 0)
    session.send("second-chunk")


def close_by_redis(server: Redis) -> None:
    """Wait until Redis has passed everything to the kernel, then let it close the connection."""
    with redis_library.Redis(port=server.port) as client:

        def output() -> int:
            return sum(int(each["omem"]) for each in client.client_list(_type="pubsub"))

        wait_for("an empty output buffer", lambda: output() == 0)
        client.client_kill_filter(_type="pubsub")


def test_everything_that_redis_sent_before_it_closed_the_connection_arrives(
    own_redis: Redis, stalled: CaptureSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_reading(stalled)
    uuids = [f"sent-{number}" for number in range(300)]
    stalled.send(*uuids, args="x" * 2_000)
    close_by_redis(own_redis)
    # longer than the interval of the keep-alive message, which must not be written before the rest is read
    time.sleep(1.0)
    stalled.until("the reconnection", lambda: bool(stalled.gaps))
    assert stalled.uuids >= set(uuids)


@pytest.fixture(autouse=True)
def short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(redis_subscription.KEEP_ALIVE, interval=0.3, timeout=4.0, unresponsive_after=0.5)
    monkeypatch.setattr(redis_source, "KEEP_ALIVE", settings)


def test_a_gap_begins_at_the_newest_event_received_and_not_when_it_was_read(
    own_redis: Redis, stalled: CaptureSession
) -> None:
    stop_reading(stalled)
    stalled.send("newest")
    newest = time.time()
    close_by_redis(own_redis)
    time.sleep(3.0)
    stalled.until("the reconnection", lambda: bool(stalled.gaps))
    (gap,) = stalled.gaps
    assert "newest" in stalled.uuids
    assert abs(gap.start - newest) < 0.5
    assert gap.end is not None
    assert gap.end - gap.start > 2.5


def test_redis_that_stops_answering_is_detected(own_redis: Redis, rig: Callable[..., CaptureSession]) -> None:
    session = rig(own_redis.url)
    session.send("before")
    session.until("before", lambda: session.uuids == {"before"})
    frozen = time.time()
    own_redis.signal(signal.SIGSTOP)
    try:
        wait_for("the silence", lambda: "does not answer" in str(session.capture.status()["last_error"]))
        assert not session.connected()
        wait_for("the loss", lambda: "no data received" in str(session.capture.status()["last_error"]))
    finally:
        own_redis.signal(signal.SIGCONT)
    session.until("a gap", lambda: bool(session.gaps))
    (gap,) = session.gaps
    assert gap.start <= frozen + 0.1
    assert gap.cause == "broker_unreachable"


def test_redis_that_closes_a_slow_subscriber_is_reported_as_overflow(own_redis: Redis, stalled: CaptureSession) -> None:
    with redis_library.Redis(port=own_redis.port) as client:
        client.config_set("client-output-buffer-limit", "pubsub 100000 50000 1")
        stop_reading(stalled)
        wait_for("overflow", lambda: _send_until_overflow(stalled, client))
    stalled.until("a gap", lambda: bool(stalled.gaps))
    (gap,) = stalled.gaps
    assert gap.cause == "redis_overflow"
    assert "output buffer" in gap.reason


def _send_until_overflow(session: CaptureSession, client: Any) -> bool:
    session.send(*(f"large-{number}" for number in range(20)), args="x" * 50_000)
    return not client.client_list(_type="pubsub")


def test_events_of_a_broker_that_was_silent_for_a_while_arrive_without_a_gap(
    own_redis: Redis, rig: Callable[..., CaptureSession]
) -> None:
    session = rig(own_redis.url)
    own_redis.signal(signal.SIGSTOP)
    try:
        wait_for("the silence", lambda: not session.connected())
    finally:
        own_redis.signal(signal.SIGCONT)
    wait_for("the answer", session.connected)
    session.send("after")
    session.until("after", lambda: session.uuids == {"after"})
    assert session.gaps == []


def test_event_that_is_larger_than_the_limit_of_redis_is_an_overflow_once(
    own_redis: Redis, rig: Callable[..., CaptureSession]
) -> None:
    """L12. A single event above `client-output-buffer-limit` disconnects every subscriber."""
    with redis_library.Redis(port=own_redis.port) as client:
        client.config_set("client-output-buffer-limit", "pubsub 1000000 500000 60")
    session = rig(own_redis.url)
    session.send("before")
    session.until("before", lambda: session.uuids == {"before"})
    session.send("huge", args="x" * 20_000_000)
    session.until("a gap", lambda: bool(session.gaps))
    session.send("after")
    session.until("after", lambda: "after" in session.uuids)
    (gap,) = session.gaps
    assert gap.cause == "redis_overflow"
    assert "single event" in gap.reason
