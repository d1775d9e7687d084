"""The files of contrib/ work: each is run unchanged, except that paths are replaced by those of the test."""

import configparser
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from flower.config import OPTION_NAMES, load_config, normalize_name
from tests.helpers.paths import ROOT
from tests.helpers.servers import Redis, Server, free_port, port_open, wait_for

UNIT = ROOT / "contrib" / "systemd" / "bellflower.service"
IMAGE = ROOT / "contrib" / "container" / "Dockerfile"
SITE = ROOT / "contrib" / "nginx" / "bellflower.conf"


class ContribServer(Server):
    """A command of contrib with its environment; `http` is a client for it."""

    name = "contrib"

    def __init__(self, broker: str, command: list[str], environment: Mapping[str, str], http: httpx.Client) -> None:
        super().__init__()
        self.contrib_command = command
        self.contrib_environment = {
            **environment,
            "SHOP_BROKER": broker,
            "CELERY_BROKER_URL": broker,
            "PYTHONPATH": str(ROOT),
        }
        self.http = http

    def command(self) -> list[str]:
        # `celery` of this environment, whatever its path.
        return [sys.executable, "-m", "celery", *self.contrib_command[1:]]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.contrib_environment, "FLOWER_UNAUTHENTICATED_API": "true"}

    def ready(self) -> bool:
        try:
            return self.http.get("/healthcheck").text == "OK"
        except httpx.TransportError:
            return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose name is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="bf-") as name:
        yield Path(name)


def client_of_socket(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://any")


def check_options(environment: Mapping[str, str], folder: Path) -> None:
    """All options exist and have valid values."""
    names = {normalize_name(name.removeprefix("FLOWER_")) for name in environment if name.startswith("FLOWER_")}
    assert names
    assert names <= set(OPTION_NAMES)
    load_config({}, environment, folder)


def test_the_systemd_unit(redis_server: Redis, folder: Path) -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    lines = re.findall(r"^Environment=(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    environment = {name: re.sub("^/(var/lib|run)/bellflower", str(folder), value) for name, value in lines}
    check_options(environment, folder)
    words = shlex.split(service["ExecStart"].replace("-A proj", "-A tests.helpers.celery_app"))
    with ContribServer(redis_server.url, words, environment, client_of_socket(folder / "flower.sock")) as started:
        wait_for("the recorder", (folder / "store").is_dir)
        assert started.process is not None
        # As systemd with KillMode=process: the signal is sent to the main process only.
        started.process.send_signal(getattr(signal, service["KillSignal"]))
        assert started.process.wait(float(service["TimeoutStopSec"])) == 0
    assert not (folder / "flower.sock").exists()


def test_the_image(redis_server: Redis, folder: Path) -> None:
    text = IMAGE.read_text()
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    environment = dict(pair.split("=", 1) for pair in shlex.split(line))
    (port,) = re.findall(r"^EXPOSE (\d+)$", text, re.MULTILINE)
    assert port == environment["FLOWER_PORT"]
    assert f":{port}/healthcheck" in text
    own_port = str(free_port())
    environment |= {"FLOWER_PORT": own_port, "FLOWER_DB": environment["FLOWER_DB"].replace("/data", str(folder))}
    check_options(environment, folder)
    (words,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    command = [word.strip(' "') for word in words.strip("[]").split(",")]
    with ContribServer(
        redis_server.url, command, environment, httpx.Client(base_url=f"http://127.0.0.1:{own_port}")
    ) as started:
        assert started.http.get("/tasks").status_code == 200
        # Without an application the broker of Celery's environment variable is used.
        wait_for("the banner", lambda: f"Broker: {redis_server.url}" in started.log.read_text())
        (probe,) = re.findall(r"^HEALTHCHECK CMD (\[.*\])$", text, re.MULTILINE)
        program = re.findall(r'"([^"]*)"', probe)[2].replace(f":{port}", f":{own_port}")
        subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


class Nginx(Server):
    """nginx with the snippet of contrib in its server block."""

    name = "nginx"

    def __init__(self, upstream: Path) -> None:
        super().__init__()
        (self.folder / "bellflower.conf").write_text(
            SITE.read_text().replace("/run/bellflower/flower.sock", str(upstream))
        )
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{name}_temp_path {self.folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log; worker_processes 1;"
            f"events {{}} http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{self.port};"
            f"include {self.folder}/bellflower.conf; }} }}"
        )

    def command(self) -> list[str]:
        return [
            shutil.which("nginx") or "/usr/sbin/nginx",
            "-e", str(self.folder / "error.log"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"),
        ]  # fmt: skip

    def ready(self) -> bool:
        return port_open(self.port)


def test_behind_nginx(redis_server: Redis, folder: Path) -> None:
    (options,) = re.findall(r"^#   (--.*)$", SITE.read_text(), re.MULTILINE)
    path = folder / "flower.sock"
    words = ["celery", "-A", "tests.helpers.celery_app", "flower", f"--db={folder / 'store'}", "--debug"]
    words += shlex.split(options.replace("/run/bellflower/flower.sock", str(path)))
    direct = client_of_socket(path)
    direct.base_url = httpx.URL("http://any/flower")
    with ContribServer(redis_server.url, words, {}, direct) as started, Nginx(path) as nginx:
        with httpx.Client(base_url=f"http://127.0.0.1:{nginx.port}", follow_redirects=True) as http:
            check_through_nginx(http)
            assert http.get("/flower/api/task/info/a%2Fb%25").text == "Unknown task 'a/b%'"
            forged = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7", "X-Scheme": "https"}
            assert http.get("/flower/logout", headers=forged).status_code == 200
        log = started.log.read_text()
        assert "GET /flower/logout (127.0.0.1)" in log
        assert "203.0.113.7" not in log


def check_through_nginx(http: httpx.Client) -> None:
    page = http.get("/flower")
    assert page.status_code == 200
    assert str(page.url).endswith("/flower/")
    styles = re.findall(r'href="(/flower/static/ui/[^"]*.css)"', page.text)
    assert styles
    assert {http.get(style).headers["cache-control"] for style in styles} == {"public, max-age=31536000, immutable"}
    tag = http.get("/flower/static/flower.svg").headers["etag"]
    assert http.get("/flower/static/flower.svg", headers={"If-None-Match": tag}).status_code == 304
    assert http.get("/flower/api/tasks").json() == {}
    assert http.get("/").status_code == 404
    # The server receives the Host header of the browser, so that it recognises its own pages.
    for origin, status in ((f"http://{http.base_url.netloc.decode()}", 404), ("http://elsewhere", 403)):
        answer = http.post("/flower/api/task/async-apply/no.such.task", json={}, headers={"Origin": origin})
        assert answer.status_code == status, answer.text
