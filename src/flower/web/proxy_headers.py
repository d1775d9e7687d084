"""Option `xheaders`: trust the headers of a reverse proxy about the client.

A client that reaches the server without the proxy can forge them, so the server must only be reachable by the proxy."""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class ProxyHeadersMiddleware:
    """Sets the client from X-Real-Ip or the last value of X-Forwarded-For, the scheme from X-Scheme or the last one of
    X-Forwarded-Proto. `flower.peer` in the scope is the address of the connection, "" for a Unix socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client = scope.get("client")
            headers = Headers(scope=scope)
            scope["flower.peer"] = client[0] if client else ""
            address = _parse_address(headers.get("x-real-ip")) or _parse_address(
                _last_value(headers, "x-forwarded-for")
            )
            if address:
                scope["client"] = (address, 0)
            scheme = (headers.get("x-scheme") or _last_value(headers, "x-forwarded-proto")).strip().lower()
            if scheme in ("http", "https"):
                scope["scheme"] = scheme
        await self._app(scope, receive, send)


def _last_value(headers: Headers, name: str) -> str:
    """The value that the nearest proxy added; values before it can be forged by the client."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _parse_address(text: str | None) -> str:
    try:
        return str(ip_address(text.strip())) if text else ""
    except ValueError:
        return ""
