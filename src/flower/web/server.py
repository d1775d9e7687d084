"""The HTTP server: uvicorn with TLS and the headers of a reverse proxy."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from flower.config import Config
from flower.errors import InvalidRequest
from flower.web.proxy_headers import ProxyHeadersMiddleware

#: Seconds to wait for open responses when the server stops.
SHUTDOWN_TIMEOUT: Final = 5


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: `app` determines the order of the shutdown."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def create_server(app: ASGIApp, config: Config) -> HttpServer:
    """Raises InvalidRequest if the certificate cannot be used."""
    settings = uvicorn.Config(
        ProxyHeadersMiddleware(app) if config.xheaders else app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # uvicorn would trust the headers of all local processes, regardless of the option.
        proxy_headers=False,
        # Streams end on request, except those of a client that does not read.
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        **_tls_options(config),
    )
    try:
        settings.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(f"Invalid TLS configuration: {_tls_error_reason(config, error)}") from error
    return HttpServer(settings)


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
