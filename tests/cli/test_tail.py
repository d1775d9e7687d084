"""`flower tail` and `watch`, as a separate process."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flower.store.factory import open_writer
from flower.store.protocols import Batch
from tests.helpers.pseudo_terminal import run_on_terminal
from tests.helpers.sample_store import NOW, on_disk, order, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    on_disk(tmp_path / "flower-data")
    return tmp_path


def test_tail_prints_the_latest_tasks_oldest_first(folder: Path) -> None:
    lines = run("tail", "-n", "3", folder=folder).stdout.splitlines()
    assert [line.split("\t")[4] for line in lines] == ["order-2", "order-1", "order-0"]
    text = run_on_terminal("tail", "state:FAILURE", "-n2", folder=folder, NO_COLOR="1")
    assert "FAILURE   order-0  billing.charge  celery@w1" in text
    assert run("tail", "nosuchthing", folder=folder).returncode == 1
    assert json.loads(run("tail", "-n1", "--ndjson", folder=folder).stdout)["uuid"] == "order-0"


@pytest.mark.parametrize("words", [("watch", "-n1"), ("tail", "-f", "-n1")])
def test_changes_are_printed_until_ctrl_c(words: tuple[str, ...], folder: Path) -> None:
    writer = open_writer(folder / "flower-data")
    process = subprocess.Popen(
        [sys.executable, "-m", "flower", *words, "name:live.*"], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        deadline = time.monotonic() + 50
        number, line = 1_000, ""
        # The process reports only what is written after its start, and its start takes a moment.
        while not line and time.monotonic() < deadline:
            number += 1
            writer.write(Batch(new=[order(number, name="live.task", received=NOW), order(number + 5_000)]))
            time.sleep(1)
            if number == 1_001:
                continue
            line = process.stdout.readline()
        assert line.split("\t")[1:3] == ["SUCCESS", "live.task"]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        writer.close()
    assert (process.returncode, errors) == (130, "")
