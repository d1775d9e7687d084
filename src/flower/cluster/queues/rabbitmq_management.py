"""RabbitMQ's management API: complete statistics of every queue. If the API does not respond, a passive AMQP declare is
used."""

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
from flower.untrusted_values import convert_or_none

log = logging.getLogger(__name__)

#: Seconds for a response, and seconds until an API that did not respond is tried again.
REQUEST_TIMEOUT: Final = 2.0
RETRY_DELAY: Final = 60.0
MANAGEMENT_PORT: Final = 15672
MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024

_unreachable_until: dict[str, float] = {}
_lock = threading.Lock()


def management_queue_stats(
    app: Celery, connection: Connection, names: Sequence[str], broker_api: str
) -> list[QueueStats]:
    queue_objects = _fetch_queues(app, connection, broker_api)
    if queue_objects is None:
        return amqp.amqp_queue_stats(connection, names)
    stats = {name: _to_queue_stats(name, queue_objects[name]) for name in names if name in queue_objects}
    # For some seconds after a queue is declared the API has only its name.
    incomplete = [name for name in names if name not in stats or stats[name].ready is None]
    for declared in amqp.amqp_queue_stats(connection, incomplete):
        reported = stats.get(declared.name)
        stats[declared.name] = declared if reported is None else _fill_missing(reported, declared)
    return [stats[name] for name in names if name in stats]


def _to_queue_stats(name: str, fields: Mapping[str, Any]) -> QueueStats:
    return QueueStats(
        name,
        ready=convert_or_none(fields.get("messages_ready"), int),
        unacknowledged=convert_or_none(fields.get("messages_unacknowledged"), int),
        consumers=convert_or_none(fields.get("consumers"), int),
        oldest_sent_at=convert_or_none(fields.get("head_message_timestamp"), int),
        broker_fields=fields,
    )


def _fill_missing(reported: QueueStats, declared: QueueStats) -> QueueStats:
    fields = {**(reported.broker_fields or {}), **declared.as_queue_length}
    return QueueStats(
        reported.name, declared.ready, reported.unacknowledged, declared.consumers, reported.oldest_sent_at, (), fields
    )


def _fetch_queues(app: Celery, connection: Connection, broker_api: str) -> Mapping[str, Mapping[str, Any]] | None:
    """The objects of all queues by name; None if the API does not respond, or recently did not."""
    url, login = _api_url_and_login(connection, broker_api)
    with _lock:
        if _unreachable_until.get(url, 0.0) > time.monotonic():
            return None
    request = Request(url, headers={"Authorization": f"Basic {login}", "Accept": "application/json"})  # noqa: S310
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=_tls_context(app)))
    try:
        with opener.open(request, timeout=REQUEST_TIMEOUT) as response:
            queues = json.loads(response.read(MAX_RESPONSE_BYTES))
        return {str(queue["name"]): queue for queue in queues}
    except (OSError, ValueError, LookupError, TypeError, URLError) as error:
        with _lock:
            _unreachable_until[url] = time.monotonic() + RETRY_DELAY
        # Without --broker-api the URL is a guess, and an error is expected.
        log.log(logging.WARNING if broker_api else logging.DEBUG, "The management API does not respond: %s", error)
        return None


def _api_url_and_login(connection: Connection, broker_api: str) -> tuple[str, str]:
    """The URL without credentials, and the credentials: those of `broker_api`, else those of the broker."""
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
    """Certificate authorities from the application's broker settings."""
    ssl_options = app.conf.broker_use_ssl
    context = ssl.create_default_context()
    if isinstance(ssl_options, Mapping):
        if ssl_options.get("ca_certs"):
            context.load_verify_locations(ssl_options["ca_certs"])
        if ssl_options.get("cert_reqs") == ssl.CERT_NONE:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    return context
