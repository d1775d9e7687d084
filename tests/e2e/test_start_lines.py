"""Start lines of other projects, as found in their compose files, unit files and documentation: how each is parsed, and
for some of them that the server answers."""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery.bin.celery import celery

from flower.celery_app import LazyApp
from flower.cli.main import commands
from flower.config import DEFAULT_CONFIG, Config
from tests.helpers.servers import free_port, wait_for

BROKER = "memory://given"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A project with an application in the working directory, and a clean environment."""
    (tmp_path / "proj.py").write_text(
        "from celery import Celery\napp = Celery('proj', broker='memory://application')\n"
    )
    (tmp_path / "airflow.cfg.py").write_text("max_tasks = 7\nBROKER_URL = 'redis://elsewhere'\ntimezone = 'UTC'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in list(os.environ):
        if name.startswith(("FLOWER_", "CELERY_")):
            monkeypatch.delenv(name)
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "x")  # restored at the end, whatever the command changes
        monkeypatch.delenv(name)
    root, own = logging.getLogger(), logging.getLogger("flower")
    state = root.handlers[:], root.level, own.handlers[:], own.level, own.propagate
    yield
    root.handlers, root.level, own.handlers, own.level, own.propagate = state
    sys.modules.pop("proj", None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, LazyApp]]:
    """The configuration and application of each server that was started."""
    calls: list[tuple[Config, LazyApp]] = []
    monkeypatch.setattr("flower.app.serve", lambda config, app, **_: calls.append((config, app)))
    return calls


#: The start line, its environment, the options that differ from the defaults, and the broker.
START_LINES: tuple[tuple[str, dict[str, str], dict[str, Any], str], ...] = (
    # celery [options] flower [options]
    ("celery -A proj flower", {}, {}, "application"),
    ("celery -A proj.app flower --port=5555", {}, {}, "application"),
    ("celery --app=proj --broker=memory://given flower", {}, {}, "given"),
    ("celery --app proj -b memory://given flower --address=0.0.0.0 --port=8888", {},
     {"address": "0.0.0.0", "port": 8888}, "given"),
    ("celery -b memory://given flower --conf=airflow.cfg.py", {}, {"max_tasks": 7, "conf": "airflow.cfg.py"}, "given"),
    ("celery --broker=memory://given --result-backend=cache+memory:// flower", {}, {}, "given"),
    ("celery -A proj --workdir=. flower --loglevel=INFO", {}, {}, "application"),
    ("celery -A proj -q flower --url_prefix=flower", {}, {"url_prefix": "flower"}, "application"),
    ("celery -A proj flower --url-prefix=/flower/", {}, {"url_prefix": "/flower/"}, "application"),
    ("celery -A proj flower --basic_auth=user:password", {}, {"basic_auth": ("user:password",)}, "application"),
    ("celery -A proj flower --basic-auth='a:b,c:d'", {}, {"basic_auth": ("a:b", "c:d")}, "application"),
    ("celery -A proj flower --persistent=True --db=/data/flower.db", {}, {"db": "/data/flower.db"}, "application"),
    ("celery -A proj flower --persistent --db=flower_db --state_save_interval=5000", {},
     {"db": "flower_db", "state_save_interval": 5000}, "application"),
    ("celery -A proj flower --max_tasks=3600 --purge_offline_workers=60", {},
     {"max_tasks": 3600, "purge_offline_workers": 60.0}, "application"),
    ("celery -A proj flower --broker_api=http://guest:guest@rabbitmq:15672/api/", {},
     {"broker_api": "http://guest:guest@rabbitmq:15672/api/"}, "application"),
    ("celery -A proj flower --broker-api=redis://redis:6379/0", {}, {}, "application"),
    ("celery -A proj flower --auth='.*@example\\.com' --auth_provider=flower.views.auth.GoogleAuth2LoginHandler", {},
     {"auth": ".*@example\\.com", "auth_provider": "flower.views.auth.GoogleAuth2LoginHandler"}, "application"),
    ("celery -A proj flower --tasks_columns=name,uuid,state,args,worker --natural_time=True", {},
     {"tasks_columns": "name,uuid,state,args,worker", "natural_time": True}, "application"),
    ("celery -A proj flower --inspect_timeout=10.0 --logging=warn", {},
     {"inspect_timeout": 10.0, "logging": "warn"}, "application"),
    ("celery -A proj flower --inspect_timeout=30000 --logging=CRITICAL", {},
     {"inspect_timeout": 30000.0, "logging": "CRITICAL"}, "application"),
    ("celery -A proj flower --unix_socket=/tmp/flower.sock --xheaders=true", {},
     {"unix_socket": "/tmp/flower.sock", "xheaders": True}, "application"),
    ("celery -A proj flower -port=5566 --debug --auto_refresh=False", {},
     {"port": 5566, "debug": True, "auto_refresh": False}, "application"),
    ("celery -A proj flower --port 5566 --address 0.0.0.0", {}, {"port": 5566, "address": "0.0.0.0"}, "application"),
    ("celery -A proj flower --enable_events=False --max_workers=10", {},
     {"enable_events": False, "max_workers": 10}, "application"),
    ("celery -A proj flower --cookie_secret=s3cret --log_file_prefix=flower.log", {},
     {"cookie_secret": "s3cret", "log_file_prefix": "flower.log"}, "application"),
    # Airflow passes the broker as a word
    ("celery -A proj flower memory://application --address=0.0.0.0 --port=5555 --conf=airflow.cfg.py", {},
     {"address": "0.0.0.0", "max_tasks": 7, "conf": "airflow.cfg.py"}, "application"),
    # the order of Celery 4
    ("celery flower -A proj", {}, {}, "application"),
    ("celery flower -A proj --broker=memory://given", {}, {}, "given"),
    ("celery flower --app=proj --broker memory://given --port=5556", {}, {"port": 5556}, "given"),
    ("celery flower -b memory://given -q", {}, {}, "given"),
    ("celery flower --broker=memory://given --address=0.0.0.0 --basic_auth=u:p", {},
     {"address": "0.0.0.0", "basic_auth": ("u:p",)}, "given"),
    ("celery -A proj flower --broker=memory://given", {}, {}, "given"),
    # flower [options]
    ("flower -A proj --port=5555", {}, {}, "application"),
    ("flower --broker=memory://given", {}, {}, "given"),
    ("flower --broker=memory://given --port=5558 --persistent=True", {}, {"port": 5558}, "given"),
    ("flower -A proj --basic_auth=admin:admin --url_prefix=monitor", {},
     {"basic_auth": ("admin:admin",), "url_prefix": "monitor"}, "application"),
    # options in the environment, and variables that other programs set
    ("celery -A proj flower", {"CELERY_BROKER_URL": BROKER}, {}, "given"),
    ("flower --broker=memory://given", {"CELERY_BROKER_URL": "memory://environment"}, {}, "given"),
    ("celery flower", {"CELERY_BROKER_URL": BROKER, "FLOWER_PORT": "8080"}, {"port": 8080}, "given"),
    ("celery -A proj flower", {"FLOWER_PORT": "tcp://10.0.0.1:5555", "FLOWER_SERVICE_HOST": "10.0.0.1"}, {},
     "application"),
    ("celery -A proj flower", {"FLOWER_BASIC_AUTH": "u:p", "FLOWER_PERSISTENT": "true", "FLOWER_DB": ""},
     {"basic_auth": ("u:p",)}, "application"),
    ("celery -A proj flower", {"FLOWER_persistent": "True", "FLOWER_HOST": "0.0.0.0", "FLOWER_FLOWER_PORT": "1"}, {},
     "application"),
    ("celery -A proj flower", {"FLOWER_URL_PREFIX": "/flower", "FLOWER_UNAUTHENTICATED_API": "true"},
     {"url_prefix": "/flower"}, "application"),
    ("celery -A proj flower --port=5557", {"FLOWER_PORT": "8080", "FLOWER_ADDRESS": "0.0.0.0"},
     {"port": 5557, "address": "0.0.0.0"}, "application"),
    ("celery -A proj flower", {"FLOWER_CONF": "airflow.cfg.py"}, {"max_tasks": 7, "conf": "airflow.cfg.py"},
     "application"),
)  # fmt: skip


def start(line: str) -> None:
    program, *words = shlex.split(line)
    (celery if program == "celery" else commands).main(args=words, prog_name=program, standalone_mode=False)


@pytest.mark.parametrize(("line", "environment", "options", "broker"), START_LINES)
def test_start_line(
    line: str,
    environment: dict[str, str],
    options: dict[str, Any],
    broker: str,
    served: list[tuple[Config, LazyApp]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    start(line)
    ((config, app),) = served
    names = DEFAULT_CONFIG.__slots__
    changed = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(DEFAULT_CONFIG, name)}
    assert changed == options
    assert app().conf.broker_read_url == f"memory://{broker}"


@pytest.mark.parametrize(
    "line",
    ["celery -b memory://one flower --broker=memory://:hush@two", "celery -A proj flower -A other"],
)
def test_contradicting_options_before_and_after_flower_are_an_error(
    line: str, served: list[tuple[Config, LazyApp]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        start(line)
    assert raised.value.code == 1
    message = capsys.readouterr().err
    assert "is given before and after flower with different values" in message
    assert "hush" not in message
    assert served == []


@pytest.mark.parametrize(
    "line",
    [
        "celery -A proj flower --address=127.0.0.1",
        "celery flower -A proj --broker=memory://given",
        "celery -A proj flower memory://application --address=127.0.0.1",
        "flower --broker=memory://given --persistent=True",
    ],
)
def test_server_answers(line: str, tmp_path: Path) -> None:
    port = free_port()
    program, *words = shlex.split(line)
    process = subprocess.Popen(
        [sys.executable, "-m", program, *words, f"--port={port}"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for("the server", lambda: answers(port))
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthcheck").text == "OK"
    except httpx.TransportError:
        return False
