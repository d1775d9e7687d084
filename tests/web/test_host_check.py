"""The check of the header Host."""

import socket

import pytest

from flower.store.protocols import Reader
from flower.web.host_check import AllowedHosts, allowed_hosts_for, split_host
from tests.helpers.web_server import WebServer

PORT = 5555
PUBLIC = "rebind.evil.example"


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("Example.com", "example.com", None),
        ("example.com:80", "example.com", 80),
        ("example.com.:80", "example.com", 80),
        ("[::1]:5555", "::1", 5555),
        ("[::1]", "::1", None),
        ("::1", "::1", None),
        ("", "", None),
        ("a:b:c", "a:b:c", None),
        ("example.com:" + "9" * 5000, "example.com", 999_999),
    ],
)
def test_split_host(host: str, name: str, port: int | None) -> None:
    assert split_host(host) == (name, port)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:5555", "app.localhost", "127.0.0.1:5555", "10.1.2.3", "[::1]:5555", "[fe80::1%eth0]:1", "",
     "flower", "flower:5555", "host.docker.internal:5555", "printer.local", "2130706433"],
)  # fmt: skip
def test_addresses_and_private_names_are_always_allowed(host: str) -> None:
    for allowed in (AllowedHosts(), AllowedHosts(("flower.example.com",)), AllowedHosts(only_direct=True)):
        assert allowed.allows(host, "http", PORT)


@pytest.mark.parametrize(
    ("patterns", "allowed", "rejected"),
    [
        (("my.example.com",), ["my.example.com", "MY.example.com.:80"], ["example.com", "a.my.example.com"]),
        ((".example.com",), ["example.com", "a.b.example.com"], ["badexample.com", "example.com.evil.org"]),
        (("*.example.com",), ["example.com", "a.example.com"], ["badexample.com"]),
        (("flower.example.com:8080",), ["flower.example.com:8080"], ["flower.example.com", "flower.example.com:80"]),
        (("*",), ["anything.example", "a.b.c:1"], []),
        ((), [], ["example.com", "127.0.0.1.evil.example", "localhost.evil.example", "a:b:c", "1.2.3.4.5"]),
    ],
)  # fmt: skip
def test_patterns(patterns: tuple[str, ...], allowed: list[str], rejected: list[str]) -> None:
    hosts = AllowedHosts(patterns)
    assert [host for host in allowed + rejected if hosts.allows(host, "http", PORT)] == allowed


def test_requests_through_a_proxy_are_allowed_if_only_direct_ones_are_checked() -> None:
    hosts = AllowedHosts(only_direct=True)
    assert not hosts.allows(f"{PUBLIC}:{PORT}", "http", PORT)
    assert not hosts.allows(PUBLIC, "http", 80)
    assert not hosts.allows(PUBLIC, "https", 443)
    for proxied in ("flower.example.com", "flower.example.com:8443"):
        assert hosts.allows(proxied, "http", PORT)
        assert hosts.allows(proxied, "https", PORT)
    assert hosts.allows("flower.example.com", "http", None)


def test_default_depends_on_login_and_address() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as loopback,
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        default = allowed_hosts_for((), "my.example.com", [loopback], login_required=False)
        assert default is not None
        assert default.only_direct
        assert default.allows(f"my.example.com:{PORT}", "http", PORT)
        assert allowed_hosts_for((), "", [loopback], login_required=True) is None
        assert allowed_hosts_for((), "", [loopback, everywhere], login_required=False) is None
        assert allowed_hosts_for((), "", [unix], login_required=False) is None
        for listener in (loopback, everywhere, unix):
            assert allowed_hosts_for(("a.example.com",), "", [listener], login_required=True) == AllowedHosts(
                ("a.example.com",)
            )


@pytest.mark.parametrize("path", ["/", "/api/v1/tasks?limit=1", "/metrics", "/static/flower.svg", "/nowhere"])
def test_dns_rebinding_is_rejected_with_421(store: Reader, opened: None, path: str) -> None:
    with WebServer(store, allowed_hosts=AllowedHosts(only_direct=True)) as live:
        headers = {"Host": f"{PUBLIC}:{live.port}", "Sec-Fetch-Site": "same-origin", "Cookie": "_xsrf=a"}
        response = live.http.get(path, headers=headers)
        assert response.status_code == 421
        assert f"Host '{PUBLIC}' is not allowed" in response.text
        assert "allowed_hosts" in response.text
        assert response.headers["content-type"].startswith("text/plain")
        assert "set-cookie" not in response.headers
        posted = live.http.post("/api/task/async-apply/x", headers=headers, json={"args": [1]})
        assert posted.status_code == 421
        assert live.http.get("/healthcheck").text == "OK"
        assert live.http.get("/healthcheck", headers={"Host": "flower.example.com"}).text == "OK"


def test_long_host_is_shortened_in_the_message(store: Reader) -> None:
    with WebServer(store, allowed_hosts=AllowedHosts()) as live:
        response = live.http.get("/", headers={"Host": "x." * 10_000})
        assert response.status_code == 421
        assert len(response.content) < 600
