"""1 launching: where options come from, what is refused, sockets, signals; 2 headers that belong to the door."""

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.helpers.compat_site import Kind, Site
from tests.helpers.servers import Redis, wait_for


def refused(kind: Kind, folder: Path, *options: str) -> str:
    """The output of a start that fails."""
    site = Site(kind, "redis://127.0.0.1:1/0", *options)
    ended = subprocess.run(
        site.command(), env=site.environment(), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    return ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--certfile=x",), "Both 'certfile' and 'keyfile' are required to enable SSL"),
        (("--auth=*@*",), "Invalid '--auth' option: *@*"),
        (("--broker-api=ftp://x",), "Invalid '--broker-api' option: "),
        (("--port=x",), ""),
        (("--conf=nowhere.py",), "nowhere.py"),
    ],
)
def test_what_is_refused(kind: Kind, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    text = refused(kind, tmp_path, *options)
    assert said in text
    if kind == "bellflower":
        assert "Traceback" not in text


def test_the_file_beats_the_environment_and_the_command_line_beats_the_file(
    kind: Kind, redis_server: Redis, tmp_path: Path
) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text("url_prefix = 'file'\nread_only = True\n")
    environment = {"FLOWER_URL_PREFIX": "environment", "FLOWER_CONF": str(conf)}
    with Site(kind, redis_server.url, prefix="/file", environment=environment) as site:
        assert site.post("/api/task/revoke/x").status_code == 403
    with Site(kind, redis_server.url, "--url_prefix=line", prefix="/line", environment=environment) as site:
        assert site.http.get("/tasks").status_code == 200


def test_a_unix_socket(kind: Kind, redis_server: Redis, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    site = Site(kind, redis_server.url, f"--unix-socket={path}")
    site.http = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://flower")
    with site:
        assert site.http.get("/tasks").status_code == 200
        assert path.stat().st_mode & 0o777 == 0o777


def test_signals(kind: Kind, redis_server: Redis) -> None:
    with Site(kind, redis_server.url) as site:
        assert site.process is not None
        site.signal(signal.SIGTERM)
        assert site.process.wait(60) == 0


def test_it_answers_without_a_broker_and_says_where(kind: Kind) -> None:
    with Site(kind, "redis://:marker-secret@127.0.0.1:1/0") as site:
        assert site.http.get("/tasks").status_code == 200
        wait_for("the banner", lambda: "Visit me at http://127.0.0.1:" in site.log.read_text())
        wait_for("the broker", lambda: "127.0.0.1:1" in site.log.read_text())
        assert "marker-secret" not in site.log.read_text()
        answer = site.post("/api/task/send-task/x")
        assert (answer.status_code, answer.text) == (503, "Broker or result backend unavailable")


def test_an_etag(site: Site) -> None:
    answer = site.http.get("/api/task/types")
    again = site.http.get("/api/task/types", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")
    head = site.http.head("/api/tasks")
    assert head.status_code == (405 if site.is_flower else 200)


def test_proxy_headers(kind: Kind, redis_server: Redis) -> None:
    with Site(kind, redis_server.url, "--xheaders") as site:
        answer = site.http.get("/tasks", headers={"x-forwarded-for": "10.1.2.3", "x-forwarded-proto": "https"})
        assert answer.status_code == 200
