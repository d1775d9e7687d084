"""Check of the header Host against DNS rebinding.

A web page of an attacker can let its own host name point to the address of this server. For the browser of a user, page
and server are then the same origin, so neither the same-origin policy nor the check of Origin stops the page. The
header Host contains the name of the attacker's host."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from flower.http.responses import text_response
from flower.web.request_log import log_denied

#: Domains that the public DNS cannot contain (RFC 6761, 6762, 8375; ICANN for `internal`), so that no
#: attacker can let a name in them point to this server.
PRIVATE_DOMAINS: Final = ("localhost", "internal", "local", "home.arpa", "test", "localdomain")

#: Maximum number of characters of a name in the error message.
MAX_NAME_LENGTH: Final = 255

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Patterns are names; `.example.com` and `*.example.com` also allow subdomains, `*` allows all names. Addresses
    and names that the public DNS cannot contain are always allowed: DNS rebinding needs a public name.

    `only_direct`: requests through a proxy are not checked, because their Host is one that only the operator knows. A
    browser always sends the port that it connects to; another port than that of the listener is therefore a proxy's."""

    patterns: tuple[str, ...] = ()
    only_direct: bool = False

    def allows(self, host: str, scheme: str, listener_port: int | None) -> bool:
        """`host` is the header Host, with or without a port; `listener_port` is None for a Unix socket."""
        name, port = split_host(host)
        if not name or _is_private_name(name) or any(_matches(pattern, name, port) for pattern in self.patterns):
            return True
        return self.only_direct and (port or _DEFAULT_PORTS.get(scheme)) != listener_port


class HostCheckMiddleware:
    """Rejects requests for other hosts with status 421."""

    def __init__(self, app: ASGIApp, allowed: AllowedHosts) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The protocol rejects requests with more than one.
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        server = scope.get("server")
        if self._allowed.allows(host, scope.get("scheme", ""), server[1] if server else None):
            await self._app(scope, receive, send)
        else:
            await self._reject(host, scope, receive, send)

    async def _reject(self, host: str, scope: Scope, receive: Receive, send: Send) -> None:
        message = (
            f"Host '{split_host(host)[0][:MAX_NAME_LENGTH]}' is not allowed, as a protection against DNS rebinding. If "
            "this server is reached by this name, add it to the option allowed_hosts"
        )
        log_denied(scope, HTTPStatus.MISDIRECTED_REQUEST, message)
        headers = {"server": "Bellflower", "x-content-type-options": "nosniff", "cache-control": "no-store"}
        response = text_response(message, HTTPStatus.MISDIRECTED_REQUEST, headers)
        await response(scope, receive, send)


def allowed_hosts_for(
    patterns: Sequence[str], address: str, listeners: Sequence[socket.socket], *, login_required: bool
) -> AllowedHosts | None:
    """The check for a server; None if it has none. Without the option, only servers on a loopback address are checked
    that require no login: a browser has no credentials for the attacker's name, and the names by which other users
    reach this machine are unknown."""
    if patterns:
        return AllowedHosts(tuple(patterns))
    if login_required or not listeners or not all(map(_is_loopback, listeners)):
        return None
    return AllowedHosts((socket.gethostname().lower(), address.lower()), only_direct=True)


def split_host(host: str) -> tuple[str, int | None]:
    """Name or address in lower case without a final dot, and port, of a header Host."""
    host = host.strip().lower()
    name, _, port = host.rpartition(":")
    if not port.isdecimal() or (":" in name and not name.endswith("]")):  # no port, or an IPv6 address without brackets
        name, port = host, ""
    return name.removeprefix("[").removesuffix("]").removesuffix("."), int(port[:6]) if port else None


def _is_private_name(name: str) -> bool:
    if "." not in name and ":" not in name:
        return True
    if name.endswith(tuple(f".{domain}" for domain in PRIVATE_DOMAINS)):
        return True
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _matches(pattern: str, name: str, port: int | None) -> bool:
    allowed_name, allowed_port = split_host(pattern)
    if allowed_port is not None and allowed_port != port:
        return False
    domain = allowed_name.removeprefix("*").removeprefix(".")
    if domain == allowed_name:
        return name == domain
    return not domain or name == domain or name.endswith(f".{domain}")


def _is_loopback(listener: socket.socket) -> bool:
    return listener.family != socket.AF_UNIX and ip_address(listener.getsockname()[0]).is_loopback
