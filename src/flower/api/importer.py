"""NDJSON or Parquet of `exporting` → a store. A task that is there already is kept in its newer version, so that
the same file may be brought in again, or one that overlaps with what was recorded."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, NamedTuple, TypeAlias

import msgspec

from flower.errors import InvalidRequest
from flower.records import Task
from flower.store.protocols import Batch, StoredTask, TaskChange, Writer

#: Tasks of one write, and their bytes in the file.
BATCH_SIZE = 2_000
BATCH_BYTES = 16 << 20
#: Bytes of one line; no task is that long, and a file without line ends must not fill the memory.
MAX_LINE_BYTES = 64 << 20
#: How long an id may be, as in events.
_MAX_ID_LENGTH = 512
#: The quick reader makes other numbers of these.
_LARGE_NUMBER: Final = re.compile(rb"\d{19}")

_decode = msgspec.json.Decoder(Task).decode


class RejectedLine(NamedTuple):
    """`line` counts lines (rows of Parquet) from 1."""

    line: int
    reason: str


class ParsedTask(NamedTuple):
    """A task and what it took in the file."""

    task: Task
    size: int


ImportItem: TypeAlias = ParsedTask | RejectedLine


@dataclass(slots=True)
class ImportResult:
    """What became of the tasks of a file."""

    new: int = 0
    #: replaced by a newer version out of the file
    updated: int = 0
    #: left as they are: the same, or newer than the file's
    unchanged: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        return self.new + self.updated + self.unchanged + self.rejected


def detect_import_format(beginning: bytes) -> Literal["ndjson", "parquet"]:
    """What a file is, by its first bytes."""
    return "parquet" if beginning.startswith(b"PAR1") else "ndjson"


def read_ndjson(file: BinaryIO) -> Iterator[ImportItem]:
    """The tasks of the lines; empty lines are nothing."""
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
    """The tasks of the rows. Raises Invalid if it is not Parquet, or not of tasks, or if pyarrow is not there."""
    pyarrow = _import_pyarrow()
    try:
        table = pyarrow.parquet.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if name in Task.__struct_fields__]
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidRequest(f"The file is not Parquet: {error}") from error
    if "uuid" not in names:
        raise InvalidRequest("The file has no column 'uuid'", hint="export whole records, without naming columns")
    return _read_rows(pyarrow, table, names)


def import_records(
    items: Iterable[ImportItem], writer: Writer, on_rejected: Callable[[RejectedLine], None]
) -> Iterator[ImportResult]:
    """Write the tasks, and give what has become of them after every batch (always the same object)."""
    outcome = ImportResult()
    waiting: dict[str, Task] = {}
    size = 0
    for item in items:
        if isinstance(item, RejectedLine):
            outcome.rejected += 1
            on_rejected(item)
            continue
        before = waiting.get(item.task.uuid)
        if before is not None:
            outcome.unchanged += 1
        if before is None or _is_newer(item.task, before):
            waiting[item.task.uuid] = item.task
        size += item.size
        if len(waiting) >= BATCH_SIZE or size >= BATCH_BYTES:
            _write_batch(waiting, writer, outcome)
            waiting, size = {}, 0
            yield outcome
    _write_batch(waiting, writer, outcome)
    yield outcome


def _write_batch(waiting: dict[str, Task], writer: Writer, outcome: ImportResult) -> None:
    stored = writer.load(list(waiting)) if waiting else {}
    new = [task for uuid, task in waiting.items() if uuid not in stored]
    changed = [
        TaskChange(known.key, known.task, waiting[uuid])
        for uuid, known in stored.items()
        if known.key is not None and _replaces(waiting[uuid], known)
    ]
    if new or changed:
        writer.write(Batch(new=new, changed=changed))
    outcome.new += len(new)
    outcome.updated += len(changed)
    outcome.unchanged += len(waiting) - len(new) - len(changed)


def _replaces(task: Task, known: StoredTask) -> bool:
    return task != known.task and _is_newer(task, known.task)


def _is_newer(task: Task, other: Task) -> bool:
    """By the newest event that each has seen."""
    return (task.timestamp or 0.0) > (other.timestamp or 0.0)


def _parse_item(number: int, make: Callable[[], Task], size: int) -> ImportItem:
    try:
        task = make()
    except msgspec.ValidationError as error:
        return RejectedLine(number, f"not a task: {error}")
    except (ValueError, RecursionError) as error:
        return RejectedLine(number, f"not JSON: {error}")
    reason = _find_defect(task)
    return ParsedTask(task, size) if reason is None else RejectedLine(number, reason)


def _find_defect(task: Task) -> str | None:
    """Why a store cannot keep it; None if it can."""
    if not 0 < len(task.uuid) <= _MAX_ID_LENGTH:
        return f"not a task: its uuid has {len(task.uuid)} characters, 1 to {_MAX_ID_LENGTH} are allowed"
    if not task.state:
        return "not a task: it has no state"
    return None


def _parse_json_line(line: bytes) -> Task:
    if not _LARGE_NUMBER.search(line):
        try:
            return _decode(line)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeError):  # perhaps a lone surrogate, which only the patient reader takes
            pass
    return _to_task(json.loads(line))


def _to_task(values: Any) -> Task:
    return msgspec.convert(values, Task)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _import_pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - large, and only needed here
    except ImportError as error:
        hint = "pip install 'bellflower[parquet]', or export as ndjson"
        raise InvalidRequest("Parquet needs pyarrow, which is not installed", hint=hint) from error
    return pyarrow


def _read_rows(pyarrow: Any, table: Any, names: Sequence[str]) -> Iterator[ImportItem]:
    number = 0
    try:
        for part in table.iter_batches(batch_size=500, columns=list(names)):
            for values in part.to_pylist():
                number += 1
                yield _parse_item(number, lambda values=values: _parse_row(values), _text_size(values))  # type: ignore[misc]
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidRequest(f"The file is damaged after row {number}: {error}") from error


def _parse_row(values: dict[str, Any]) -> Task:
    known = {name: value for name, value in values.items() if value is not None}
    for name in ("earlier", "data"):
        if isinstance(known.get(name), str):
            known[name] = json.loads(known[name])
    return _to_task(known)


def _text_size(values: dict[str, Any]) -> int:
    return sum(len(value) for value in values.values() if isinstance(value, str))
