"""What a person sees when it cannot start, or starts with something odd."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, free_port, wait_for


def run(*arguments: str, folder: Path, module: str = "flower") -> subprocess.CompletedProcess[str]:
    """To its end, which must come by itself."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True, text=True, timeout=60, cwd=folder, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_path_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    ended = run("--db=home", f"--port={free_port()}", "--broker=memory://", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert "home" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"
    assert sorted(os.listdir(tmp_path / "home")) == ["letter.txt"]


def test_the_state_file_of_flower_stays_and_the_store_is_beside_it(redis_server: Redis, tmp_path: Path) -> None:
    (tmp_path / "flower.db").write_text("a shelve")
    with Product(redis_server.url, db=tmp_path / "flower.db") as product:
        wait_for("the recorder", lambda: (tmp_path / "flower.db-data").is_dir() and product.recorder() is not None)
        assert f"{tmp_path / 'flower.db'} is a file" in product.log.read_text()
    assert (tmp_path / "flower.db").read_text() == "a shelve"


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run(f"--port={taken.getsockname()[1]}", "--broker=memory://", folder=tmp_path)
    assert ended.returncode == 1
    assert "Cannot listen on 127.0.0.1" in ended.stderr
    assert "choose another --port" in ended.stderr
    assert not (tmp_path / "flower-data").exists()


@pytest.mark.parametrize("address", ["203.0.113.7", "no-such-host.invalid", "a..b"])
def test_an_address_that_is_not_ours(address: str, tmp_path: Path) -> None:
    ended = run(f"--address={address}", f"--port={free_port()}", "--broker=memory://", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: Cannot listen on {address}:")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=seventy", "'seventy' is not a whole number"),
        ("--port=70000", "ports are 0 to 65535"),
        ("--conf=none.py", "does not exist"),
        ("--read-only=perhaps", "true or false"),
    ],
)
def test_bad_options(argument: str, words: str, tmp_path: Path) -> None:
    ended = run(argument, folder=tmp_path)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_application_that_does_not_exist(tmp_path: Path) -> None:
    ended = run("-A", "no.such.module", f"--port={free_port()}", folder=tmp_path)
    assert ended.returncode == 1
    assert "no.such.module" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_names_every_option(tmp_path: Path) -> None:
    from flower.config import OPTION_NAMES

    text = run("serve", "--help", folder=tmp_path).stdout
    for name in OPTION_NAMES:
        assert f"--{name.replace('_', '-')}" in text


def test_a_second_instance_says_who_holds_the_store(redis_server: Redis, tmp_path: Path) -> None:
    with Product(redis_server.url, db=tmp_path / "store") as first:
        first.wait_until_capturing()
        holder = first.recorder()
        assert holder is not None
        ended = run(f"--db={first.db}", f"--port={free_port()}", f"--broker={redis_server.url}", folder=tmp_path)
        assert ended.returncode == 1
        assert str(holder.pid) in ended.stderr
        assert first.ready()


def test_flower_spellings_and_misspellings(redis_server: Redis) -> None:
    with Product(
        redis_server.url, "-max_tasks=500", "--enable_events", "--prot=1", "--broker=redis://:hush@elsewhere", "-q"
    ) as product:
        product.wait_until_capturing()
        log = product.log.read_text()
    assert "Unknown option --prot is ignored; did you mean --port?" in log
    assert "incorrectly specified the following celery arguments after flower command: --broker, --quiet" in log
    assert "hush" not in log


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://127.0.0.1:PORT/0", "connection refused"),
        ("amqp://guest:hush@127.0.0.1:PORT//", "connection refused"),
        ("redis://no-such-host.invalid/0", "no such host"),
    ],
)
def test_a_broker_that_is_away(url: str, words: str) -> None:
    """The pages are there, say what is wrong, and no password is in them or in the log."""
    with Product(url.replace("PORT", str(free_port()))) as product:
        wait_for("the trouble to be known", lambda: words in str(product.status().get("capture")), 60)
        page = product.http.get("/api/v1/status").text + product.http.get("/tasks").text
        log = product.log.read_text()
    assert words in page
    assert log.count("broker lost or not reached") == 1
    assert "hush" not in log + page


def test_a_broker_that_asks_for_a_password() -> None:
    with Redis("--requirepass", "geheim") as redis:
        with Product(redis.url) as product:
            wait_for("the trouble", lambda: "asks for a password" in str(product.status().get("capture")), 60)
        with Product(redis.url.replace("redis://", "redis://:wrong-geheim@")) as product:
            wait_for("the trouble", lambda: "refuses this user or password" in str(product.status()), 60)
            assert "geheim" not in product.log.read_text() + product.http.get("/tasks").text
        with Product(redis.url.replace("redis://", "redis://:geheim@")) as product:
            product.wait_until_capturing()
            assert "geheim" not in product.log.read_text() + product.http.get("/tasks").text
