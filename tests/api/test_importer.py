"""Import of tasks: exported files, invalid lines, and files without tasks."""

import io
from collections.abc import Sequence

import pyarrow.parquet
import pytest

from flower.api.exporter import ExportFormat, serialize_tasks
from flower.api.importer import (
    BATCH_SIZE,
    ImportItem,
    ImportResult,
    ParsedTask,
    RejectedLine,
    detect_import_format,
    import_records,
    read_ndjson,
    read_parquet,
)
from flower.errors import InvalidRequest
from flower.records import Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Query
from tests.helpers.task_factory import make, uuid_of


def file_of(tasks: Sequence[Task], form: ExportFormat) -> io.BytesIO:
    return io.BytesIO(b"".join(serialize_tasks(tasks, form)))


def items_of(file: io.BytesIO) -> list[ImportItem]:
    parquet = detect_import_format(file.getvalue()[:4]) == "parquet"
    return list(read_parquet(file) if parquet else read_ndjson(file))


def tasks_of(file: io.BytesIO) -> list[Task]:
    items = items_of(file)
    assert [item for item in items if isinstance(item, RejectedLine)] == []
    return [item.task for item in items if isinstance(item, ParsedTask)]


def import_file(store: MemoryStore, file: io.BytesIO) -> tuple[ImportResult, list[RejectedLine]]:
    rejected: list[RejectedLine] = []
    (*_, result) = import_records(items_of(file), MemoryWriter(store), rejected.append)
    return result, rejected


def list_stored(store: MemoryStore) -> list[Task]:
    return list(MemoryReader(store).tasks(Query(sort=())))


def test_importing_twice_changes_nothing() -> None:
    tasks = [make(number) for number in range(BATCH_SIZE + 5)]
    store = MemoryStore()
    first, _ = import_file(store, file_of(tasks, "ndjson"))
    assert (first.new, first.updated, first.unchanged, first.total) == (BATCH_SIZE + 5, 0, 0, BATCH_SIZE + 5)
    assert list_stored(store) == tasks
    writes = len(store.batches)
    again, _ = import_file(store, file_of(tasks, "ndjson"))
    assert (again.new, again.updated, again.unchanged) == (0, 0, BATCH_SIZE + 5)
    assert len(store.batches) == writes


def test_the_newer_version_wins_in_either_order() -> None:
    old, new = make(1, state="STARTED", timestamp=10.0), make(1, state="SUCCESS", timestamp=20.0)
    for tasks in ([old, new], [new, old]):
        store = MemoryStore()
        for task in tasks:
            import_file(store, file_of([task], "ndjson"))
        assert list_stored(store) == [new]
        store = MemoryStore()
        result, _ = import_file(store, file_of(tasks, "ndjson"))
        assert list_stored(store) == [new]
        assert (result.new, result.unchanged) == (1, 1)


def test_invalid_lines_are_rejected_with_their_number() -> None:
    good = b"".join(serialize_tasks([make(1)], "ndjson"))
    lines = [
        b"\xef\xbb\xbf" + good, b"\n", b"{half\n", b"[]\n", b'{"name": "x"}\n', b'{"uuid": ""}\n', b'{"uuid": 5}\n',
        b'{"uuid": "u", "runtime": "fast"}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n",
        b'{"uuid": "%s"}\n' % (b"x" * 600), b'{"uuid": "last, without an end", "unknown": 1}',
    ]  # fmt: skip
    store = MemoryStore()
    result, rejected = import_file(store, io.BytesIO(b"".join(lines)))
    assert [task.uuid for task in list_stored(store)] == [uuid_of(1), "last, without an end"]
    assert [each.line for each in rejected] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert (result.new, result.rejected) == (2, 9)
    assert "missing required field `uuid`" in rejected[2].reason
    assert "runtime" in rejected[5].reason


def test_a_very_long_line_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flower.api.importer.MAX_LINE_BYTES", 1_000)
    file = io.BytesIO(b"x" * 5_000_000 + b"\n" + b"".join(serialize_tasks([make(1)], "ndjson")))
    assert [type(item) for item in read_ndjson(file)] == [RejectedLine, ParsedTask]


def test_files_with_the_field_names_of_records_are_imported() -> None:
    lines = [
        b'{"uuid": "a", "received": 1.0, "earlier": [{"number": 0, "hostname": "w1", "started": 2.0}]}\n',
        b'{"uuid": "b", "received_at": 1.0, "earlier": [{"number": 0, "worker": "w1", "started_at": 2.0}]}\n',
    ]
    old, new = tasks_of(io.BytesIO(b"".join(lines)))
    assert (old.received, old.earlier[0].hostname, old.earlier[0].started) == (1.0, "w1", 2.0)
    assert (new.received, new.earlier) == (old.received, old.earlier)


def test_invalid_parquet_files_are_rejected() -> None:
    for content in (b"PAR1 and no more", b"PAR1" * 100):
        with pytest.raises(InvalidRequest, match="Not a Parquet file"):
            list(read_parquet(io.BytesIO(content)))
    other = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), other)
    with pytest.raises(InvalidRequest, match="no column 'uuid'"):
        list(read_parquet(other))
    numbers = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"uuid": [1, 2]}), numbers)
    assert [type(item) for item in read_parquet(numbers)] == [RejectedLine, RejectedLine]


def test_long_names_are_shortened() -> None:
    line = b'{"uuid":"a","state":"SUCCESS","name":"%s","earlier":[{"number":0,"hostname":"%s"}]}' % ((b"x" * 600,) * 2)
    (task,) = tasks_of(io.BytesIO(line))
    assert task.name is not None
    assert task.earlier[0].hostname is not None
    assert (len(task.name), len(task.earlier[0].hostname)) == (512, 512)
