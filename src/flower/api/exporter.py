"""Tasks → NDJSON, CSV or Parquet, a piece at a time: memory does not grow with the number of tasks.

NDJSON  one record a line, all of it: `importing` makes the equal task of it
CSV     for spreadsheets (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe in
        front; nested values are JSON text
Parquet typed columns: texts, 64-bit integers, times and durations as doubles (epoch seconds and seconds, as in
        the record); nested values are JSON text. Needs pyarrow

Times are epoch seconds everywhere, so that a value means the same in each of them.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from flower.api.columns import RECORD_COLUMNS, Column, to_plain_value
from flower.errors import InvalidRequest
from flower.records import Task

ExportFormat: TypeAlias = Literal["ndjson", "csv", "parquet"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
EXPORT_MEDIA_TYPES: Mapping[ExportFormat, str] = {
    "ndjson": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
    "parquet": "application/vnd.apache.parquet",
}

#: Tasks that become one piece of text.
CHUNK_SIZE = 500
#: Tasks in a row group of Parquet; what is held in memory. Tasks with long texts come in smaller groups.
ROW_GROUP_SIZE = 10_000
ROW_GROUP_BYTES = 32 << 20

#: A spreadsheet takes a cell that begins so for a formula, and a formula can start programs and fetch addresses.
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_encoder = msgspec.json.Encoder(enc_hook=str)


def serialize_tasks(
    tasks: Iterable[Task], form: ExportFormat, columns: Sequence[Column] | None = None
) -> Iterator[bytes]:
    """These tasks as bytes, lazily. No `columns` means the whole record. Raises Invalid at once if Parquet is asked
    for and cannot be written here."""
    match form:
        case "ndjson":
            return _export_ndjson(tasks, columns)
        case "csv":
            return _export_csv(tasks, RECORD_COLUMNS if columns is None else columns)
        case "parquet":
            return _export_parquet(_import_pyarrow(), tasks, RECORD_COLUMNS if columns is None else columns)


def guess_export_format(name: str) -> ExportFormat | None:
    """The format that the ending of a file's name says."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    endings: Mapping[str, ExportFormat] = {"ndjson": "ndjson", "jsonl": "ndjson", "csv": "csv", "parquet": "parquet"}
    return endings.get(ending)


def encode_record(value: Any) -> bytes:
    """JSON, quickly; and for what the quick way refuses (lone surrogates, numbers beyond 64 bits) the patient one."""
    try:
        return _encoder.encode(value)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        return json.dumps(to_plain_value(value), ensure_ascii=True).encode()


def to_column_values(task: Task, columns: Sequence[Column]) -> dict[str, Any]:
    """The values of these columns, as JSON can carry them."""
    return {column.name: column.value(task) for column in columns}


def format_csv_cell(value: Any) -> str:
    """A value as the text of a flat table; a missing one is empty."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case _:
            return encode_record(value).decode()


def escape_csv_formula(value: Any) -> str:
    """The same, and no formula: numbers stay as they are, text that a spreadsheet would run does not."""
    text = format_csv_cell(value)
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) and not isinstance(value, int | float) else text


def _export_ndjson(tasks: Iterable[Task], columns: Sequence[Column] | None) -> Iterator[bytes]:
    for chunk in _split_chunks(tasks, CHUNK_SIZE):
        if columns is None:
            yield b"".join([encode_record(task) + b"\n" for task in chunk])
        else:
            yield b"".join([encode_record(to_column_values(task, columns)) + b"\n" for task in chunk])


def _export_csv(tasks: Iterable[Task], columns: Sequence[Column]) -> Iterator[bytes]:
    yield _format_csv_lines([[column.name for column in columns]])
    for chunk in _split_chunks(tasks, CHUNK_SIZE):
        yield _format_csv_lines([[escape_csv_formula(column.value(task)) for column in columns] for task in chunk])


def _format_csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _split_chunks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    iterator = iter(tasks)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _split_row_groups(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    """As many tasks as make a row group, by their number and by the length of their texts."""
    group: list[Task] = []
    size = 0
    for task in tasks:
        group.append(task)
        size += sum(len(text) for text in (task.args, task.kwargs, task.result, task.traceback, task.exception) if text)
        if len(group) >= ROW_GROUP_SIZE or size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _import_pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - large, and only needed here
    except ImportError as error:
        hint = "pip install 'bellflower[parquet]', or choose ndjson or csv"
        raise InvalidRequest("Parquet needs pyarrow, which is not installed", hint=hint) from error
    return pyarrow


def _export_parquet(pyarrow: Any, tasks: Iterable[Task], columns: Sequence[Column]) -> Iterator[bytes]:
    fields = [_parquet_field(pyarrow, column) for column in columns]
    schema = pyarrow.schema([(column.name, kind) for column, (kind, _) in zip(columns, fields, strict=True)])
    sink = _ChunkWriter()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _split_row_groups(tasks):
            arrays = [
                pyarrow.array([convert(column.value(task)) for task in group], kind)
                for column, (kind, convert) in zip(columns, fields, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP_SIZE)
            yield sink.pop_chunk()
    yield sink.pop_chunk()


def _parquet_field(pyarrow: Any, column: Column) -> tuple[Any, Callable[[Any], Any]]:
    match column.kind:
        case "integer":
            return pyarrow.int64(), _clamp_integer
        case "time" | "duration":
            return pyarrow.float64(), lambda value: value
        case _:
            return pyarrow.string(), _to_parquet_text


def _clamp_integer(value: int | None) -> int | None:
    """As the store keeps it: beyond 64 bits it is cut."""
    return None if value is None else max(-(2**63), min(2**63 - 1, value))


def _to_parquet_text(value: Any) -> str | None:
    """As the store keeps it: lone surrogates, which no UTF-8 can hold, stay visible as escapes."""
    return None if value is None else format_csv_cell(value).encode("utf-8", "backslashreplace").decode()


class _ChunkWriter(io.RawIOBase):
    """A file that is only written, and gives away what it has got."""

    def __init__(self) -> None:
        super().__init__()
        self._written = 0
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def pop_chunk(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
