"""Every test in this directory that uses `store` runs on both stores."""

from pathlib import Path

import pytest

from tests.helpers.stores import store  # noqa: F401


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"
