"""What a table of tasks can show: the fields of a record, what is computed of them, and values inside arguments.

`kwargs.order_id` and `args.0.name` lead into the value that the text of the field spells, `data.task-progress.percent`
into what custom events brought.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.search.key_paths import find_path_values

#: time      epoch seconds
#: duration  seconds
#: nested    lists and objects; JSON text where a cell is flat
#: any       a value inside an argument: whatever it is
ColumnKind: TypeAlias = Literal["text", "integer", "time", "duration", "nested", "any"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: ColumnKind
    value: Callable[[Task], Any]


_KINDS: Mapping[str, ColumnKind] = {
    **dict.fromkeys(("pid", "clock", "retries", "priority"), "integer"),
    **dict.fromkeys(
        ("timestamp", "sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"), "time"
    ),
    "runtime": "duration",
    **dict.fromkeys(("earlier", "data"), "nested"),
}
#: Fields whose text may spell a value, and the one that is a value.
_KEY_PATH_FIELDS = ("args", "kwargs", "result", "data")


def _field(name: str) -> Callable[[Task], Any]:
    return lambda task: getattr(task, name)


def _failure_id(task: Task) -> str | None:
    """The id of the group of failures that it is in."""
    found = compute_fingerprint(task.exception, task.traceback)
    return None if found is None else found.id


#: The whole record, in its order.
RECORD_COLUMNS = tuple(Column(name, _KINDS.get(name, "text"), _field(name)) for name in Task.__struct_fields__)
COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        *RECORD_COLUMNS,
        Column("worker", "text", _field("hostname")),
        Column("wait", "duration", _field("wait")),
        Column("attempts", "nested", _field("attempts")),
        Column("failure", "text", _failure_id),
    )
}


def get_columns(names: str | Iterable[str]) -> tuple[Column, ...]:
    """The columns of these names (a list, or text with commas between). Raises Invalid for one that there is not, and
    if none is named."""
    words = [word.strip() for word in (names.split(",") if isinstance(names, str) else names)]
    columns = {word: _get_column(word) for word in words if word}
    if not columns:
        raise InvalidRequest("No column is named", hint=f"there are {', '.join(COLUMNS)}")
    return tuple(columns.values())


def to_plain_value(value: Any) -> Any:
    """The value of a cell as JSON can carry it."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str)


def _get_column(name: str) -> Column:
    if name in COLUMNS:
        return COLUMNS[name]
    field, dot, path = name.partition(".")
    if dot and field in _KEY_PATH_FIELDS and path:
        return Column(name, "any", _key_path_value(field, path.split(".")))
    close = difflib.get_close_matches(name.lower(), COLUMNS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COLUMNS)}, and kwargs.key, args.0"
    raise InvalidRequest(f"There is no column '{name}'", hint=hint)


def _key_path_value(field: str, keys: Sequence[str]) -> Callable[[Task], Any]:
    """The first of what the keys lead to, as the search language follows them."""

    def value(task: Task) -> Any:
        return next((_to_scalar(found) for found in find_path_values(getattr(task, field), keys)), None)

    return value


def _to_scalar(value: Any) -> Any:
    """Plain values as they are, anything else as its text."""
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    try:
        return repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints, or depth
        return None
