"""A working directory in which the default store cannot be created."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flower.cli.temporary_store import with_writable_store
from flower.config import Config
from flower.errors import StoreError
from tests.e2e.test_start_lines import answers
from tests.helpers.servers import free_port, wait_for

#: A directory in which even root cannot create files.
READ_ONLY = Path("/sys/kernel")


def test_server_uses_a_private_temporary_directory_and_removes_it(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flower", "--broker=memory://", f"--port={port}"], cwd=READ_ONLY,
            stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
    try:
        wait_for("the server", lambda: answers(port))
        (folder,) = tmp_path.glob("bellflower-*")
        wait_for("the store", (folder / "store").is_dir)
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0
    assert not folder.exists()
    assert f"The data of this run are in the temporary directory {folder}" in log.read_text()


def test_named_directory_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "flower", "--broker=memory://", f"--port={free_port()}", f"--db={READ_ONLY}/data"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert finished.returncode == 1
    assert f"Error: {READ_ONLY}/data" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_writable_directory_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with with_writable_store(Config()) as config:
        assert config == Config()
        assert list(tmp_path.iterdir()) == []


def test_without_any_writable_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(READ_ONLY)
    monkeypatch.setattr("tempfile.tempdir", str(READ_ONLY))
    monkeypatch.setattr("flower.cli.temporary_store._MORE_DIRECTORIES", ())
    with pytest.raises(StoreError, match="set --db"), with_writable_store(Config()):
        pass
