"""A full disk: the recorder reports it, waits, and continues when there is space."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.event_sender import Stream
from tests.helpers.product_process import Product
from tests.helpers.servers import RabbitMQ, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_recorder_reports_a_full_disk_and_resumes(rabbitmq_server: RabbitMQ, disk: Path) -> None:
    filler = disk / "filler"
    with Product(rabbitmq_server.url, db=disk / "store") as product:
        product.wait_until_capturing()
        with Stream(rabbitmq_server.url) as stream:
            wait_for("the first tasks", lambda: len(product.states()) > 100)
            filler.write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 300_000))
            wait_for("the error", lambda: product.status()["trouble"] is not None, 60)
            before = product.states()
            assert product.get("/api/v1/status")["recorder"]["error"] == product.status()["trouble"]
            assert product.http.get("/tasks").status_code == 200
            assert product.http.get("/healthcheck").text == "OK"
            assert before
            filler.unlink()
            wait_for("recording to resume", lambda: len(product.states()) > len(before))
        assert product.status()["trouble"] is None

        def all_succeeded() -> bool:
            states = product.states()
            return all(states.get(uuid) == "SUCCESS" for uuid in stream.sent)

        wait_for("all tasks", all_succeeded)
        log = product.log.read_text()
        assert log.count("Recording is paused") == 1
        assert "Disk space is available again" in log
        recorder = product.recorder()
        assert recorder is not None
