"""The backlog of the text index contains the texts of rows as they are stored."""

from contextlib import closing
from pathlib import Path

import apsw

from flower.records import SUCCESS, Task
from flower.store.protocols import Batch
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text.backlog import IndexBacklog
from flower.store.sqlite.writer import SqliteWriter


def test_texts_are_joined_and_indexed_rows_are_not_pending(tmp_path: Path) -> None:
    tasks = [
        Task(uuid="a", state=SUCCESS, args="(1,)", kwargs="{}", result="'é\0end'"),
        Task(uuid="b", state=SUCCESS),
        Task(uuid="c", state=SUCCESS, args="", exception="E('x')", traceback="line 1\nline 2"),
    ]
    directory = StoreDirectory(tmp_path / "store")
    # two tasks in each segment
    writer = SqliteWriter(directory, segment_tasks=2, text_index=False)
    try:
        keys = writer.write(Batch(new=tasks))
    finally:
        writer.close()
    backlog = IndexBacklog(directory)
    try:
        backlog.set_blocks("one", frozenset({7}))
        pending = {row.key: row for row in backlog.list_pending(10)}
        assert [pending[key].text for key in keys] == [
            "(1,)\n{}\n'é\0end'",
            "",
            "\nE('x')\nline 1\nline 2",
        ]
        # of both segments, and a row that does not exist anymore
        backlog.mark_indexed([(keys[2], pending[keys[2]].version), (keys[0], pending[keys[0]].version), (999, 1)], 7)
        assert [row.key for row in backlog.list_pending(10)] == [keys[1]]
    finally:
        backlog.close()


def test_rows_with_values_of_other_types_are_not_indexed(tmp_path: Path) -> None:
    directory = StoreDirectory(tmp_path / "store")
    writer = SqliteWriter(directory, text_index=False)
    try:
        keys = writer.write(Batch(new=[Task(uuid=name, state=SUCCESS, args="(1,)", kwargs="{}") for name in "ab"]))
    finally:
        writer.close()
    with closing(apsw.Connection(str(directory.segment_path(1)))) as connection:
        connection.execute("UPDATE task SET args = x'ff' WHERE id = ?", (keys[0],))
    with closing(IndexBacklog(directory)) as backlog:
        backlog.set_blocks("one", frozenset({7}))
        assert [row.key for row in backlog.list_pending(10)] == [keys[1]]
        # searches read it: it is not pending again
        assert [row.key for row in backlog.list_pending(10)] == [keys[1]]
