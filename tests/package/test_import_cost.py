"""Importing the package is cheap: what is slow to load is loaded when it is used."""

import subprocess
import sys

import pytest

HEAVY = {"celery", "kombu", "numpy", "apsw", "starlette", "uvicorn"}


@pytest.mark.parametrize("module", ["flower", "flower.records", "flower.errors", "flower.search.tree"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert HEAVY.isdisjoint(loaded)
