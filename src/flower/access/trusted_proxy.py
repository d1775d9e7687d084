"""Authentication by a reverse proxy that sends the user's name in a header.

The header is trusted only on connections from the configured addresses: every client can send it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from flower.errors import InvalidRequest

#: The word for the Unix socket in the list of proxies.
_UNIX_SOCKET: Final = "unix"


@dataclass(frozen=True, slots=True)
class ProxyUser:
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    #: in lower case; "" if no proxy is trusted
    header: str = ""
    groups_header: str = ""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    socket: bool = False

    def __bool__(self) -> bool:
        return bool(self.header)

    def read_user(self, headers: Mapping[str, str], peer: str) -> ProxyUser | None:
        """The user in the headers, if `peer` is a trusted proxy: the address of the connection, "" for the Unix socket.
        Header names are in lower case."""
        if not self.header or not self.is_trusted(peer):
            return None
        name = headers.get(self.header, "").strip()
        groups = headers.get(self.groups_header, "") if self.groups_header else ""
        names = tuple(group.strip() for group in groups.replace(";", ",").split(",") if group.strip())
        return ProxyUser(_decode_utf8(name), tuple(map(_decode_utf8, names))) if name else None

    def is_trusted(self, peer: str) -> bool:
        """Whether `peer` is a configured proxy: the address of a connection, "" for the Unix socket."""
        if not peer:
            return self.socket
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)


def trusted_proxy_from(header: str, groups_header: str, trusted: Sequence[str]) -> TrustedProxy:
    """Raises InvalidRequest."""
    if bool(header) != bool(trusted):
        raise InvalidRequest(
            "--proxy-header and --trusted-proxies must be set together",
            hint="such as --proxy-header=X-Forwarded-User --trusted-proxies=127.0.0.1",
        )
    if groups_header and not header:
        raise InvalidRequest("--proxy-groups-header requires --proxy-header")
    networks = tuple(_parse_network(entry) for entry in trusted if entry != _UNIX_SOCKET)
    return TrustedProxy(header.lower(), groups_header.lower(), networks, _UNIX_SOCKET in trusted)


def _parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise InvalidRequest(
            f"--trusted-proxies: invalid address '{text}'", hint="such as 10.0.0.5, 10.0.0.0/8, ::1, or unix"
        ) from None


def _decode_utf8(text: str) -> str:
    """Decode a header value: ASGI has Latin-1, proxies send UTF-8."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
