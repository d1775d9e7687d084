"""Broker connections for sending, and the translation of broker and result backend errors.

Each application has its own small connection pool instead of Celery's: with short timeouts, so that an unreachable
broker is detected within seconds, and with publisher confirms on AMQP, so that "sent" means that the broker has the
message.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from amqp.exceptions import AMQPError, IrrecoverableChannelError
from celery import Celery, current_app
from celery.exceptions import BackendError
from kombu.connection import Connection, ConnectionPool
from kombu.exceptions import InconsistencyError, LimitExceeded
from kombu.exceptions import OperationalError as BrokerError

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

_TRANSPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "redis": {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_timeout": RESPONSE_TIMEOUT},
    "amqp": {"confirm_publish": True, "read_timeout": RESPONSE_TIMEOUT, "write_timeout": RESPONSE_TIMEOUT},
}

_pools: "WeakKeyDictionary[Celery, tuple[int, Any]]" = WeakKeyDictionary()

_lock = threading.Lock()


@contextmanager
def broker_connection(app: Celery) -> Iterator[Connection]:
    """A connection of this application, from the pool. A connection that raised an error is not reused."""
    with translate_broker_errors():
        pooled = _pool(app).acquire(block=True, timeout=RESPONSE_TIMEOUT)
        try:
            yield pooled
        except BaseException:
            # A rejected message closes its channel, which would fail the next user of the connection.
            pooled.collect(socket_timeout=0.1)
            raise
        finally:
            pooled.release()


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


def transport_driver(app: Celery) -> str:
    """The driver type, independent of the spelling of the URL: `redis` also for rediss and sentinel, `amqp`,
    `filesystem`, …"""
    with app.connection_for_write() as unopened:
        return str(unopened.transport.driver_type)


def _connection_errors() -> tuple[type[BaseException], ...]:
    errors = (BrokerError, LimitExceeded, InconsistencyError, AMQPError, BackendError, OSError)
    try:
        from redis.exceptions import RedisError  # noqa: PLC0415 - redis-py is optional
    except ImportError:
        return errors
    return (*errors, RedisError)


def _pool(app: Celery) -> Any:
    with _lock:
        pid, pool = _pools.get(app, (0, None))
        if pool is None or pid != os.getpid():
            pool = ConnectionPool(_configured_connection(app), limit=POOL_SIZE)  # type: ignore[no-untyped-call]
            _pools[app] = (os.getpid(), pool)
        return pool


def _configured_connection(app: Celery) -> Connection:
    # The application's transport options override the defaults of this module, but not the retry policy.
    options = {**_TRANSPORT_OPTIONS.get(transport_driver(app), {}), **app.conf.broker_transport_options, **RETRY_POLICY}
    configured: Connection = app.connection_for_write(connect_timeout=CONNECT_TIMEOUT, transport_options=options)
    return configured


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that does not exist in the child
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
