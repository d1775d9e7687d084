"""The limit of open files, in processes of their own."""

import subprocess
import sys

import pytest

CODE = """
import resource
from flower.descriptor_limit import raise_descriptor_limit
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("limits", "expected"),
    [("ulimit -S -n 100; ulimit -H -n 512", 512), ("ulimit -n 256", 256)],
    ids=["lower", "equal"],
)
def test_soft_limit_is_raised_to_the_hard_limit(limits: str, expected: int) -> None:
    command = f'{limits}; exec "$0" -c "$1"'
    completed = subprocess.run(
        ["bash", "-c", command, sys.executable, CODE], capture_output=True, text=True, timeout=60, check=True
    )
    assert completed.stdout.split() == [str(expected)] * 3
