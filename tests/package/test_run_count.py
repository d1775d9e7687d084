"""The test command fails if a collected test did not run (`tests.helpers.run_count`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

TESTS = """
import pytest

def test_passes(): pass

@pytest.mark.xfail(reason="expected")
def test_expected_to_fail(): raise ValueError

@pytest.mark.skip(reason="not on this machine")
def test_skipped(): pass

@pytest.mark.alone
def test_alone(): pass
"""

SETUP_ERROR = """
import pytest

@pytest.fixture
def broken(): raise ValueError

def test_error(broken): pass
"""

SAME_NODE_ID = """
def pytest_collection_modifyitems(items):
    items.append(items[0])  # as a plugin does that gives several tests one node id
"""

LOST = """
def pytest_runtest_protocol(item):
    return True if item.name == "test_passes" else None  # as a plugin does that runs a test by itself, and fails to
"""

XDIST = ("-n", "2", "--dist", "loadfile")


def run(folder: Path, *options: str, test: str = TESTS, conftest: str = "") -> tuple[int, str]:
    (folder / "test_it.py").write_text(test)
    (folder / "test_other.py").write_text("def test_other(): pass")
    (folder / "conftest.py").write_text(conftest)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = alone: a marker\n")
    plugins = ("-p", "tests.helpers.run_count", "-p", "xdist", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *plugins, *options, "--rootdir", str(folder), str(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("options", [(), XDIST], ids=["one process", "xdist"])
def test_run_without_loss_passes(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options)
    assert status == 0, output
    assert "3 passed, 1 skipped, 1 xfailed" in output


def test_second_test_of_a_node_id_is_missed_under_xdist(tmp_path: Path) -> None:
    """Without xdist both run, and the run passes."""
    assert run(tmp_path, conftest=SAME_NODE_ID)[0] == 0
    status, output = run(tmp_path, *XDIST, conftest=SAME_NODE_ID)
    assert status == 1
    assert "6 tests were collected, 5 ran" in output
    assert "test_it.py::test_passes was collected 2 x and ran 1 x" in output


@pytest.mark.parametrize("options", [(), XDIST], ids=["one process", "xdist"])
def test_test_that_does_not_run_fails_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options, conftest=LOST)
    assert status == 1, output
    assert "5 tests were collected, 4 ran" in output


def test_skip_without_a_reason_fails_the_run(tmp_path: Path) -> None:
    status, output = run(tmp_path, test="import pytest\n@pytest.mark.skip\ndef test_skipped(): pass")
    assert status == 1
    assert "test_it.py::test_skipped was skipped without a reason" in output


def test_failure_counts_as_a_run(tmp_path: Path) -> None:
    status, output = run(tmp_path, *XDIST, test=SETUP_ERROR)
    assert status == 1
    assert "tests were collected" not in output


def test_run_that_is_stopped_is_not_counted(tmp_path: Path) -> None:
    output = run(tmp_path, "--exitfirst", test="def test_a(): raise ValueError\ndef test_b(): pass")[1]
    assert "tests were collected" not in output


def test_both_parts_together_run_all_tests(tmp_path: Path) -> None:
    counts = str(tmp_path / "counts")
    status, output = run(tmp_path, *XDIST, "--part", "shared", "--counts", counts)
    assert (status, "2 passed, 1 skipped, 1 xfailed" in output) == (0, True), output
    status, output = run(tmp_path, "--part", "alone", "--counts", counts)
    assert (status, "1 passed, 4 deselected" in output) == (0, True), output


def test_test_that_runs_in_neither_part_fails_the_second(tmp_path: Path) -> None:
    counts = str(tmp_path / "counts")
    assert run(tmp_path, "--part", "shared", "--counts", counts, "--deselect", "test_other.py")[0] == 0
    status, output = run(tmp_path, "--part", "alone", "--counts", counts)
    assert status == 1, output
    assert "5 tests were collected, and 3 and 1 ran in the two parts" in output
