"""`flower workflows`, as a separate process."""

import json
from pathlib import Path

import pytest

from tests.helpers.sample_store import on_disk, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    on_disk(tmp_path / "flower-data")
    return tmp_path


def test_workflows(folder: Path) -> None:
    (row,) = json.loads(run("workflows", "--json", folder=folder).stdout)
    assert (row["root"], row["state"], row["tasks"], row["finished"]) == ("order-100", "SUCCESS", 3, 3)
    assert run("workflows", "state:FAILURE", folder=folder).returncode == 1
