"""A fixture: servers in the test process serve the source files, also if a bundle was made in this checkout."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flower.web import assets


@pytest.fixture(scope="session", autouse=True)
def source_assets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "BUNDLE", tmp_path_factory.mktemp("no-bundle"))
        assets.default_assets.cache_clear()
        yield assets.SOURCES
