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
from flower.cluster.queues.stats import QueueStats

log = logging.getLogger(__name__)

#: Seconds for an answer, and how long an API that gave none is left alone.
REQUEST_TIMEOUT: Final = 2.0
RETRY_DELAY: Final = 60.0
MANAGEMENT_PORT: Final = 15672
MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024

_unreachable_until: dict[str, float] = {}
_lock = threading.Lock()


def management_queue_stats(
    app: Celery, connection: Connection, names: Sequence[str], broker_api: str
) -> list[QueueStats]:
    told = _fetch_queues(app, connection, broker_api)
    if told is None:
        return amqp.amqp_queue_stats(connection, names)
    found = {name: _to_queue_stats(name, told[name]) for name in names if name in told}
    # For some seconds the API knows of a new queue only that there is one.
    fresh = [name for name in names if name not in found or found[name].ready is None]
    for asked in amqp.amqp_queue_stats(connection, fresh):
        known = found.get(asked.name)
        found[asked.name] = asked if known is None else _fill_missing(known, asked)
    return [found[name] for name in names if name in found]


def _to_queue_stats(name: str, told: Mapping[str, Any]) -> QueueStats:
    return QueueStats(
        name,
        ready=_number(told.get("messages_ready")),
        unacknowledged=_number(told.get("messages_unacknowledged")),
        consumers=_number(told.get("consumers")),
        oldest_sent_at=_number(told.get("head_message_timestamp")),
        broker_fields=told,
    )


def _fill_missing(known: QueueStats, declared: QueueStats) -> QueueStats:
    told = {**(known.broker_fields or {}), **declared.as_queue_length}
    return QueueStats(
        known.name, declared.ready, known.unacknowledged, declared.consumers, known.oldest_sent_at, (), told
    )


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _fetch_queues(app: Celery, connection: Connection, broker_api: str) -> Mapping[str, Mapping[str, Any]] | None:
    """The objects of all queues by name; None if the API does not answer, or did not a short while ago."""
    url, login = _api_url_and_login(connection, broker_api)
    with _lock:
        if _unreachable_until.get(url, 0.0) > time.monotonic():
            return None
    request = Request(url, headers={"Authorization": f"Basic {login}", "Accept": "application/json"})  # noqa: S310
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=_tls_context(app)))
    try:
        with opener.open(request, timeout=REQUEST_TIMEOUT) as answer:
            queues = json.loads(answer.read(MAX_RESPONSE_BYTES))
        return {str(queue["name"]): queue for queue in queues}
    except (OSError, ValueError, LookupError, TypeError, URLError) as error:
        with _lock:
            _unreachable_until[url] = time.monotonic() + RETRY_DELAY
        # without a word by the user it is a guess that there is an API
        log.log(logging.WARNING if broker_api else logging.DEBUG, "The management API does not answer: %s", error)
        return None


def _api_url_and_login(connection: Connection, broker_api: str) -> tuple[str, str]:
    """The URL to ask, without a login, and the login: that of `broker_api`, else of the broker."""
    scheme, host, path, user, password = "http", f"{_host(connection)}:{MANAGEMENT_PORT}", "/api", None, None
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


def _tls_context(app: Celery) -> ssl.SSLContext:
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
