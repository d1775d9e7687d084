"""A broker connection as Celery would make it.

What there is to say and to wait for when a broker is away."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flower.redaction import mask_url
from flower.redaction.settings import mask_urls_in_text


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


_MIN_DELAY, _MAX_DELAY = 1.0, 30.0


def backoff_delays() -> Iterator[float]:
    """Seconds to wait before each try, for ever: 1, 2, 4 … 30, each shortened by up to a quarter at
    random, so that many of us do not come back in step."""
    delay = _MIN_DELAY
    while True:
        yield delay * random.uniform(0.75, 1.0)  # noqa: S311  not a secret
        delay = min(_MAX_DELAY, delay * 2)


def describe_error(error: BaseException, url: object) -> str:
    """One plain sentence: what is wrong and at which address. Never holds a password."""
    return f"{_error_message(error)} ({mask_url(url)})"


def _error_message(error: BaseException) -> str:
    chain = _cause_chain(error)
    for one in chain:
        said = f"{type(one).__name__} {one}".lower()
        for pattern, words in _ERROR_PATTERNS:
            if re.search(pattern, said):
                return words
    first = chain[0]
    if isinstance(first, ValueError):  # a parser quotes what it cannot read, and that may be the password
        return "the broker URL cannot be understood"
    if isinstance(first, ImportError):
        return f"the library for this broker is not installed: {first}"
    return mask_urls_in_text(str(first)) or type(first).__name__


def _cause_chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


#: Patterns over "ClassName message" in lower case, the more telling first.
_ERROR_PATTERNS = [
    (r"noauth|authentication required", "the broker asks for a password"),
    (r"noperm|no permissions|access to .* refused for user", "the broker gives this user no permission to read events"),
    (r"accessrefused|wrongpass|invalid username-password|auth_?ent|authentication ?error|invalid password|"
     r"login was refused|access_refused", "the broker refuses this user or password"),
    (r"not_allowed.*vhost|vhost.*not found", "the broker has no such virtual host"),
    (r"gaierror|name or service not known|nodename nor servname|name resolution", "no such host"),
    (r"connection ?refused", "nobody listens there (connection refused)"),
    (r"certificate verify failed|sslcertverification", "the broker's TLS certificate was not accepted"),
    (r"sslerror|ssl: |wrong version number", "the TLS handshake failed"),
    (r"timeout|timed out", "no answer in time"),
    (r"no route to host|network is unreachable", "the network does not reach it"),
]  # fmt: skip
