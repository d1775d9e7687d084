"""What counts as one client."""

import pytest

from flower.client_network import client_network


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:1:2:3::4%eth0", "2001:db8:1:2::/64"),
        ("proxy.example", "proxy.example"),
        ("", "unix"),
    ],
)
def test_client_network(host: str, network: str) -> None:
    assert client_network(host) == network
