"""Entry point of the connector (`python -m flower.capture.drain.connector DESCRIPTOR`): a process that opens one
connection to Redis with kombu, as Celery does, passes the socket to the drain, and ends.

It reads the settings from standard input, as the drain does, and writes its reply to the Unix socket DESCRIPTOR.
"""

import logging
import pickle
import socket
import ssl
import sys
from typing import Any

import msgspec

from flower.capture.connection import CONNECT_TIMEOUT, app_from_settings, explain_error
from flower.capture.drain.source import Failed, Opened, RedisAddress, Reply, UsesTls
from flower.capture.settings import CaptureSettings

log = logging.getLogger(__name__)


def connect(settings: CaptureSettings) -> tuple[Reply, socket.socket | None]:
    """The reply, and the socket that it contains."""
    try:
        # After the settings: an error of an import is a reply too.
        from flower.capture.redis import open_redis, take_socket  # noqa: PLC0415

        app = app_from_settings(settings)
        prototype = app.connection_for_read()
        redis, pattern = open_redis(app, prototype)
        if isinstance(redis._sock, ssl.SSLSocket):
            redis.disconnect()
            return UsesTls(), None
        address = _find_address(redis) if len(prototype.alt or ()) <= 1 else None
        return Opened(pattern, address), take_socket(redis)
    except Exception as error:  # noqa: BLE001  each transport has its own errors; the drain reports them
        return Failed(explain_error(error)), None


def _find_address(redis: Any) -> RedisAddress | None:
    """None if another connection may need what only the client library has, for example a new password."""
    from redis.connection import Connection, UnixDomainSocketConnection  # noqa: PLC0415 - see `connect`

    if type(redis) not in (Connection, UnixDomainSocketConnection) or getattr(redis, "credential_provider", None):
        return None
    options = getattr(redis, "socket_keepalive_options", None) or {}
    return RedisAddress(
        path=str(getattr(redis, "path", "")),
        host=str(getattr(redis, "host", "")),
        port=int(getattr(redis, "port", 0)),
        timeout=float(getattr(redis, "socket_connect_timeout", None) or CONNECT_TIMEOUT),
        username=redis.username,
        password=redis.password,
        client_name=redis.client_name,
        keep_alive={int(name): int(value) for name, value in options.items()}
        if getattr(redis, "socket_keepalive", False)
        else None,
    )


def main() -> int:
    drain = socket.socket(fileno=int(sys.argv[1]))
    path, settings = pickle.loads(sys.stdin.buffer.read())  # noqa: S301  written by the parent process
    sys.path[:] = path
    reply, sock = connect(pickle.loads(settings))  # noqa: S301  as above
    socket.send_fds(drain, [msgspec.msgpack.encode(reply)], [sock.fileno()] if sock is not None else [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
