"""The memory allocator of the C library."""

import platform
import subprocess
import sys

import pytest

#: Writes the megabytes that are returned: of 60 MB of free memory below a block that is in use.
PROGRAM = """
import os, psutil
from flower.malloc import release_free_memory
blocks = [b"x" * 100_000 for _ in range(600)]
last = blocks.pop()
blocks.clear()
process = psutil.Process()
before = process.memory_info().rss
release_free_memory()
print((before - process.memory_info().rss) // 1_000_000)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_free_memory_is_returned_to_the_system() -> None:
    output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert int(output) > 40
