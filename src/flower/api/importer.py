"""Imports tasks from NDJSON or Parquet files of `exporter` into a store. Of a task that is stored already, the newer
version is kept, so that a file can be imported again, and files may overlap with recorded tasks."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from flower.api.columns import ATTEMPT_COLUMNS, LOST_COLUMNS, TIME_COLUMNS
from flower.errors import InvalidRequest
from flower.name_lengths import shorten_name
from flower.records import MAX_NAME_LENGTH, MAX_TYPE_LENGTH, Task
from flower.redaction import Redactor
from flower.store.protocols import Batch, StoredTask, TaskChange, Writer

#: Maximum number of tasks in one write, and their size in the file.
BATCH_SIZE = 2_000
BATCH_BYTES = 16 << 20
#: Maximum length of a line. No task is that long, and a file without line ends must not exhaust the memory.
MAX_LINE_BYTES = 64 << 20
#: Names of tasks, which are shortened as in events.
_NAME_FIELDS: Final = (
    "name", "hostname", "client", "queue", "exchange", "routing_key", "root_id", "parent_id", "eta", "expires",
)  # fmt: skip
#: msgspec decodes integers beyond 64 bits as floats; such lines are decoded with `json`.
_LARGE_NUMBER: Final = re.compile(rb"\d{19}")

#: Names of columns, and of members of attempts, that differ from the field of the record. A file may also use the names
#: of the fields.
_TASK_FIELDS: Final = {column: field for field, column in TIME_COLUMNS.items()}
_ATTEMPT_FIELDS: Final = {column: field for field, column in ATTEMPT_COLUMNS.items()}
_LOST_FIELDS: Final = {column: field for field, column in LOST_COLUMNS.items()}

_decode = msgspec.json.Decoder().decode


class RejectedLine(NamedTuple):
    """`line` is the number of the line (row in Parquet), from 1."""

    line: int
    reason: str


class ParsedTask(NamedTuple):
    """A task and its size in the file."""

    task: Task
    size: int


ImportItem: TypeAlias = ParsedTask | RejectedLine


@dataclass(slots=True)
class ImportResult:
    """Number of tasks of the file by outcome."""

    new: int = 0
    #: replaced by a newer version from the file
    updated: int = 0
    #: identical to, or older than, the stored version
    unchanged: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        return self.new + self.updated + self.unchanged + self.rejected


def detect_import_format(beginning: bytes) -> Literal["ndjson", "parquet"]:
    """The format of a file by its first bytes."""
    return "parquet" if beginning.startswith(b"PAR1") else "ndjson"


def read_ndjson(file: BinaryIO) -> Iterator[ImportItem]:
    """The tasks of the lines; empty lines are ignored."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(file)
            yield RejectedLine(number, f"longer than {MAX_LINE_BYTES >> 20} MB")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _parse_item(number, lambda line=line: _parse_json_line(line), len(line))  # type: ignore[misc]


def read_parquet(file: BinaryIO) -> Iterator[ImportItem]:
    """The tasks of the rows. Raises InvalidRequest if the file is not Parquet or has no tasks, or without pyarrow."""
    pyarrow = _import_pyarrow()
    try:
        table = pyarrow.parquet.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if _TASK_FIELDS.get(name, name) in Task.__struct_fields__]
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidRequest(f"Not a Parquet file: {error}") from error
    if "uuid" not in names:
        raise InvalidRequest("The file has no column 'uuid'", hint="export complete records, without --columns")
    return _read_rows(pyarrow, table, names)


def import_records(
    items: Iterable[ImportItem],
    writer: Writer,
    on_rejected: Callable[[RejectedLine], None],
    redactor: Redactor | None = None,
) -> Iterator[ImportResult]:
    """Write the tasks; yields the result so far after every batch (the same object each time). Secrets are masked by
    `redactor`; None: they are stored as they are in the file."""
    result = ImportResult()
    batch: dict[str, Task] = {}
    size = 0
    for item in items:
        if isinstance(item, RejectedLine):
            result.rejected += 1
            on_rejected(item)
            continue
        task = item.task if redactor is None else redactor.mask_task(item.task)
        previous = batch.get(task.uuid)
        if previous is not None:
            result.unchanged += 1
        if previous is None or _is_newer(task, previous):
            batch[task.uuid] = task
        size += item.size
        if len(batch) >= BATCH_SIZE or size >= BATCH_BYTES:
            _write_batch(batch, writer, result)
            batch, size = {}, 0
            yield result
    _write_batch(batch, writer, result)
    yield result


def _write_batch(batch: dict[str, Task], writer: Writer, result: ImportResult) -> None:
    stored = writer.load(list(batch)) if batch else {}
    new = [task for uuid, task in batch.items() if uuid not in stored]
    changed = [
        TaskChange(before.key, before.task, batch[uuid])
        for uuid, before in stored.items()
        if before.key is not None and _replaces(batch[uuid], before)
    ]
    if new or changed:
        writer.write(Batch(new=new, changed=changed))
    result.new += len(new)
    result.updated += len(changed)
    result.unchanged += len(batch) - len(new) - len(changed)


def _replaces(task: Task, stored: StoredTask) -> bool:
    return task != stored.task and _is_newer(task, stored.task)


def _is_newer(task: Task, other: Task) -> bool:
    """Compared by the newest event of each."""
    return (task.timestamp or 0.0) > (other.timestamp or 0.0)


def _parse_item(number: int, parse: Callable[[], Task], size: int) -> ImportItem:
    try:
        task = parse()
    except msgspec.ValidationError as error:
        return RejectedLine(number, f"not a task: {error}")
    except (ValueError, RecursionError) as error:
        return RejectedLine(number, f"not JSON: {error}")
    defect = _find_defect(task)
    return ParsedTask(_shorten_names(task), size) if defect is None else RejectedLine(number, defect)


def _find_defect(task: Task) -> str | None:
    """Why a store cannot store the task; None if it can."""
    if not 0 < len(task.uuid) <= MAX_NAME_LENGTH:
        return f"not a task: uuid must have 1 to {MAX_NAME_LENGTH} characters, not {len(task.uuid)}"
    if not task.state:
        return "not a task: no state"
    return None


def _shorten_names(task: Task) -> Task:
    changes: dict[str, Any] = {
        field: shorten_name(name, MAX_NAME_LENGTH)
        for field in _NAME_FIELDS
        if (name := getattr(task, field)) is not None and len(name) > MAX_NAME_LENGTH
    }
    if len(task.state) > MAX_TYPE_LENGTH:
        changes["state"] = shorten_name(task.state, MAX_TYPE_LENGTH)
    if any(attempt.hostname and len(attempt.hostname) > MAX_NAME_LENGTH for attempt in task.earlier):
        changes["earlier"] = tuple(
            replace(attempt, hostname=attempt.hostname and shorten_name(attempt.hostname, MAX_NAME_LENGTH))
            for attempt in task.earlier
        )
    return replace(task, **changes) if changes else task


def _parse_json_line(line: bytes) -> Task:
    if not _LARGE_NUMBER.search(line):
        try:
            return _to_task(_decode(line))
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeError):  # possibly a lone surrogate, which only `json` accepts
            pass
    return _to_task(json.loads(line))


def _to_task(values: Any) -> Task:
    if isinstance(values, dict):
        values = _rename(values, _TASK_FIELDS)
        earlier = values.get("earlier")
        if isinstance(earlier, list):
            values["earlier"] = [_rename(each, _ATTEMPT_FIELDS) if isinstance(each, dict) else each for each in earlier]
        if isinstance(lost := values.get("lost"), dict):
            values["lost"] = _rename(lost, _LOST_FIELDS)
    return msgspec.convert(values, Task)


def _rename(values: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    return {fields.get(name, name): value for name, value in values.items()}


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _import_pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - large, optional, and only needed for Parquet
    except ImportError as error:
        hint = "pip install 'bellflower[parquet]', or export as ndjson"
        raise InvalidRequest("Parquet requires pyarrow, which is not installed", hint=hint) from error
    return pyarrow


def _read_rows(pyarrow: Any, table: Any, names: Sequence[str]) -> Iterator[ImportItem]:
    number = 0
    try:
        # Few rows: a small file may contain the same long text in each.
        for batch in table.iter_batches(batch_size=100, columns=list(names)):
            for values in batch.to_pylist():
                number += 1
                yield _parse_item(number, lambda values=values: _parse_row(values), _text_size(values))  # type: ignore[misc]
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidRequest(f"The file is damaged after row {number}: {error}") from error


def _parse_row(values: dict[str, Any]) -> Task:
    known = {name: value for name, value in values.items() if value is not None}
    for name in ("earlier", "data", "lost", "event_times"):
        if isinstance(known.get(name), str):
            known[name] = json.loads(known[name])
    return _to_task(known)


def _text_size(values: dict[str, Any]) -> int:
    return sum(len(value) for value in values.values() if isinstance(value, str))
