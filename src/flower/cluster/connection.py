"""Broker connections for sending, and the translation of broker and result backend errors.

Each application has its own small connection pool instead of Celery's: with short timeouts, so that an unreachable
broker is detected within seconds, and with publisher confirms on AMQP, so that "sent" means that the broker has the
message.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from amqp import Message
from amqp.exceptions import AMQPError, IrrecoverableChannelError
from celery import Celery, current_app
from celery.exceptions import BackendError
from kombu.connection import Connection, ConnectionPool
from kombu.exceptions import InconsistencyError, LimitExceeded
from kombu.exceptions import OperationalError as BrokerError

from flower.capture.blocked_publishers import PROBE_ROUTING_KEY
from flower.errors import BackendUnavailable, FlowerError, Forbidden
from flower.redaction.settings import mask_urls_in_text


def app_or_current(app: Celery | None) -> Celery:
    """`app`, else Celery's current app. The current app depends on the thread: call this in the caller's thread."""
    return app if app is not None else current_app._get_current_object()


#: Seconds for one connection attempt, and for one response on an open connection.
CONNECT_TIMEOUT = 2.0
RESPONSE_TIMEOUT = 4.0

#: Retries of a publish on a broken connection: one immediately, one more, then it fails.
RETRY_POLICY = {"max_retries": 2, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5}

POOL_SIZE = 8


def _on_blocked(reason: str) -> None:
    """RabbitMQ has blocked this connection."""
    raise BackendUnavailable(
        "RabbitMQ blocks publishers because of an alarm for memory or disk space",
        hint="run `rabbitmq-diagnostics alarms` on the broker, and try again when the alarm has ended",
    )


_TRANSPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "redis": {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_timeout": RESPONSE_TIMEOUT},
    "sqs": {"client-config": {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": RESPONSE_TIMEOUT}},
    "amqp": {
        "confirm_publish": True,
        "read_timeout": RESPONSE_TIMEOUT,
        "write_timeout": RESPONSE_TIMEOUT,
        "on_blocked": _on_blocked,
    },
}

_pools: "WeakKeyDictionary[Celery, tuple[int, Any]]" = WeakKeyDictionary()

_lock = threading.Lock()


@contextmanager
def broker_connection(app: Celery) -> Iterator[Connection]:
    """A connection of this application, from the pool. A connection that raised an error is not reused."""
    with translate_broker_errors():
        pooled = _pool(app).acquire(block=True, timeout=RESPONSE_TIMEOUT)
        try:
            _verify_not_blocked(pooled)
            yield pooled
        except BaseException:
            # A rejected message closes its channel, which would fail the next user of the connection.
            pooled.collect(socket_timeout=0.1)
            raise
        finally:
            pooled.release()


def _verify_not_blocked(connection: Connection) -> None:
    """Raise BackendUnavailable if RabbitMQ blocks publishers, before anything is sent: RabbitMQ would accept the
    message of every attempt when the alarm ends. An empty message that no queue receives shows it."""
    if connection.transport.driver_type != "amqp":
        return
    was_connected = connection.connected
    try:
        _publish_probe(connection)
    except _connection_errors():
        if not was_connected:
            raise
        connection.collect(socket_timeout=0.1)  # type: ignore[no-untyped-call]  # lost since its last use
        _publish_probe(connection)


def _publish_probe(connection: Connection) -> None:
    """Publish a message that RabbitMQ discards."""
    channel: Any = connection.channel()  # type: ignore[no-untyped-call]
    with suppress(IrrecoverableChannelError):  # no permission to publish to the default exchange
        channel.basic_publish(Message(b""), exchange="", routing_key=PROBE_ROUTING_KEY)
        channel.close()


@contextmanager
def translate_broker_errors() -> Iterator[None]:
    """Translate the exceptions for an unreachable broker or result backend into BackendUnavailable."""
    try:
        yield
    except FlowerError:
        raise
    except _connection_errors() as error:
        rejection = next((e for e in (error, error.__cause__) if isinstance(e, IrrecoverableChannelError)), None)
        if rejection is not None:  # the broker is reachable and rejects the operation
            raise Forbidden(f"Rejected by the broker: {mask_urls_in_text(str(rejection))}") from error
        message = mask_urls_in_text(str(error)) or type(error).__name__
        raise BackendUnavailable(f"Broker or result backend unavailable: {message}") from error
    except RuntimeError as error:
        # Celery's result consumer raises a plain RuntimeError after its last retry.
        if "Retry limit exceeded" not in str(error):
            raise
        raise BackendUnavailable("Broker or result backend unavailable: retry limit exceeded") from error


def _connection_errors() -> tuple[type[BaseException], ...]:
    errors: list[type[BaseException]] = [
        BrokerError, LimitExceeded, InconsistencyError, AMQPError, BackendError, OSError
    ]  # fmt: skip
    # Optional libraries; one that has not been imported has raised no error.
    for module_name, name in _LIBRARY_ERRORS:
        error = getattr(sys.modules.get(module_name), name, None)
        if error is not None:
            errors.append(error)
    return tuple(errors)


#: Errors of the libraries of result backends: module and base class.
_LIBRARY_ERRORS = (
    ("redis.exceptions", "RedisError"),
    ("sqlalchemy.exc", "DBAPIError"),
    ("sqlalchemy.exc", "TimeoutError"),
    ("django.db.utils", "DatabaseError"),
    ("django.db.utils", "InterfaceError"),
)


def _pool(app: Celery) -> Any:
    with _lock:
        pid, pool = _pools.get(app, (0, None))
        if pool is None or pid != os.getpid():
            pool = ConnectionPool(_configured_connection(app), limit=POOL_SIZE)  # type: ignore[no-untyped-call]
            _pools[app] = (os.getpid(), pool)
        return pool


def _configured_connection(app: Celery) -> Connection:
    return configure_connection(app.connection_for_write, app.conf.broker_transport_options)


def configure_connection(create: Callable[..., Connection], transport_options: Mapping[str, Any]) -> Connection:
    """The connection that `create` returns for the settings of a connection, with the time limits of this module. The
    transport options override them, but not the retry policy."""
    with create() as unopened:
        driver, transport = str(unopened.transport.driver_type), unopened.transport.__class__.__name__
    options = {**_TRANSPORT_OPTIONS.get(driver, {}), **transport_options, **RETRY_POLICY}
    if transport == "SentinelTransport":
        options["sentinel_kwargs"] = _sentinel_options(options)
    return create(connect_timeout=CONNECT_TIMEOUT, transport_options=options)


def _sentinel_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the connections to Sentinels: redis-py would try each of them four times, for 48 s."""
    from redis.backoff import NoBackoff  # noqa: PLC0415 - redis-py is optional
    from redis.retry import Retry  # noqa: PLC0415

    limits = {name: options[name] for name in ("socket_connect_timeout", "socket_timeout")}
    return {"retry": Retry(NoBackoff(), 0), **limits, **(options.get("sentinel_kwargs") or {})}


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that does not exist in the child
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
