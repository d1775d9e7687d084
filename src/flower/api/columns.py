"""Columns of task tables and exports: the fields of a record, computed values, and values inside arguments.

`kwargs.order_id` and `args.0.name` are paths into the value that the text of the field represents,
`data.task-progress.percent` into the data of custom events. Times are named `…_at`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

import msgspec

from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Attempt, Lost, Task
from flower.search.key_paths import find_path_values
from flower.similar_names import closest_match

#: time      epoch seconds
#: duration  seconds
#: nested    lists and objects; JSON text in flat formats
#: any       a value inside an argument, of any type
ColumnKind: TypeAlias = Literal["text", "integer", "boolean", "time", "duration", "nested", "any"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: ColumnKind
    value: Callable[[Task], Any]


#: By field of a record: the name of its column. All other fields have a column of the same name.
TIME_COLUMNS: Final[Mapping[str, str]] = {
    "timestamp": "last_event_at",
    "sent": "sent_at",
    "received": "received_at",
    "started": "started_at",
    "succeeded": "succeeded_at",
    "failed": "failed_at",
    "retried": "retried_at",
    "revoked": "revoked_at",
    "rejected": "rejected_at",
}

_KINDS: Mapping[str, ColumnKind] = {
    **dict.fromkeys(("pid", "clock", "retries", "priority", "run"), "integer"),
    **dict.fromkeys(TIME_COLUMNS, "time"),
    **dict.fromkeys(("runtime", "clock_offset", "client_offset", "queue_wait"), "duration"),
    **dict.fromkeys(("earlier", "data", "lost", "event_times"), "nested"),
}
#: Fields whose text may represent a container, and `data`, which is one.
_KEY_PATH_FIELDS: Final = ("args", "kwargs", "result", "data")


class AttemptRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One attempt at running a task. `state` is its outcome (RETRY if the task was retried), None while it is open.
    `lost` is the reason why it ended without an outcome. `run` is the number of the run, if the id was sent again after
    its end. `clock_offset`: seconds by which the clock of the worker was ahead, if 2 or more."""

    number: int
    worker: str | None = None
    pid: int | None = None
    received_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    state: str | None = None
    runtime: float | None = None
    exception: str | None = None
    traceback: str | None = None
    lost: str | None = None
    retries: int | None = None
    run: int = 0
    clock_offset: float | None = None


class LostRow(msgspec.Struct, frozen=True, gc=False):
    """The mark of a task whose state no source proves: since when, why, a sentence, and what was queried."""

    since_at: float
    reason: str
    detail: str
    queried: tuple[str, ...] = ()


#: By field of the mark of a lost task: the name in `LostRow`, where it differs.
LOST_COLUMNS: Final[Mapping[str, str]] = {"since": "since_at"}
#: By field of an attempt: the name in `AttemptRow`, where it differs.
ATTEMPT_COLUMNS: Final[Mapping[str, str]] = {
    "hostname": "worker",
    "received": "received_at",
    "started": "started_at",
    "ended": "ended_at",
}


def to_attempt_row(attempt: Attempt) -> AttemptRow:
    return AttemptRow(
        number=attempt.number,
        worker=attempt.hostname,
        pid=attempt.pid,
        received_at=attempt.received,
        started_at=attempt.started,
        ended_at=attempt.ended,
        state=attempt.state,
        runtime=attempt.runtime,
        exception=attempt.exception,
        traceback=attempt.traceback,
        lost=attempt.lost,
        retries=attempt.retries,
        run=attempt.run,
        clock_offset=attempt.clock_offset,
    )


def to_lost_row(lost: Lost | None) -> LostRow | None:
    return None if lost is None else LostRow(lost.since, lost.reason, lost.detail, lost.queried)


def get_columns(names: str | Iterable[str]) -> tuple[Column, ...]:
    """The columns with these names (a list, or text separated by commas). Raises InvalidRequest for an unknown name,
    and if there are none."""
    words = [word.strip() for word in (names.split(",") if isinstance(names, str) else names)]
    columns = {word: _get_column(word) for word in words if word}
    if not columns:
        raise InvalidRequest("No columns given", hint=f"columns: {', '.join(COLUMNS)}")
    return tuple(columns.values())


def to_plain_value(value: Any) -> Any:
    """The value of a cell as JSON types."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str)


def _get_column(name: str) -> Column:
    if name in COLUMNS:
        return COLUMNS[name]
    field, dot, path = name.partition(".")
    if dot and path and field in _KEY_PATH_FIELDS:
        return Column(name, "any", _key_path_value(field, path.split(".")))
    close = closest_match(name.lower(), COLUMNS)
    hint = f"did you mean {close}" if close else f"columns: {', '.join(COLUMNS)}, and paths such as kwargs.key, args.0"
    raise InvalidRequest(f"Unknown column '{name}'", hint=hint)


def _field(name: str) -> Callable[[Task], Any]:
    return attrgetter(name)


def _attempts(name: str) -> Callable[[Task], tuple[AttemptRow, ...]]:
    return lambda task: tuple(map(to_attempt_row, getattr(task, name)))


def _failure_id(task: Task) -> str | None:
    """The id of the failure group that the task belongs to."""
    fingerprint = compute_fingerprint(task.exception, task.traceback)
    return None if fingerprint is None else fingerprint.id


def _key_path_value(field: str, keys: Sequence[str]) -> Callable[[Task], Any]:
    """The first value under the keys, which are followed as in the search language."""

    def value(task: Task) -> Any:
        return next((_to_scalar(each) for each in find_path_values(getattr(task, field), keys)), None)

    return value


def _to_scalar(value: Any) -> Any:
    """Scalars unchanged, any other value as its repr."""
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    try:
        return repr(value)
    except (ValueError, RecursionError):  # an integer with more digits than Python formats, or deep nesting
        return None


def _record_value(name: str) -> Callable[[Task], Any]:
    match name:
        case "earlier":
            return _attempts(name)
        case "lost":
            return lambda task: to_lost_row(task.lost)
    return _field(name)


#: The complete record, in the order of its fields.
RECORD_COLUMNS = tuple(
    Column(
        TIME_COLUMNS.get(name, name),
        _KINDS.get(name, "text"),
        _record_value(name),
    )
    for name in Task.__struct_fields__
)
COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        *RECORD_COLUMNS,
        Column("worker", "text", _field("hostname")),
        Column("time_at", "time", _field("time")),
        Column("ended_at", "time", _field("ended")),
        Column("wait", "duration", _field("wait")),
        Column("backoff", "duration", _field("backoff")),
        Column("runtime_derived", "boolean", _field("runtime_is_derived")),
        Column("double_run", "boolean", _field("is_double_run")),
        Column("attempts", "nested", _attempts("attempts")),
        Column("failure", "text", _failure_id),
        Column("lost_reason", "text", lambda task: task.lost.reason if task.lost else None),
    )
}
