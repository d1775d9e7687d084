"""Export and import of tasks: files are read back without loss, and CSV contains no formulas."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flower.api.columns import get_columns
from flower.api.exporter import ROW_GROUP_SIZE, ExportFormat, guess_export_format, serialize_tasks
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
from tests.helpers.task_factory import make, some_tasks, uuid_of


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


#: Excluded are ids that events and files cannot contain: with lone surrogates, or empty.
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.integers(0, 99).map(uuid_of)
large = st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=9)))


@settings(max_examples=300, deadline=None)
@given(tasks=st.lists(some_tasks(ids), max_size=4), data=large, form=st.sampled_from(["ndjson", "parquet"]))
def test_exported_tasks_are_imported_unchanged(tasks: list[Task], data: dict[str, Any], form: ExportFormat) -> None:
    odd = make(1, data=data, args="\ud800\u2028\x00\r\n", result="'\"\\,;\t")
    expected = odd if form == "ndjson" else make(1, data=data, args="\\ud800\u2028\x00\r\n", result="'\"\\,;\t")
    assert tasks_of(file_of([*tasks, odd], form)) == [*tasks, expected]


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


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_formulas_are_escaped(text: str) -> None:
    task = make(1, args=text, name=text, runtime=-1.5)
    rows = list(csv.DictReader(io.StringIO(file_of([task], "csv").getvalue().decode(), newline="")))
    assert (rows[0]["args"], rows[0]["name"], rows[0]["runtime"]) == (f"'{text}", f"'{text}", "-1.5")


@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.sampled_from(['"', '""', 'a"b', "a,b", "a\r\nb", "\ud800", "\x00"]))
def test_csv_is_read_back(text: str) -> None:
    columns = get_columns("uuid,result,retries")
    lines = b"".join(serialize_tasks([make(1, result=text, retries=3)], "csv", columns)).decode()
    header, row = csv.reader(io.StringIO(lines, newline=""))
    assert header == ["uuid", "result", "retries"]
    assert row[1].removeprefix("'") == text.encode("utf-8", "backslashreplace").decode().removeprefix("'")
    assert row[2] == "3"


def test_columns_in_all_formats() -> None:
    columns = get_columns("kwargs.order_id,worker,wait,attempts")
    task = make(7, sent=1006.0)
    (line,) = b"".join(serialize_tasks([task], "ndjson", columns)).splitlines()
    row = json.loads(line)
    assert (row["kwargs.order_id"], row["worker"], row["wait"]) == (7, "celery@w3", 1.5)
    table = pyarrow.parquet.read_table(io.BytesIO(b"".join(serialize_tasks([task], "parquet", columns))))
    assert [str(kind) for kind in table.schema.types] == ["string", "string", "double", "string"]
    assert table.to_pylist()[0]["kwargs.order_id"] == "7"


@pytest.mark.parametrize("names", ["", " , ", "nmae", "kwargs.", "uuid.x", "received.day"])
def test_unknown_columns_are_rejected(names: str) -> None:
    with pytest.raises(InvalidRequest, match="column"):
        get_columns(names)


def test_parquet_has_typed_columns_and_bounded_row_groups() -> None:
    tasks = [make(number, retries=1, earlier=()) for number in range(ROW_GROUP_SIZE + 1)]
    file = pyarrow.parquet.ParquetFile(file_of(tasks, "parquet"))
    kinds = dict(zip(file.schema_arrow.names, map(str, file.schema_arrow.types), strict=True))
    assert (kinds["uuid"], kinds["received_at"], kinds["retries"], kinds["earlier"]) == (
        "string", "double", "int64", "string",
    )  # fmt: skip
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    assert sizes == [ROW_GROUP_SIZE, 1]


def test_long_texts_give_small_row_groups() -> None:
    tasks = [make(number, args="x" * (12 << 20)) for number in range(4)]
    assert pyarrow.parquet.ParquetFile(file_of(tasks, "parquet")).num_row_groups == 2


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_an_export_without_tasks_is_a_valid_file(form: ExportFormat) -> None:
    file = file_of([], form)
    assert (tasks_of(file) == []) if form != "csv" else file.getvalue().startswith(b"uuid,name,")


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_tasks_are_read_lazily(form: ExportFormat) -> None:
    taken = 0

    def endless() -> Iterator[Task]:
        nonlocal taken
        while True:
            taken += 1
            yield make(taken)

    parts = serialize_tasks(endless(), form)
    assert len(next(part for part in parts if part)) > 0
    assert taken <= ROW_GROUP_SIZE


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


def test_parquet_without_pyarrow_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for action in (lambda: serialize_tasks([], "parquet"), lambda: read_parquet(io.BytesIO())):
        with pytest.raises(InvalidRequest) as error:
            action()  # type: ignore[no-untyped-call]
        assert "bellflower[parquet]" in error.value.hint


def test_the_format_is_guessed_from_the_extension() -> None:
    names = ("a.ndjson", "a.JSONL", "b.c.csv", "x.parquet", "csv", "a.xls", "-")
    assert [guess_export_format(name) for name in names] == ["ndjson", "ndjson", "csv", "parquet", None, None, None]
