"""The HTTP server under the application: TLS, and the word of a reverse proxy about who is asking."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from flower.config import Config
from flower.errors import InvalidRequest
from flower.web.proxy_headers import ProxyHeadersMiddleware

#: Seconds that answers which are on their way have when the server stops.
SHUTDOWN_TIMEOUT: Final = 5


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: order of stopping is ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def create_server(app: ASGIApp, config: Config) -> HttpServer:
    """Raises Invalid if the certificate cannot be used."""
    settings = uvicorn.Config(
        ProxyHeadersMiddleware(app) if config.xheaders else app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # It would believe whatever a process of this machine says, asked or not.
        proxy_headers=False,
        # Streams end when they are told to, but not one whose reader has fallen asleep.
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        **_tls_options(config),
    )
    try:
        settings.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(f"TLS cannot be used: {_tls_error_reason(config, error)}") from error
    return HttpServer(settings)


def has_tls(config: Config) -> bool:
    """A unix socket is not encrypted, as in Flower."""
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
    """OpenSSL does not say which file it means."""
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
