"""The HTTP server: uvicorn with TLS, the headers of a reverse proxy, and limits for clients."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from flower.config import Config
from flower.errors import InvalidRequest
from flower.log_rate_limit import limit_log_rate
from flower.web.acceptor import Acceptor
from flower.web.host_check import AllowedHosts, HostCheckMiddleware
from flower.web.http_protocol import KEEP_ALIVE_TIMEOUT, MAX_HEAD_SIZE, ClientLimits, protocol_class
from flower.web.open_connections import OpenConnections
from flower.web.proxy_headers import ProxyHeadersMiddleware

#: Seconds to wait for open responses when the server stops.
SHUTDOWN_TIMEOUT: Final = 5


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers (`app` determines the order of the shutdown), and with its own acceptor."""

    def __init__(
        self, settings: uvicorn.Config, connections: OpenConnections, is_trusted: Callable[[str], bool]
    ) -> None:
        super().__init__(settings)
        self._connections = connections
        self._is_trusted = is_trusted

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        create_protocol = partial(protocol_class(), self.config, self.server_state, {}, self._connections)

        def create(host: str) -> ClientLimits:
            return create_protocol(host, is_trusted=self._is_trusted(host))

        self.servers = [Acceptor(sockets or (), self._connections, create, self.config.ssl)]  # type: ignore[list-item]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls this ten times per second."""
        self._connections.check_time_limits()
        return await super().on_tick(counter)


def create_server(
    app: ASGIApp,
    config: Config,
    connections: OpenConnections,
    *,
    allowed_hosts: AllowedHosts | None = None,
    is_trusted: Callable[[str], bool] = lambda host: False,
) -> HttpServer:
    """`connections` are those of all servers of this process. Without `allowed_hosts`, the header Host is not checked.
    `is_trusted` returns whether an address is that of a trusted proxy. Raises InvalidRequest if the certificate cannot
    be used."""
    for name in ("uvicorn.error", "asyncio"):  # errors of the protocol, with tracebacks
        limit_log_rate(logging.getLogger(name), tracebacks=True)
    if allowed_hosts is not None:
        app = HostCheckMiddleware(app, allowed_hosts)
    settings = uvicorn.Config(
        ProxyHeadersMiddleware(app) if config.xheaders else app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        # uvicorn would trust the headers of all local processes, regardless of the option.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT,
        # Only for h11, which checks before `http_protocol` does: one read and the limit.
        h11_max_incomplete_event_size=2**18 + MAX_HEAD_SIZE,
        # Streams end on request, except those of a client that does not read.
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        **_tls_options(config),
    )
    try:
        settings.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(f"Invalid TLS configuration: {_tls_error_reason(config, error)}") from error
    return HttpServer(settings, connections, is_trusted)


def has_tls(config: Config) -> bool:
    """A Unix socket is not encrypted, as in Flower."""
    return bool(config.certfile) and not config.unix_socket


def _tls_options(config: Config) -> dict[str, Any]:
    if not has_tls(config):
        return {}
    return {
        "ssl_certfile": config.certfile,
        "ssl_keyfile": config.keyfile,
        "ssl_ca_certs": config.ca_certs or None,
        "ssl_ciphers": "",  # Python's choice
    }


def _tls_error_reason(config: Config, error: OSError) -> str:
    """The reason with the name of the file, which OpenSSL's message lacks."""
    files = {"certfile": config.certfile, "keyfile": config.keyfile, "ca_certs": config.ca_certs}
    for option, path in files.items():
        try:
            if path:
                with open(path, "rb"):
                    pass
        except OSError as wrong:
            return f"{option} {path}: {wrong.strerror}"
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return f"{str(reason).replace('_', ' ').lower()} (certfile {config.certfile}, keyfile {config.keyfile})"
