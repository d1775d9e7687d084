"""The Celery application of the reconciler and its broker connection. Every network call has a timeout."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from celery import Celery
from kombu.connection import Connection

from flower.capture.connection import open_connection
from flower.recorder_settings import ReconcileSettings

#: Seconds for connecting, and for one response.
NETWORK_TIMEOUT: Final = 10.0

_TRANSPORT_OPTIONS: Mapping[str, dict[str, Any]] = {
    "redis": {
        "socket_connect_timeout": NETWORK_TIMEOUT,
        "socket_timeout": NETWORK_TIMEOUT,
        "retry_on_timeout": False,
    },
    "amqp": {"read_timeout": NETWORK_TIMEOUT, "write_timeout": NETWORK_TIMEOUT},
}


def create_app(settings: ReconcileSettings) -> Celery:
    """An application with the settings of broker and result backend, which is not the current app."""
    app = Celery("bellflower", set_as_current=False, fixups=[])
    app.conf.update(settings.conf)
    app.conf.update(
        redis_socket_timeout=NETWORK_TIMEOUT,
        redis_socket_connect_timeout=NETWORK_TIMEOUT,
        redis_retry_on_timeout=False,
        result_backend_always_retry=False,
        database_create_tables_at_setup=False,
    )
    return app


@contextmanager
def broker_connection(app: Celery) -> Iterator[Connection]:
    """A connected connection of its own, closed on exit. Raises what the transport raises."""
    with app.connection_for_write() as unopened:
        driver = str(unopened.transport.driver_type)
    options = {**app.conf.broker_transport_options, **_TRANSPORT_OPTIONS.get(driver, {}), "max_retries": 1}
    prototype = app.connection_for_write(connect_timeout=NETWORK_TIMEOUT, transport_options=options)
    with open_connection(prototype) as connection:
        yield connection
