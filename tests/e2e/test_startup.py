"""Startup with invalid options, an unavailable broker, or a store in use: error messages and exit statuses."""

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
    """Run to completion."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True, text=True, timeout=60, cwd=folder, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    options = ("--db=home", f"--port={free_port()}", "--address=127.0.0.1", "--broker=memory://")
    completed = run(*options, folder=tmp_path)
    assert completed.returncode == 1
    assert completed.stderr.startswith("Error: ")
    assert "home" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"
    assert sorted(os.listdir(tmp_path / "home")) == ["letter.txt"]


def test_state_file_of_flower_is_kept_next_to_the_store(redis_server: Redis, tmp_path: Path) -> None:
    (tmp_path / "flower.db").write_text("a shelve")
    with Product(redis_server.url, db=tmp_path / "flower.db") as product:
        wait_for("the recorder", lambda: (tmp_path / "flower.db-data").is_dir() and product.recorder() is not None)
        assert f"{tmp_path / 'flower.db'} is a file" in product.log.read_text()
    assert (tmp_path / "flower.db").read_text() == "a shelve"


def test_port_in_use_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        completed = run(f"--port={taken.getsockname()[1]}", "--broker=memory://", folder=tmp_path)
    assert completed.returncode == 1
    assert "Cannot listen on 127.0.0.1" in completed.stderr
    assert "choose another --port" in completed.stderr
    assert not (tmp_path / "flower-data").exists()


@pytest.mark.parametrize("address", ["203.0.113.7", "no-such-host.invalid", "a..b"])
def test_address_of_another_host_is_an_error(address: str, tmp_path: Path) -> None:
    completed = run(f"--address={address}", f"--port={free_port()}", "--broker=memory://", folder=tmp_path)
    assert completed.returncode == 1
    assert completed.stderr.startswith(f"Error: Cannot listen on {address}:")
    assert len(completed.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--port=seventy", "'seventy' is not a whole number"),
        ("--port=70000", "must be a port from 0 to 65535"),
        ("--conf=none.py", "does not exist"),
        ("--read-only=perhaps", "true or false"),
    ],
)
def test_invalid_option_values_are_errors(argument: str, text: str, tmp_path: Path) -> None:
    completed = run(argument, folder=tmp_path)
    assert completed.returncode == 1
    assert text in completed.stderr
    assert "Traceback" not in completed.stderr


def test_unknown_application_is_an_error(tmp_path: Path) -> None:
    completed = run("-A", "no.such.module", f"--port={free_port()}", folder=tmp_path)
    assert completed.returncode == 1
    assert "no.such.module" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_help_names_every_option(tmp_path: Path) -> None:
    from flower.config import OPTION_NAMES

    text = run("serve", "--help", folder=tmp_path).stdout
    for name in OPTION_NAMES:
        assert f"--{name.replace('_', '-')}" in text


def test_second_instance_names_the_process_that_uses_the_store(redis_server: Redis, tmp_path: Path) -> None:
    with Product(redis_server.url, db=tmp_path / "store") as first:
        first.wait_until_capturing()
        recorder = first.recorder()
        assert recorder is not None
        completed = run(f"--db={first.db}", f"--port={free_port()}", f"--broker={redis_server.url}", folder=tmp_path)
        assert completed.returncode == 1
        assert str(recorder.pid) in completed.stderr
        assert first.ready()


def test_flower_spellings_of_options_work_and_unknown_options_are_logged(redis_server: Redis) -> None:
    with Product(
        redis_server.url, "-max_tasks=500", "--enable_events", "--prot=1", f"--broker={redis_server.url}", "-q"
    ) as product:
        product.wait_until_capturing()
        log = product.log.read_text()
    assert "Unknown option --prot is ignored; did you mean --port?" in log
    assert "incorrectly specified the following celery arguments after flower command: --broker, --quiet" in log


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://127.0.0.1:PORT/0", "connection refused"),
        ("amqp://guest:hush@127.0.0.1:PORT//", "connection refused"),
        ("redis://no-such-host.invalid/0", "host not found"),
    ],
)
def test_unreachable_broker_is_reported_without_its_password(url: str, text: str) -> None:
    """The pages are served and show the reason; neither they nor the log contain the password."""
    with Product(url.replace("PORT", str(free_port()))) as product:
        wait_for("the error", lambda: text in str(product.status().get("capture", {}).get("last_error")), 60)
        page = product.http.get("/api/v1/status").text + product.http.get("/tasks").text
        log = product.log.read_text()
    assert text in page
    assert log.count("broker unreachable") == 1
    assert "hush" not in log + page


def test_broker_that_requires_a_password() -> None:
    with Redis("--requirepass", "geheim") as redis:
        with Product(redis.url) as product:
            wait_for("the error", lambda: "requires a password" in str(product.status().get("capture")), 60)
        with Product(redis.url.replace("redis://", "redis://:wrong-geheim@")) as product:
            wait_for("the error", lambda: "rejected the user or password" in str(product.status()), 60)
            assert "geheim" not in product.log.read_text() + product.http.get("/tasks").text
        with Product(redis.url.replace("redis://", "redis://:geheim@")) as product:
            product.wait_until_capturing()
            assert "geheim" not in product.log.read_text() + product.http.get("/tasks").text
