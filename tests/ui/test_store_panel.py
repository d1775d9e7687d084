"""The store on the settings page in a real browser: size, and the progress of a migration."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from flower.errors import BackendUnavailable
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from flower.store.sqlite.migration_progress import MigrationProgress
from tests.helpers.browser import PHONE, WIDE, WatchedPage, violations
from tests.helpers.task_factory import make
from tests.helpers.web_server import WebServer


def no_broker() -> Any:
    raise BackendUnavailable("There is no broker in this test")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_progress_of_a_migration(
    open_page: Callable[..., WatchedPage], tmp_path: Path, theme: str, size: tuple[int, int]
) -> None:
    writer: Any = open_writer(tmp_path, text_index=False)
    writer.write(Batch(new=[make(number) for number in range(3)]))
    connection, progress = writer._segments.meta.connection, MigrationProgress()
    reader = open_reader(tmp_path)
    with WebServer(reader, no_broker, basic_auth=("ann:pw",)) as live:
        base, login = f"http://127.0.0.1:{live.port}", {"username": "ann", "password": "pw"}
        page = open_page(base, "/settings", theme=theme, size=size, http_credentials=login, expect_problems=True).page
        store = page.get_by_role("region", name="Store")
        expect(store).to_contain_text("all files are up to date")
        expect(store).to_contain_text("in 1 segment")
        progress.begin(connection, {1, 2, 3, 4})
        progress.finish(connection, 1)
        page.reload()
        expect(store.get_by_role("img", name="1 of 4 files")).to_be_visible()
        expect(store).to_contain_text("Interrupted: the migration continues when the recorder runs.")
        writer.set_status({"at": time.time(), "running": True, "capture": {"connected": True}})
        page.reload()
        expect(store).to_contain_text("searches are slower meanwhile")
        progress.fail(connection, 2, "seg-000002.db: KeyError: 'x'")
        page.reload()
        expect(store).to_contain_text("Failed: cannot convert seg-000002.db: KeyError: 'x'.")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    reader.close()
    writer.close()
