"""Which Celery application is meant.

Connections to the broker for what we send, and the one place that tells a broker or backend that is away.

We keep a small pool of our own per application instead of Celery's: with short time limits, so that an unreachable
broker is known in seconds, and on AMQP with publisher confirms, so that "sent" means that the broker has it.
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
    """`app`, else Celery's current one, which is a matter of the thread: ask in the caller's."""
    return app if app is not None else current_app._get_current_object()


#: Seconds for one attempt to connect, and for one answer on an open connection.
CONNECT_TIMEOUT = 2.0

RESPONSE_TIMEOUT = 4.0

#: How a publish that hits a broken connection is tried again: at once and once more, then it is an error.
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
    """A connection of this application, from the pool. One on which anything went wrong is not used again."""
    with translate_broker_errors():
        lent = _pool(app).acquire(block=True, timeout=RESPONSE_TIMEOUT)
        try:
            yield lent
        except BaseException:
            # A refused message closes its channel; who came next would pay for it.
            lent.collect(socket_timeout=0.1)
            raise
        finally:
            lent.release()


@contextmanager
def translate_broker_errors() -> Iterator[None]:
    """Translate the many ways in which a broker or backend says that it is not there into `Unavailable`."""
    try:
        yield
    except FlowerError:
        raise
    except _connection_errors() as error:
        refusal = next((e for e in (error, error.__cause__) if isinstance(e, IrrecoverableChannelError)), None)
        if refusal is not None:  # the broker is there, and says no
            raise Forbidden(f"The broker refused: {mask_urls_in_text(str(refusal))}") from error
        said = mask_urls_in_text(str(error)) or type(error).__name__
        raise BackendUnavailable(f"Broker or result backend unavailable: {said}") from error
    except RuntimeError as error:
        # Celery's result consumer ends with a plain RuntimeError once its own retries are used up.
        if "Retry limit exceeded" not in str(error):
            raise
        raise BackendUnavailable("Broker or result backend unavailable: retry limit exceeded") from error


def transport_driver(app: Celery) -> str:
    """The driver's family, whatever the URL's spelling: `redis` for rediss and sentinel too, `amqp`, `filesystem`, …"""
    with app.connection_for_write() as unopened:
        return str(unopened.transport.driver_type)


def _connection_errors() -> tuple[type[BaseException], ...]:
    errors = (BrokerError, LimitExceeded, InconsistencyError, AMQPError, BackendError, OSError)
    try:
        from redis.exceptions import RedisError  # noqa: PLC0415 - only where the application uses Redis
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
    # The application's own transport options win over ours, but not over the retry policy.
    options = {**_TRANSPORT_OPTIONS.get(transport_driver(app), {}), **app.conf.broker_transport_options, **RETRY_POLICY}
    configured: Connection = app.connection_for_write(connect_timeout=CONNECT_TIMEOUT, transport_options=options)
    return configured


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that is gone
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
