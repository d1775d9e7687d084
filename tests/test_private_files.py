"""Tests of files that only their owner may read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flower import private_files
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.sample_store import on_disk, run
from tests.helpers.servers import Redis, wait_for


@pytest.fixture(autouse=True)
def permissive_umask() -> Iterator[None]:
    """The usual umask, with which other accounts may read new files."""
    previous = os.umask(0o022)
    yield
    os.umask(previous)


def readable_by_others(folder: Path) -> list[str]:
    """Paths in the folder, and the folder, on which other accounts have a permission."""
    paths = [folder, *folder.rglob("*")]
    return [f"{path} {stat.filemode(path.stat().st_mode)}" for path in paths if path.stat().st_mode & 0o077]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_store_of_a_server_is_readable_by_its_owner_only(redis_server: Redis) -> None:
    app = make(redis_server.url, "")
    app.conf.task_default_queue = "modes"
    with Worker(app, node="modes"), Product(redis_server.url) as product:
        product.wait_until_capturing()
        sent = app.send_task("shop.echo", ("indexed text",)).id
        wait_for("the task", lambda: product.states().get(sent) == "SUCCESS")
        wait_for("the text index", lambda: any((product.db / "text").glob("0*/*.store")))
        product.http.get("/api/v1/audit")  # opens the ledger
        names = {path.name for path in product.db.rglob("*")}
        expected = {"meta.db", "meta.db-wal", "meta.db-shm", "seg-000001.db", "seg-000001.cols", "recorder.status"}
        assert expected | {"ledger.db", "writer.lock", "text", "drain"} <= names
        assert readable_by_others(product.db) == []
        product.stop()
        assert readable_by_others(product.db) == []


def test_store_of_an_import_is_in_a_private_directory(tmp_path: Path) -> None:
    store = on_disk(tmp_path / "new" / "store")
    assert mode_of(store) == mode_of(store / "text") == 0o700
    assert mode_of(store / "seg-000001.db") == mode_of(store / "seg-000001.cols") == mode_of(store / "meta.db") == 0o600
    assert mode_of(store.parent) == 0o755, "the store's own directory only"


def test_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir(mode=0o750)
    on_disk(store)
    assert mode_of(store) == 0o750
    assert mode_of(store / "meta.db") == 0o600


def test_exported_file_is_private_and_an_existing_one_keeps_its_mode(tmp_path: Path) -> None:
    store, new, existing = on_disk(tmp_path / "store"), tmp_path / "new.csv", tmp_path / "existing.csv"
    existing.touch()
    existing.chmod(0o664)
    for file in (new, existing):
        done = run("export", str(file), f"--db={store}", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (mode_of(new), mode_of(existing)) == (0o600, 0o664)
    assert new.read_bytes() == existing.read_bytes()


def test_new_files_are_private(tmp_path: Path) -> None:
    private_files.create_file(tmp_path / "empty")
    private_files.write_text(tmp_path / "text", "é")
    with private_files.open_file(tmp_path / "bytes", "xb") as file:
        file.write(b"x")
    private_files.create_directory(tmp_path / "a" / "b")
    assert [mode_of(tmp_path / name) for name in ("empty", "text", "bytes")] == [0o600] * 3
    assert mode_of(tmp_path / "a" / "b") == 0o700
    with pytest.raises(FileExistsError):
        private_files.create_file(tmp_path / "text")
