"""Rows of a segment, also if the file was created by an earlier version."""

from pathlib import Path

import apsw

from flower.records import SUCCESS, Task
from flower.store.protocols import Batch
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.writer import SqliteWriter


def test_rows_are_inserted_into_a_table_with_another_order_of_columns(path: Path) -> None:
    directory = StoreDirectory(path)
    first, second = (
        Task(uuid=uuid, state=SUCCESS, run=number, queue_wait=0.5, event_times={"task-sent": (1.0,)})
        for number, uuid in enumerate(("a", "b"), 1)
    )
    writer = SqliteWriter(directory, text_index=False)
    writer.write(Batch(new=[first]))
    writer.close()
    connection = apsw.Connection(str(directory.segment_path(1)))
    for name, kind in (("run", "INTEGER"), ("lost", "TEXT")):
        connection.execute(f"ALTER TABLE task DROP COLUMN {name}")
        connection.execute(f"ALTER TABLE task ADD COLUMN {name} {kind}")
    connection.execute("UPDATE task SET run = 1")
    connection.close()
    writer = SqliteWriter(directory, text_index=False)
    try:
        writer.write(Batch(new=[second]))
        stored = writer.load(["a", "b"])
    finally:
        writer.close()
    assert [stored[uuid].task for uuid in ("a", "b")] == [first, second]
