"""Broker connections: opening as Celery does, retry delays, and error messages."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flower.redaction import mask_url
from flower.redaction.settings import mask_urls_in_text


@contextmanager
def open_connection(prototype: Any) -> Iterator[Any]:
    """A new `kombu.Connection` with the settings of `prototype`, connected to the first of its URLs that accepts;
    closed on exit. Raises what the transport raises, after one attempt per URL without delay."""
    connection = prototype.clone()
    try:
        connection.ensure_connection(max_retries=max(1, len(connection.alt or ())), interval_start=0, interval_step=0)
        yield connection
    finally:
        connection.release()


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
    return f"{_error_message(error)} ({mask_url(url)})"


def _error_message(error: BaseException) -> str:
    chain = _cause_chain(error)
    for cause in chain:
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
    (r"timeout|timed out", "connection timed out"),
    (r"no route to host|network is unreachable", "network unreachable"),
]  # fmt: skip
