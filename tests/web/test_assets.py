"""Static files of the pages: which directory is served, and the joined style sheet."""

import json
import re
from pathlib import Path

import pytest

from flower.web import assets


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources instead of a bundle, with the module of the tasks page in another file."""
    for name, asset in assets.load_assets(assets.SOURCES).files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(asset.body)
    (tmp_path / "js" / "joined.js").write_bytes(b"import './lib.js';")
    monkeypatch.setattr(assets, "BUNDLE", tmp_path)
    return tmp_path


def write_info(bundle: Path, sources: str) -> None:
    info = {"sources": sources, "modules": {"js/pages/tasks.js": "js/joined.js"}}
    (bundle / "bundle.json").write_text(json.dumps(info))
    assets.default_assets.cache_clear()


def test_a_bundle_of_older_sources_is_not_served(bundle: Path) -> None:
    write_info(bundle, assets.hash_sources())
    served = assets.default_assets()
    assert served.module_closure("js/pages/tasks.js")[:2] == ("js/joined.js", "js/lib.js")
    write_info(bundle, "the hash of other sources")
    served = assets.default_assets()
    assert served.module_closure("js/pages/tasks.js")[0] == "js/pages/tasks.js"
    assert "js/joined.js" not in served.files
    assets.default_assets.cache_clear()


def test_a_source_file_changes_the_hash_of_the_sources(bundle: Path) -> None:
    before = assets.hash_sources(bundle)
    (bundle / "js" / "lib.js").write_bytes(b"export const html = 1;")
    assert assets.hash_sources(bundle) != before


def test_the_joined_style_sheet_has_all_style_sheets() -> None:
    files = assets.load_assets(assets.SOURCES).files
    #: of pages without scripts
    others = {"css/plain.css", assets.STYLE_SHEET}
    assert {name for name in files if re.fullmatch(r"css/.*\.css", name)} - others == set(assets.STYLE_SHEETS)
    assert all(files[name].body in files[assets.STYLE_SHEET].body for name in assets.STYLE_SHEETS)
