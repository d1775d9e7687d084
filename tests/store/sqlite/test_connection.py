"""Connections to the files of a store."""

from contextlib import closing
from pathlib import Path

from flower.store.factory import open_writer
from flower.store.protocols import Batch
from flower.store.sqlite.connection import fetch_rows, open_for_reading
from flower.store.sqlite.directory import StoreDirectory
from tests.helpers.task_factory import make


def test_long_lists_of_ids_are_not_cached(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "data", text_index=False)) as writer:
        writer.write(Batch(new=[make(number) for number in range(3)]))
    with closing(open_for_reading(StoreDirectory(tmp_path / "data").segment_path(1))) as connection:
        for ids in ("1,2,3", ",".join(map(str, range(1, 1_000)))):
            not_cached = connection.cache_stats()["no_cache"]
            assert len(fetch_rows(connection, f"SELECT id FROM task WHERE id IN ({ids})")) == 3
            assert connection.cache_stats()["no_cache"] - not_cached == (ids != "1,2,3")
