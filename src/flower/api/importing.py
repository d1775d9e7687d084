"""NDJSON or Parquet of `exporting` → a store. A task that is there already is kept in its newer version, so that
the same file may be brought in again, or one that overlaps with what was recorded."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, NamedTuple, TypeAlias

import msgspec

from flower.errors import Invalid
from flower.records import Task
from flower.store.port import Batch, Changed, Stored, Writer

#: Tasks of one write, and their bytes in the file.
BATCH = 2_000
BATCH_BYTES = 16 << 20
#: Bytes of one line; no task is that long, and a file without line ends must not fill the memory.
LONGEST_LINE = 64 << 20
#: How long an id may be, as in events.
_LONGEST_ID = 512
#: The quick reader makes other numbers of these.
_LARGE_NUMBER: Final = re.compile(rb"\d{19}")

_decode = msgspec.json.Decoder(Task).decode


class Refused(NamedTuple):
    """`line` counts lines (rows of Parquet) from 1."""

    line: int
    reason: str


class Found(NamedTuple):
    """A task and what it took in the file."""

    task: Task
    size: int


Item: TypeAlias = Found | Refused


@dataclass(slots=True)
class Outcome:
    """What became of the tasks of a file."""

    new: int = 0
    #: replaced by a newer version out of the file
    newer: int = 0
    #: left as they are: the same, or newer than the file's
    kept: int = 0
    refused: int = 0

    @property
    def read(self) -> int:
        return self.new + self.newer + self.kept + self.refused


def form_of(beginning: bytes) -> Literal["ndjson", "parquet"]:
    """What a file is, by its first bytes."""
    return "parquet" if beginning.startswith(b"PAR1") else "ndjson"


def read_ndjson(file: BinaryIO) -> Iterator[Item]:
    """The tasks of the lines; empty lines are nothing."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            _skip_line(file)
            yield Refused(number, f"longer than {LONGEST_LINE >> 20} MB")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _item(number, lambda line=line: _from_json(line), len(line))  # type: ignore[misc]


def read_parquet(file: BinaryIO) -> Iterator[Item]:
    """The tasks of the rows. Raises Invalid if it is not Parquet, or not of tasks, or if pyarrow is not there."""
    pyarrow = _pyarrow()
    try:
        table = pyarrow.parquet.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if name in Task.__struct_fields__]
    except (pyarrow.ArrowException, OSError) as error:
        raise Invalid(f"The file is not Parquet: {error}") from error
    if "uuid" not in names:
        raise Invalid("The file has no column 'uuid'", hint="export whole records, without naming columns")
    return _rows(pyarrow, table, names)


def bring_in(items: Iterable[Item], writer: Writer, refuse: Callable[[Refused], None]) -> Iterator[Outcome]:
    """Write the tasks, and give what has become of them after every batch (always the same object)."""
    outcome = Outcome()
    waiting: dict[str, Task] = {}
    size = 0
    for item in items:
        if isinstance(item, Refused):
            outcome.refused += 1
            refuse(item)
            continue
        before = waiting.get(item.task.uuid)
        if before is not None:
            outcome.kept += 1
        if before is None or _is_newer(item.task, before):
            waiting[item.task.uuid] = item.task
        size += item.size
        if len(waiting) >= BATCH or size >= BATCH_BYTES:
            _write(waiting, writer, outcome)
            waiting, size = {}, 0
            yield outcome
    _write(waiting, writer, outcome)
    yield outcome


def _write(waiting: dict[str, Task], writer: Writer, outcome: Outcome) -> None:
    stored = writer.load(list(waiting)) if waiting else {}
    new = [task for uuid, task in waiting.items() if uuid not in stored]
    changed = [
        Changed(known.key, known.task, waiting[uuid])
        for uuid, known in stored.items()
        if known.key is not None and _replaces(waiting[uuid], known)
    ]
    if new or changed:
        writer.write(Batch(new=new, changed=changed))
    outcome.new += len(new)
    outcome.newer += len(changed)
    outcome.kept += len(waiting) - len(new) - len(changed)


def _replaces(task: Task, known: Stored) -> bool:
    return task != known.task and _is_newer(task, known.task)


def _is_newer(task: Task, other: Task) -> bool:
    """By the newest event that each has seen."""
    return (task.timestamp or 0.0) > (other.timestamp or 0.0)


def _item(number: int, make: Callable[[], Task], size: int) -> Item:
    try:
        task = make()
    except msgspec.ValidationError as error:
        return Refused(number, f"not a task: {error}")
    except (ValueError, RecursionError) as error:
        return Refused(number, f"not JSON: {error}")
    reason = _unfit(task)
    return Found(task, size) if reason is None else Refused(number, reason)


def _unfit(task: Task) -> str | None:
    """Why a store cannot keep it; None if it can."""
    if not 0 < len(task.uuid) <= _LONGEST_ID:
        return f"not a task: its uuid has {len(task.uuid)} characters, 1 to {_LONGEST_ID} are allowed"
    if not task.state:
        return "not a task: it has no state"
    return None


def _from_json(line: bytes) -> Task:
    if not _LARGE_NUMBER.search(line):
        try:
            return _decode(line)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeError):  # perhaps a lone surrogate, which only the patient reader takes
            pass
    return _task(json.loads(line))


def _task(values: Any) -> Task:
    return msgspec.convert(values, Task)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - large, and only needed here
    except ImportError as error:
        hint = "pip install 'bellflower[parquet]', or export as ndjson"
        raise Invalid("Parquet needs pyarrow, which is not installed", hint=hint) from error
    return pyarrow


def _rows(pyarrow: Any, table: Any, names: Sequence[str]) -> Iterator[Item]:
    number = 0
    try:
        for part in table.iter_batches(batch_size=500, columns=list(names)):
            for values in part.to_pylist():
                number += 1
                yield _item(number, lambda values=values: _from_row(values), _size(values))  # type: ignore[misc]
    except (pyarrow.ArrowException, OSError) as error:
        raise Invalid(f"The file is damaged after row {number}: {error}") from error


def _from_row(values: dict[str, Any]) -> Task:
    known = {name: value for name, value in values.items() if value is not None}
    for name in ("earlier", "data"):
        if isinstance(known.get(name), str):
            known[name] = json.loads(known[name])
    return _task(known)


def _size(values: dict[str, Any]) -> int:
    return sum(len(value) for value in values.values() if isinstance(value, str))
