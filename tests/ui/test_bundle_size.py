"""The size of the release bundle (gzip of each file as it is served), and a visit of its pages."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery
from playwright.sync_api import expect

from flower.store.factory import open_reader, open_writer
from flower.web import assets
from flower.web.assets import Assets
from tests.helpers.browser import WatchedPage
from tests.helpers.paths import ROOT
from tests.helpers.web_server import WebServer

KB = 1000

#: Limits for the scripts that a page loads before it shows content, the styles and all scripts.
FIRST, STYLES, ALL = 55 * KB, 14 * KB, 110 * KB


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "ui"
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts" / "bundle", folder], check=True, env=environment)
    return folder


def size(known: Assets, names: set[str]) -> int:
    return sum(len(known.files[name].gzipped or b"") for name in names)


def test_sizes(bundle: Path) -> None:
    known = assets.load_assets(bundle)
    scripts = {name for name in known.files if name.endswith(".js")}
    on_demand = {"js/dagre.js"}  # workflows of more than sixty tasks
    assert on_demand < scripts
    print("all scripts", size(known, scripts - on_demand))
    assert size(known, scripts - on_demand) < ALL
    assert size(known, {"css/all.css"}) < STYLES
    pages = [f"js/pages/{path.name}" for path in (assets.SOURCES / "js" / "pages").iterdir()]
    needed = {page: size(known, {"theme-boot.js", *known.module_closure("js/main.js", page)}) for page in pages}
    print("before the first content", needed)
    assert min(needed.values()) > size(known, {"js/main.js"})
    assert {page: kilobytes for page, kilobytes in needed.items() if kilobytes >= FIRST} == {}


def test_the_bundle_works(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: Callable[..., WatchedPage]
) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    monkeypatch.setattr(assets, "BUNDLE", bundle)
    assets.default_assets.cache_clear()
    open_writer(tmp_path / "store").close()
    reader = open_reader(tmp_path / "store")
    try:
        with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
            base = f"http://127.0.0.1:{live.port}"
            watched = open_page(base, "/", expect_problems=True)  # the broker in memory has no queue statistics
            for page in ("", "tasks", "failures", "workflows", "workers", "queues", "jobs", "audit", "settings"):
                watched.page.goto(f"{base}/{page}")
                expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
            requests: list[str] = []
            watched.page.on("request", lambda request: requests.append(request.url))
            watched.page.goto(f"{base}/tasks")
            expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
            assert any("/css/all.css" in url for url in requests)
    finally:
        assets.default_assets.cache_clear()
        reader.close()


def test_vendored_files_have_licences() -> None:
    names = set(assets.load_assets(assets.SOURCES).files)
    licences = {name.rpartition("/")[2].removesuffix(".LICENSE") for name in names if name.endswith(".LICENSE")}
    assert {"preact", "signals", "htm", "dagre", "inter", "jetbrains-mono"} <= licences
