"""All network calls outside capture have a time limit: a peer that accepts connections and never answers. The table in
docs/reliability.md is generated from the limits in the code. Run as a program, this module writes it."""

import asyncio
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

from flower import celery_app, durable_events
from flower.access.oauth import code_flow
from flower.access.oauth.oidc import OpenId
from flower.access.oauth.provider import LoginAttempt, ProviderSettings
from flower.capture import connection as capture_connection
from flower.capture import enable_events, rabbitmq, redis_stream, redis_subscription
from flower.celery_app import LazyApp, limit_backend_time
from flower.cluster import connection, remote_control, results, thread_pools
from flower.cluster.queues import rabbitmq_management
from flower.durable_events import EventStream
from flower.errors import BackendUnavailable
from flower.reconcile import connections as reconcile_connections
from tests.helpers.celery_app import make
from tests.helpers.paths import DOCS
from tests.helpers.servers import Redis

PAGE = DOCS / "reliability.md"
_TABLE = re.compile(r"(<!-- timeouts -->\n)(.*?)(<!-- end of timeouts -->)", re.DOTALL)


def seconds(value: float) -> str:
    return f"{value:g} s"


#: Call, limit for connecting with TLS and login, limit for a response, and what happens then.
CALLS: list[tuple[str, float, str, str]] = [
    (
        "recorder → broker: connect, subscribe",
        capture_connection.CONNECT_TIMEOUT,
        seconds(capture_connection.CONNECT_TIMEOUT),
        "logged, in `connection_error` of the status and in health; retried after 1, 2, 4 … 30 s",
    ),
    (
        "recorder → Redis: receive events",
        capture_connection.CONNECT_TIMEOUT,
        f"PING after {seconds(redis_subscription.KEEP_ALIVE.interval)} of silence; reported "
        f"{seconds(redis_subscription.KEEP_ALIVE.unresponsive_after)} and disconnected "
        f"{seconds(redis_subscription.KEEP_ALIVE.timeout)} later",
        "as above, and a gap",
    ),
    (
        "recorder → RabbitMQ: receive events",
        capture_connection.CONNECT_TIMEOUT,
        f"a request after {seconds(rabbitmq._CONFIRM_INTERVAL)} of silence; reported after "
        f"{seconds(rabbitmq._UNRESPONSIVE_AFTER)}, disconnected after two heartbeats of at most "
        f"{seconds(rabbitmq._MAX_HEARTBEAT)}",
        "as above; RabbitMQ keeps the events",
    ),
    (
        "recorder → Redis: stream of durable events",
        min(redis_stream.REPLY_TIMEOUT, capture_connection.CONNECT_TIMEOUT),
        seconds(redis_stream.REPLY_TIMEOUT),
        "logged, in `capture.stream` of the status; retried after 1, 2, 4, 5 s; Redis keeps the events",
    ),
    (
        "recorder → workers: `enable_events`",
        capture_connection.CONNECT_TIMEOUT,
        f"{seconds(enable_events._REPLY_TIMEOUT)} for replies",
        f"logged; retried after {seconds(enable_events._RETRY_DELAY)}",
    ),
    (
        "recorder → workers, broker: reconciliation",
        reconcile_connections.NETWORK_TIMEOUT,
        f"{seconds(reconcile_connections.NETWORK_TIMEOUT)}; 3 s for replies of workers",
        "in `reconcile.error` of the status; the next pass",
    ),
    (
        "recorder → result backend: reconciliation",
        reconcile_connections.NETWORK_TIMEOUT,
        seconds(reconcile_connections.NETWORK_TIMEOUT),
        "in `reconcile.error` of the status; the next pass",
    ),
    (
        "web server → broker: send, revoke, commands, queue lengths",
        connection.CONNECT_TIMEOUT,
        f"{seconds(connection.RESPONSE_TIMEOUT)}; {seconds(thread_pools.CALL_TIMEOUT)} for the request",
        "503 with the reason; queue lengths are read again after 15 s",
    ),
    (
        "web server → workers: inspect, commands",
        connection.CONNECT_TIMEOUT,
        f"{seconds(remote_control.REPLY_TIMEOUT)} for replies, plus {seconds(thread_pools.CALL_TIMEOUT)}",
        "503 or 504 with the reason",
    ),
    (
        "web server → result backend",
        celery_app.BACKEND_TIMEOUT,
        f"{seconds(celery_app.BACKEND_TIMEOUT)}; {seconds(thread_pools.CALL_TIMEOUT)} for the request",
        "503 with the reason",
    ),
    (
        "web server → RabbitMQ management API",
        rabbitmq_management.REQUEST_TIMEOUT,
        seconds(rabbitmq_management.REQUEST_TIMEOUT),
        f"logged; AMQP is used instead; retried after {seconds(rabbitmq_management.RETRY_DELAY)}",
    ),
    (
        "web server → login provider (OAuth, OpenID Connect)",
        code_flow._TIMEOUT,
        seconds(code_flow._TIMEOUT),
        "logged; the sign-in page states that the provider is unreachable",
    ),
    (
        "worker, client → Redis: stream of durable events",
        durable_events.REPLY_TIMEOUT,
        seconds(durable_events.REPLY_TIMEOUT),
        "logged once; buffered; retried after 1, 2, 4 … 30 s",
    ),
]


def table() -> str:
    lines = ["| call | connect, TLS, login | response | then |", "| --- | --- | --- | --- |"]
    lines += [f"| {call} | {seconds(connect)} | {response} | {then} |" for call, connect, response, then in CALLS]
    return "\n".join([*lines, ""])


def test_table_of_timeouts_is_generated_from_the_code() -> None:
    match = _TABLE.search(PAGE.read_text("utf-8"))
    assert match is not None
    assert match[2] == table()


def test_no_call_may_take_longer_than_ten_seconds_to_connect() -> None:
    assert all(connect <= 10.0 for _, connect, _, _ in CALLS)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def elapsed(call: Callable[[], Any]) -> float:
    """Seconds until the call raised BackendUnavailable."""
    started_at = time.monotonic()
    with pytest.raises(BackendUnavailable):
        call()
    return time.monotonic() - started_at


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:{port}/0",
        "rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none",
        "amqp://guest:guest@127.0.0.1:{port}//",
        "amqps://guest:guest@127.0.0.1:{port}//",
        "sentinel://127.0.0.1:{port}/0",
    ],
)
def test_thread_that_sends_to_a_silent_broker_ends_in_time(silent_port: int, url: str) -> None:
    app = make(url.format(port=silent_port), None)
    app.conf.broker_transport_options = {"master_name": "shop"} if url.startswith("sentinel") else {}

    def send() -> None:
        with connection.broker_connection(app) as opened:
            opened.default_channel.queue_declare(queue="celery", passive=True)

    assert elapsed(send) < 30


def test_thread_that_reads_a_silent_result_backend_ends_in_time(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_app, "BACKEND_TIMEOUT", 1.0)
    app = LazyApp(lambda: make("memory://", f"redis://127.0.0.1:{silent_port}/0"))()
    assert elapsed(lambda: results.read_result(app, "x")) < 20


def test_shorter_limits_of_the_application_remain() -> None:
    app = Celery("x", set_as_current=False, backend="db+postgresql://h/db")
    app.conf.update(redis_socket_timeout=3.0, database_engine_options={"connect_args": {"connect_timeout": 4}})
    limit_backend_time(app)
    assert app.conf.redis_socket_timeout == 3.0
    assert app.conf.redis_socket_connect_timeout == 10.0
    assert app.conf.database_engine_options["connect_args"] == {"connect_timeout": 4, "tcp_user_timeout": 10_000}


def test_silent_management_api_is_left_out_in_time(silent_port: int) -> None:
    app = make("memory://", None)
    started_at = time.monotonic()
    with app.connection_for_write() as opened:
        url = f"http://guest:guest@127.0.0.1:{silent_port}/api"
        assert rabbitmq_management._fetch_queues(app, opened, url) is None
    assert time.monotonic() - started_at < 20


def test_silent_login_provider_is_reported_in_time(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_flow, "_TIMEOUT", 1.0)
    provider = OpenId(ProviderSettings("id", "secret", lambda email: True, issuer=f"http://127.0.0.1:{silent_port}"))
    started_at = time.monotonic()
    attempt = LoginAttempt("http://here/login", "state", "nonce", "verifier")

    async def log_in() -> list[Any]:
        return list(await asyncio.gather(provider.authorize_url(attempt), return_exceptions=True))

    (outcome,) = asyncio.run(log_in())
    assert type(outcome).__name__ == "ReadTimeout"  # of httpx, or of the fork that authlib uses
    assert time.monotonic() - started_at < 20


def test_worker_appends_to_a_frozen_redis_for_a_limited_time() -> None:
    with Redis() as server:
        app = Celery("x", broker=server.url, set_as_current=False)
        stream = EventStream("celeryev", 100)
        with app.connection_for_write() as opened:
            channel = opened.default_channel
            entry = durable_events._Entry("w1", time.time(), (b"e", b"{}"))
            stream.publish(channel, [entry], lambda is_in_stream: None)
            server.signal(signal.SIGSTOP)
            try:
                started_at = time.monotonic()
                for _ in range(20):
                    stream.publish(channel, [entry], lambda is_in_stream: None)
                assert time.monotonic() - started_at < 15
            finally:
                server.signal(signal.SIGCONT)


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    PAGE.write_text(_TABLE.sub(lambda match: match[1] + table() + match[3], page), "utf-8")
