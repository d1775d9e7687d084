"""Authentication by the headers of a trusted reverse proxy."""

from typing import Any

import pytest

from flower.access.trusted_proxy import trusted_proxy_from
from flower.errors import InvalidRequest
from flower.http.v1.openapi_examples import example_store
from tests.helpers.users import no_broker
from tests.helpers.web_server import WebServer


def test_trusted_proxy() -> None:
    settings: dict[str, Any] = {
        "proxy_header": "X-Forwarded-User",
        "proxy_groups_header": "X-Groups",
        "roles": ("group:ops:operator",),
    }
    reply = {"X-Forwarded-User": "Zoë".encode().decode("latin-1"), "X-Groups": "all, ops"}
    headers: dict[bytes, bytes] = {name.encode(): value.encode("latin-1") for name, value in reply.items()}
    with WebServer(example_store(), no_broker, trusted_proxies=("127.0.0.0/8",), **settings) as live:
        me = live.http.get("/api/v1/me", headers=headers).json()
        assert me == {"name": "Zoë", "auth_method": "proxy", "permissions": ["tasks", "view", "workers"]}
        assert live.http.get("/tasks").status_code == 401
        assert "www-authenticate" not in live.http.get("/tasks").headers
    with WebServer(example_store(), no_broker, trusted_proxies=("10.0.0.1", "unix"), **settings) as live:
        forged = {**headers, b"X-Forwarded-For": b"10.0.0.1", b"X-Real-Ip": b"10.0.0.1"}
        assert live.http.get("/api/v1/me", headers=forged).status_code == 401


def test_trusted_addresses() -> None:
    proxies = trusted_proxy_from("X-User", "", ("10.0.0.0/8", "::1", "unix"))
    trusted = ["10.1.2.3", "::1", "", "::ffff:10.0.0.1"]
    assert all(proxies.read_user({"x-user": "ann"}, peer) for peer in trusted)
    assert not any(
        proxies.read_user({"x-user": "ann"}, peer) for peer in ["11.0.0.1", "::2", "nonsense", "::ffff:11.0.0.1"]
    )
    assert not trusted_proxy_from("X-User", "", ("10.0.0.1",)).read_user({"x-user": "ann"}, "")
    assert not proxies.read_user({"x-user": " "}, "::1")
    for wrong in (("X-User", "", ()), ("", "", ("::1",)), ("", "X-Groups", ()), ("X-User", "", ("somewhere",))):
        with pytest.raises(InvalidRequest):
            trusted_proxy_from(*wrong)
