"""The size of the release bundle (gzip of each file as it is served), and a visit of its pages."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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

KB = 1024

#: Limits for the scripts of the first page, the styles and all scripts. Fifteen pages need more than the 90 KB of
#: scripts and 12 KB of styles of the design, which were set for three. No page loads more than FIRST before it shows
#: content; charts load later.
FIRST, STYLES, ALL = 66 * KB, 14 * KB, 150 * KB


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "ui"
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts" / "bundle", folder], check=True, env=environment)
    return folder


def size(known: Assets, names: set[str]) -> int:
    return sum(len(known.files[name].gzipped or b"") for name in names)


def pages(known: Assets) -> Iterator[str]:
    return (name for name in known.files if name.startswith("js/pages/"))


def test_sizes(bundle: Path) -> None:
    known = assets.load_assets(bundle)
    scripts = {name for name in known.files if name.endswith(".js")}
    on_demand = {name for name in scripts if name.startswith("js/parts/dagre-")}  # workflows of more than sixty tasks
    assert len(on_demand) == 1
    assert size(known, scripts - on_demand) < ALL
    assert size(known, {"css/all.css"}) < STYLES
    needed = {page: size(known, {"theme-boot.js", *known.module_closure("js/main.js", page)}) for page in pages(known)}
    assert len(needed) == 15
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
    assert {"preact", "signals", "htm", "uplot", "dagre", "inter", "jetbrains-mono"} <= licences
