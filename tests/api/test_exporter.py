"""Export of tasks: files are read back without loss, and CSV contains no formulas."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flower.api.columns import get_columns
from flower.api.exporter import ROW_GROUP_SIZE, ExportFormat, guess_export_format, serialize_tasks
from flower.api.importer import (
    read_parquet,
)
from flower.errors import InvalidRequest
from flower.records import Task
from tests.api.test_importer import file_of, tasks_of
from tests.helpers.task_factory import make, some_tasks, uuid_of

#: Excluded are ids that events and files cannot contain: with lone surrogates, or empty.
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.integers(0, 99).map(uuid_of)
large = st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=9)))


@settings(max_examples=300, deadline=None)
@given(tasks=st.lists(some_tasks(ids), max_size=4), data=large, form=st.sampled_from(["ndjson", "parquet"]))
def test_exported_tasks_are_imported_unchanged(tasks: list[Task], data: dict[str, Any], form: ExportFormat) -> None:
    odd = make(1, data=data, args="\ud800\u2028\x00\r\n", result="'\"\\,;\t")
    expected = odd if form == "ndjson" else make(1, data=data, args="\\ud800\u2028\x00\r\n", result="'\"\\,;\t")
    assert tasks_of(file_of([*tasks, odd], form)) == [*tasks, expected]


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


def test_parquet_without_pyarrow_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for action in (lambda: serialize_tasks([], "parquet"), lambda: read_parquet(io.BytesIO())):
        with pytest.raises(InvalidRequest) as error:
            action()
        assert "bellflower[parquet]" in error.value.hint


def test_the_format_is_guessed_from_the_extension() -> None:
    names = ("a.ndjson", "a.JSONL", "b.c.csv", "x.parquet", "csv", "a.xls", "-")
    assert [guess_export_format(name) for name in names] == ["ndjson", "ndjson", "csv", "parquet", None, None, None]
