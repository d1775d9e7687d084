"""Random damage to the files of a store: bits, pages, truncation and deletion, stopped and in use."""

import subprocess
import sys
from pathlib import Path

import pytest

#: seeds of one process: some, and those that found defects
SEEDS = [("0-12",), ("12-24",), ("178", "246", "288")]


@pytest.mark.parametrize("compression", [(), ("--compressed",)])
@pytest.mark.parametrize("seeds", SEEDS)
def test_random_damage_affects_only_its_own_tasks_and_is_reported(
    tmp_path: Path, seeds: tuple[str, ...], compression: tuple[str, ...]
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.helpers.random_damage", str(tmp_path), *seeds, *compression],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
