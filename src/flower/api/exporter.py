"""Exports tasks as NDJSON, CSV or Parquet, in chunks: memory use does not depend on the number of tasks.

NDJSON   one complete record per line; `importer` reads it back
CSV      for spreadsheets, see `csv_format`
Parquet  typed columns: text, 64-bit integers, times and durations as doubles; nested values as JSON text.
         Requires pyarrow

In all formats times are epoch seconds and durations are seconds.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from flower.api.columns import RECORD_COLUMNS, Column
from flower.api.csv_format import escape_csv_formula, format_csv_cell, format_csv_lines
from flower.api.json_encoder import dump_json
from flower.errors import InvalidRequest, StoreDamaged
from flower.records import Task
from flower.surrogates import escape_surrogates

ExportFormat: TypeAlias = Literal["ndjson", "csv", "parquet"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
EXPORT_MEDIA_TYPES: Mapping[ExportFormat, str] = {
    "ndjson": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
    "parquet": "application/vnd.apache.parquet",
}

#: Tasks in one chunk of text.
CHUNK_SIZE = 500
#: Maximum number of tasks in a Parquet row group, which is held in memory, and maximum length of their texts.
ROW_GROUP_SIZE = 10_000
ROW_GROUP_BYTES = 32 << 20


def serialize_tasks(
    tasks: Iterable[Task], form: ExportFormat, columns: Sequence[Column] | None = None
) -> Iterator[bytes]:
    """The file in chunks, lazily; without `columns` it contains complete records. Raises InvalidRequest at once for
    Parquet without pyarrow."""
    columns = RECORD_COLUMNS if columns is None else columns
    match form:
        case "ndjson":
            return _export_ndjson(tasks, columns)
        case "csv":
            return _export_csv(tasks, columns)
        case "parquet":
            return _export_parquet(_import_pyarrow(), tasks, columns)


def guess_export_format(name: str) -> ExportFormat | None:
    """The format by the extension of a file name; None if it is unknown."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    formats: Mapping[str, ExportFormat] = {"ndjson": "ndjson", "jsonl": "ndjson", "csv": "csv", "parquet": "parquet"}
    return formats.get(extension)


def to_column_values(task: Task, columns: Sequence[Column]) -> dict[str, Any]:
    """Values by column name, for JSON."""
    return {column.name: column.value(task) for column in columns}


def _export_ndjson(tasks: Iterable[Task], columns: Sequence[Column]) -> Iterator[bytes]:
    for chunk in _split_chunks(tasks, CHUNK_SIZE):
        yield b"".join([dump_json(to_column_values(task, columns)) + b"\n" for task in chunk])


def _export_csv(tasks: Iterable[Task], columns: Sequence[Column]) -> Iterator[bytes]:
    yield format_csv_lines([[column.name for column in columns]])
    for chunk in _split_chunks(tasks, CHUNK_SIZE):
        yield format_csv_lines([[escape_csv_formula(column.value(task)) for column in columns] for task in chunk])


def _split_chunks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    chunk: list[Task] = []
    try:
        for task in tasks:
            chunk.append(task)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except StoreDamaged:  # raised after the last task that can be read
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _split_row_groups(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    """Row groups, limited by the number of tasks and by the length of their texts."""
    group: list[Task] = []
    size = 0
    for task in tasks:
        group.append(task)
        size += task.text_length
        if len(group) >= ROW_GROUP_SIZE or size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _import_pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - large, optional, and only needed for Parquet
    except ImportError as error:
        hint = "pip install 'bellflower[parquet]', or choose ndjson or csv"
        raise InvalidRequest("Parquet requires pyarrow, which is not installed", hint=hint) from error
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
    """The Parquet type of a column, and the conversion of its values."""
    match column.kind:
        case "integer":
            return pyarrow.int64(), _clamp_integer
        case "boolean":
            return pyarrow.bool_(), lambda value: value
        case "time" | "duration":
            return pyarrow.float64(), lambda value: value
        case _:
            return pyarrow.string(), _to_parquet_text


def _clamp_integer(value: int | None) -> int | None:
    """Limited to 64 bits, as in the store."""
    return None if value is None else max(-(2**63), min(2**63 - 1, value))


def _to_parquet_text(value: Any) -> str | None:
    """Lone surrogates, which UTF-8 cannot represent, are escaped as in the store."""
    return None if value is None else escape_surrogates(format_csv_cell(value))


class _ChunkWriter(io.RawIOBase):
    """A write-only file whose content is taken out in chunks."""

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
