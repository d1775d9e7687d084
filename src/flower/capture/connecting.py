"""A broker connection as Celery would make it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def open_connection(prototype: Any) -> Iterator[Any]:
    """A fresh `kombu.Connection` with the settings of `prototype`, connected to the first of its URLs that
    answers; closed on leaving. Raises what the transport raises, after one round without waiting."""
    connection = prototype.clone()
    try:
        connection.ensure_connection(max_retries=max(1, len(connection.alt or ())), interval_start=0, interval_step=0)
        yield connection
    finally:
        connection.release()
