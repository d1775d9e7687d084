"""`flower queues`, as a separate process."""

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from flower.store.factory import open_ledger
from flower.store.ledger.queue_samples import QueueSample
from tests.helpers.sample_store import on_disk, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    on_disk(tmp_path / "flower-data")
    return tmp_path


def test_queues_are_those_of_the_last_sample(folder: Path) -> None:
    empty = run("queues", folder=folder)
    assert (empty.returncode, empty.stderr) == (1, "No results.\n")
    with closing(open_ledger(folder / "flower-data")) as ledger:
        samples = [QueueSample("celery", time.time() - 10, 12, 3, 2, 4.5), QueueSample("mail", time.time() - 10, 0)]
        ledger.queue_samples.add(samples)
    rows = [line.split("\t") for line in run("queues", folder=folder).stdout.splitlines()]
    assert [row[:5] for row in rows] == [["celery", "12", "3", "2", "4.5"], ["mail", "0", "", "", ""]]
    (mail,) = json.loads(run("queues", "mail", "-o", "json", folder=folder).stdout)
    assert (mail["queue"], mail["ready"], mail["unacknowledged"]) == ("mail", 0, None)
