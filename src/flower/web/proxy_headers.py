"""Option `xheaders`: what a reverse proxy says of the client is believed. Whoever reaches us past the proxy can say
anything, so it is only for servers that nobody else reaches."""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class ProxyHeadersMiddleware:
    """Client and scheme by X-Real-Ip or the last of X-Forwarded-For, and X-Scheme or the last of X-Forwarded-Proto.
    `flower.peer` in the scope is the other end of the connection; "" is a unix socket."""

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
    """What the proxy next to us has added; whatever stands before it may be the client's own."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _parse_address(text: str | None) -> str:
    try:
        return str(ip_address(text.strip())) if text else ""
    except ValueError:
        return ""
