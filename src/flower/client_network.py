"""What counts as one client in the limits of connections, streams and sign-ins."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

#: All clients of a Unix socket, which have no address.
UNIX_SOCKET_CLIENT: Final = "unix"

#: Prefix length of the networks that one client can have: it chooses any address in it.
_IPV6_PREFIX: Final = 64


@lru_cache(maxsize=1_000)  # parsing the address would be a tenth of the cost of a new connection
def client_network(host: str) -> str:
    """An IPv4 address, an IPv6 network of 64 bits, or all clients of a Unix socket; a host name as it is."""
    if not host:
        return UNIX_SOCKET_CLIENT
    try:
        address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, _IPV6_PREFIX), strict=False))
