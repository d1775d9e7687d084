"""Checks of the broker: reachable, sign-in, TLS, permissions for events and queues."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Final

from flower import cluster
from flower.api.health.messages import pluralize
from flower.capture.connection import app_from_settings, describe_error, open_connection
from flower.capture.source import ConnectionLost
from flower.doctor.event_probe import capture_settings, create_probe_source, receive_worker_events
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome
from flower.errors import FlowerError
from flower.redaction import mask_url

#: Seconds for which events are received: an error for a consumer arrives after the connection is open.
_LISTEN_TIME: Final = 0.5

#: What to do, by a part of the message of `describe_error`; the first one that it contains applies.
_ACTIONS: Final = (
    ("connection refused", "Start the broker, or correct host and port in -b or broker_url."),
    ("virtual host", "Create the virtual host, or correct the path of the URL: amqp://…/VHOST."),
    ("host not found", "Correct the host name in -b or broker_url, or check DNS."),
    ("network unreachable", "Check the network between this host and the broker."),
    ("no answer", "Check firewall and load of the broker. With TLS only on this port, use rediss:// or amqps://."),
    ("requires a password", "Add the password to the URL of the broker: redis://:PASSWORD@host."),
    ("rejected the user or password", "Correct user and password in the URL. Encode special characters: @ is %40."),
    ("certificate", "Set broker_use_ssl with ca_certs, or install the certificate of the authority."),
    ("TLS handshake", "Use the scheme and the port of the broker: rediss:// or amqps:// only with TLS."),
    ("not installed", "Install the library of the broker, for example: pip install 'celery[redis]'"),
    ("invalid broker URL", "Correct the URL. Encode special characters in user and password: @ is %40, / is %2F."),
)  # fmt: skip
_PERMISSION_ACTIONS: Final = {
    "redis": "Grant the user the events: ACL SETUSER NAME +psubscribe +subscribe +ping &* (channels begin with "
    "/DB.celeryev).",
    "amqp": "Grant the user configure, write and read for names that begin with celeryev: rabbitmqctl "
    "set_permissions -p VHOST NAME CONFIGURE WRITE READ",
}


def check_broker(examination: Examination) -> Iterable[Outcome]:
    """Connect as the recorder does, with its time limits."""
    url: object = examination.app.conf.broker_read_url or examination.app.connection_for_read().as_uri()
    started_at = time.monotonic()
    try:
        app = app_from_settings(capture_settings(examination))
        with open_connection(app.connection_for_read()) as connection:
            seconds = time.monotonic() - started_at
            examination.broker_version = _server_version(connection)
            examination.broker_kind = str(connection.transport.driver_type)
            security = "with TLS" if connection.ssl else "without TLS"
    except FlowerError:
        raise
    except Exception as error:  # noqa: BLE001  each transport has its own errors
        message = describe_error(error, url)
        action = next((action for part, action in _ACTIONS if part in message), "Check -b or broker_url.")
        return [Outcome("error", message, action)]
    version = f" {examination.broker_version}" if examination.broker_version else ""
    name = {"amqp": "RabbitMQ", "redis": "Redis"}.get(examination.broker_kind, examination.broker_kind)
    return [Outcome("ok", f"{mask_url(url)}: {name}{version}, {security}, connected in {seconds * 1000:.0f} ms")]


def _server_version(connection: Any) -> str:
    """The version of Redis or RabbitMQ; "" if it is not permitted to read it."""
    try:
        if connection.transport.driver_type == "amqp":
            return str(connection.connection.server_properties.get("version") or "")
        if connection.transport.driver_type == "redis":
            return str(connection.default_channel.client.info("server").get("redis_version") or "")
    except Exception:  # noqa: BLE001  a version is not worth an error
        return ""
    return ""


def check_event_permissions(examination: Examination) -> Iterable[Outcome]:
    """Declare, bind and consume as the recorder does, in a queue of its own; on Redis, subscribe."""
    examination.require_broker()
    source = create_probe_source(examination)
    try:
        receive_worker_events(source, _LISTEN_TIME)
    except FlowerError:
        raise
    except Exception as error:  # noqa: BLE001  each transport has its own errors
        message = str(error) if isinstance(error, ConnectionLost) else describe_error(error, source.url)
        detail = _find_refusal(error)
        action = _PERMISSION_ACTIONS.get(examination.broker_kind, "Check the permissions of the user.")
        return [Outcome("error", f"Events cannot be received: {message}{f': {detail}' if detail else ''}", action)]
    return [Outcome("ok", f"Events can be received ({source.description})")]


def _find_refusal(error: BaseException) -> str:
    """The message of the broker that names the refused operation; "" if there is none."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            break
        text = str(getattr(cause, "reply_text", "") or cause)
        if "refused for user" in text or "no permissions" in text.lower():
            return text
        cause = cause.__cause__ or cause.__context__
    return ""


def check_queue_permissions(examination: Examination) -> Iterable[Outcome]:
    """Read the lengths of the configured queues, as the server does for the Queues page."""
    examination.require_broker()
    app = examination.app
    names = sorted(cluster.queues.configured_queues(app))
    try:
        stats = asyncio.run(cluster.queues.queue_stats(app, names, broker_api=examination.config.broker_api))
    except FlowerError as error:
        action = "Grant the user read access to the queues. Without it, queues are shown without lengths."
        if examination.broker_kind == "redis":
            action += " Redis: +llen +lindex +hvals +memory|usage +smembers ~*"
        return [Outcome("warning", f"The queues cannot be read: {error.message}", action)]
    total = sum(each.ready or 0 for each in stats)
    return [Outcome("ok", f"{pluralize(len(stats), 'queue')} can be read, {pluralize(total, 'message')} ready")]
