"""Broker connections: opening as Celery does, retry delays, and error messages."""

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flower.capture.settings import CaptureSettings
from flower.redaction import mask_url
from flower.redaction.settings import mask_urls_in_text

if TYPE_CHECKING:
    from celery import Celery

#: Seconds for each of: to connect, to agree on TLS, to log in, and any reply before events are received.
CONNECT_TIMEOUT = 10.0


class NoAnswer(ConnectionError):
    """The broker accepted the connection, or not even that, and did not answer in time."""

    def __init__(self, elapsed: float) -> None:
        super().__init__(f"no answer within {elapsed:.0f} s")


def app_from_settings(settings: CaptureSettings) -> "Celery":
    """A Celery application with broker settings only, which is not the current app."""
    from celery import Celery  # noqa: PLC0415 - 30 MB of memory, which the drain process does not need

    app = Celery("bellflower", set_as_current=False, fixups=[])
    app.conf.update(settings.conf)
    return app


@contextmanager
def open_connection(prototype: Any) -> Iterator[Any]:
    """A new `kombu.Connection` with the settings of `prototype`, connected to the first of its URLs that accepts;
    closed on exit. Raises what the transport raises, after one attempt per URL without delay, or NoAnswer."""
    connection = prototype.clone()
    _limit_time(connection)
    remaining = max(1, len(connection.alt or ()))
    started_at = time.monotonic()

    def on_error(error: Exception, interval: float) -> None:
        nonlocal remaining, started_at
        remaining -= 1
        if remaining <= 0:
            if _is_timeout(error):
                raise NoAnswer(time.monotonic() - started_at) from error
            raise error
        started_at = time.monotonic()

    try:
        connection.ensure_connection(on_error, max_retries=remaining, interval_start=0, interval_step=0)
        if connection.transport.driver_type == "amqp":
            # py-amqp waits for replies without a limit
            connection.connection.transport.sock.settimeout(CONNECT_TIMEOUT)
        yield connection
    finally:
        connection.release()


def _limit_time(connection: Any) -> None:
    """Set time limits for what a client library may wait for without one. Limits that the user configured remain."""
    options = dict(connection.transport_options or {})
    if connection.transport.driver_type == "redis":
        limits = {name: options.get(name) or CONNECT_TIMEOUT for name in ("socket_timeout", "socket_connect_timeout")}
        options.update(limits)
        if connection.transport.__class__.__name__ == "SentinelTransport":
            # The client library is imported only if it is used.
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415

            # redis-py would try each Sentinel four times
            no_retry = Retry(NoBackoff(), 0)
            options["sentinel_kwargs"] = {"retry": no_retry, **limits, **(options.get("sentinel_kwargs") or {})}
        connection.transport_options = options
    else:
        connection.connect_timeout = CONNECT_TIMEOUT


def _is_timeout(error: BaseException) -> bool:
    return any(re.search(_TIMEOUT_PATTERN, f"{type(each).__name__} {each}".lower()) for each in _cause_chain(error))


_MIN_DELAY, _MAX_DELAY = 1.0, 30.0


def backoff_delays() -> Iterator[float]:
    """Seconds to wait before each attempt, unlimited: 1, 2, 4 … 30, each shortened by up to a quarter at random, so
    that many clients do not reconnect at the same time."""
    delay = _MIN_DELAY
    while True:
        yield delay * random.uniform(0.75, 1.0)  # noqa: S311  not security-relevant
        delay = min(_MAX_DELAY, delay * 2)


def describe_error(error: BaseException, url: object) -> str:
    """One sentence: what is wrong and at which address. Contains no password."""
    return f"{explain_error(error)} ({mask_url(url)})"


def explain_error(error: BaseException) -> str:
    """What is wrong, without the address. Contains no password."""
    chain = _cause_chain(error)
    for cause in chain:
        if isinstance(cause, NoAnswer):
            return str(cause)
        text = f"{type(cause).__name__} {cause}".lower()
        for pattern, message in _ERROR_PATTERNS:
            if re.search(pattern, text):
                return message
    first = chain[0]
    if isinstance(first, ValueError):  # the message of a parser may quote the password
        return "invalid broker URL"
    if isinstance(first, ImportError):
        return f"the library for this broker is not installed: {first}"
    return mask_urls_in_text(str(first)) or type(first).__name__


def _cause_chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


_TIMEOUT_PATTERN = r"timeout|timed out"

#: Patterns for "ClassName message" in lower case, the most specific first.
_ERROR_PATTERNS = [
    (r"noauth|authentication required", "the broker requires a password"),
    (r"noperm|no permissions|access to .* refused for user", "the broker user has no permission to read events"),
    (r"accessrefused|wrongpass|invalid username-password|auth_?ent|authentication ?error|invalid password|"
     r"login was refused|access_refused", "the broker rejected the user or password"),
    (r"not_allowed.*vhost|vhost.*not found", "virtual host not found"),
    (r"gaierror|name or service not known|nodename nor servname|name resolution", "host not found"),
    (r"connection ?refused", "connection refused"),
    (r"certificate verify failed|sslcertverification", "the TLS certificate of the broker is not trusted"),
    (r"sslerror|ssl: |wrong version number", "TLS handshake failed"),
    (_TIMEOUT_PATTERN, "no answer in time"),
    (r"no route to host|network is unreachable", "network unreachable"),
]  # fmt: skip
