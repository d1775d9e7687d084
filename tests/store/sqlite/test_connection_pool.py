"""Open segments of a reader."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from flower.search.tree import EVERYTHING
from flower.store.factory import open_writer
from flower.store.protocols import Batch, Query
from flower.store.sqlite import connection_pool
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.reader import SqliteReader
from tests.helpers.task_factory import make


def test_only_the_last_used_segments_keep_their_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "MAX_PAGE_CACHES", 2)
    with closing(open_writer(tmp_path / "data", segment_tasks=50, text_index=False)) as writer:
        writer.write(Batch(new=[make(number) for number in range(300)]))
    with closing(SqliteReader(StoreDirectory(tmp_path / "data"))) as reader:
        assert len(list(reader.tasks(Query(EVERYTHING)))) == 300
        open_segments = [segment for idle in reader._pool._idle.values() for segment in idle]
        used = [segment._db.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0] for segment in open_segments]
    assert len(used) == 6
    assert max(used[:4]) < min(used[4:])
