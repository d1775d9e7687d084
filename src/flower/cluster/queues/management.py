"""RabbitMQ's management API: all that it knows of every queue. Where it does not answer, AMQP itself is asked."""

import base64
import json
import logging
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from celery import Celery
from kombu.connection import Connection

from flower.cluster.queues import amqp
from flower.cluster.queues.figures import QueueFigures

log = logging.getLogger(__name__)

#: Seconds for an answer, and how long an API that gave none is left alone.
TIMEOUT: Final = 2.0
PAUSE: Final = 60.0
PORT: Final = 15672
MOST_BYTES: Final = 64 * 1024 * 1024

_silent: dict[str, float] = {}
_lock = threading.Lock()


def count(app: Celery, connection: Connection, names: Sequence[str], broker_api: str) -> list[QueueFigures]:
    told = _ask(app, connection, broker_api)
    if told is None:
        return amqp.count(connection, names)
    found = {name: _figures(name, told[name]) for name in names if name in told}
    # For some seconds the API knows of a new queue only that there is one.
    fresh = [name for name in names if name not in found or found[name].ready is None]
    for asked in amqp.count(connection, fresh):
        known = found.get(asked.name)
        found[asked.name] = asked if known is None else _completed(known, asked)
    return [found[name] for name in names if name in found]


def _figures(name: str, told: Mapping[str, Any]) -> QueueFigures:
    return QueueFigures(
        name,
        ready=_number(told.get("messages_ready")),
        unacknowledged=_number(told.get("messages_unacknowledged")),
        consumers=_number(told.get("consumers")),
        oldest=_number(told.get("head_message_timestamp")),
        told=told,
    )


def _completed(known: QueueFigures, asked: QueueFigures) -> QueueFigures:
    told = {**(known.told or {}), **asked.length}
    return QueueFigures(known.name, asked.ready, known.unacknowledged, asked.consumers, known.oldest, (), told)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _ask(app: Celery, connection: Connection, broker_api: str) -> Mapping[str, Mapping[str, Any]] | None:
    """The objects of all queues by name; None if the API does not answer, or did not a short while ago."""
    url, login = _address(connection, broker_api)
    with _lock:
        if _silent.get(url, 0.0) > time.monotonic():
            return None
    request = Request(url, headers={"Authorization": f"Basic {login}", "Accept": "application/json"})  # noqa: S310
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=_tls(app)))
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            queues = json.loads(answer.read(MOST_BYTES))
        return {str(queue["name"]): queue for queue in queues}
    except (OSError, ValueError, LookupError, TypeError, URLError) as error:
        with _lock:
            _silent[url] = time.monotonic() + PAUSE
        # without a word by the user it is a guess that there is an API
        log.log(logging.WARNING if broker_api else logging.DEBUG, "The management API does not answer: %s", error)
        return None


def _address(connection: Connection, broker_api: str) -> tuple[str, str]:
    """The URL to ask, without a login, and the login: that of `broker_api`, else of the broker."""
    scheme, host, path, user, password = "http", f"{_host(connection)}:{PORT}", "/api", None, None
    if broker_api:
        parts = urlsplit(broker_api)
        scheme, host, path = parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") or "/api"
        user, password = parts.username, parts.password
    if user is None:
        user, password = connection.userid or "guest", connection.password or "guest"
    else:
        user, password = unquote(user), unquote(password or "")
    vhost = quote(connection.virtual_host or "/", safe="")
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"{scheme}://{host}{path}/queues/{vhost}", login


def _host(connection: Connection) -> str:
    host = connection.hostname or "localhost"
    return f"[{host}]" if ":" in host else host


def _tls(app: Celery) -> ssl.SSLContext:
    """Authorities as the application gives them for the broker itself."""
    given = app.conf.broker_use_ssl
    context = ssl.create_default_context()
    if isinstance(given, Mapping):
        if given.get("ca_certs"):
            context.load_verify_locations(given["ca_certs"])
        if given.get("cert_reqs") == ssl.CERT_NONE:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    return context
