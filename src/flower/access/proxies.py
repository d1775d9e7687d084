"""A proxy in front of us that has logged people in and names them in a header. Only the addresses that are configured
are believed: anybody can write a header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from flower.errors import Invalid

#: In the list of proxies: whoever comes over our unix socket.
_SOCKET: Final = "unix"


@dataclass(frozen=True, slots=True)
class Named:
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proxies:
    #: in lower case; "" = no proxy is believed
    header: str = ""
    groups_header: str = ""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    socket: bool = False

    def __bool__(self) -> bool:
        return bool(self.header)

    def named(self, headers: Mapping[str, str], peer: str) -> Named | None:
        """Who it is by the word of the proxy at the address `peer`, the other end of the connection; "" is our unix
        socket. Header names are in lower case."""
        if not self.header or not self._trusts(peer):
            return None
        name = headers.get(self.header, "").strip()
        groups = headers.get(self.groups_header, "") if self.groups_header else ""
        found = tuple(group.strip() for group in groups.replace(";", ",").split(",") if group.strip())
        return Named(_utf8(name), tuple(map(_utf8, found))) if name else None

    def _trusts(self, peer: str) -> bool:
        if not peer:
            return self.socket
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)


def proxies_from(header: str, groups_header: str, trusted: Sequence[str]) -> Proxies:
    """Raises Invalid."""
    if bool(header) != bool(trusted):
        raise Invalid(
            "--proxy-header and --trusted-proxies belong together",
            hint="such as --proxy-header=X-Forwarded-User --trusted-proxies=127.0.0.1",
        )
    if groups_header and not header:
        raise Invalid("--proxy-groups-header needs --proxy-header")
    networks = tuple(_network(each) for each in trusted if each != _SOCKET)
    return Proxies(header.lower(), groups_header.lower(), networks, _SOCKET in trusted)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise Invalid(
            f"--trusted-proxies: '{text}' is no address", hint="such as 10.0.0.5, 10.0.0.0/8, ::1, or unix"
        ) from None


def _utf8(text: str) -> str:
    """Headers arrive as Latin-1, and are UTF-8 nowadays."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
