"""The files that take longest are run first (`tests.helpers.slow_files`)."""

import subprocess
import sys

from tests.helpers.paths import ROOT
from tests.helpers.slow_files import SECONDS


def test_the_files_exist() -> None:
    assert [file for file in SECONDS if not (ROOT / file).is_file()] == []


def test_files_are_run_in_the_order_of_their_duration() -> None:
    slow, *_, middle = sorted(SECONDS, key=SECONDS.__getitem__, reverse=True)
    quick = "tests/access/test_passwords.py"
    assert SECONDS[slow] > SECONDS[middle] > SECONDS.get(quick, 0)
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", quick, middle, slow],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [line.partition("::")[0] for line in collected.stdout.splitlines() if "::" in line]
    assert list(dict.fromkeys(files)) == [slow, middle, quick]
    assert len(files) > 3  # the tests of a file stay together
