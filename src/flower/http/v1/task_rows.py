"""A task as a JSON object: its columns, and how each is read from the record."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.columns import TIME_COLUMNS, AttemptRow, LostRow, to_attempt_row, to_lost_row
from flower.api.gaps import GapRow
from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.redaction.masks import MaskedValue
from flower.search.did_you_mean import did_you_mean
from flower.search.key_paths import find_path_values
from flower.search.literal_tree import LiteralNode, find_literal_node, leaf_text, parse_literal_tree
from flower.search.python_literal import parse_literal_strict
from flower.store.protocols import Reader

TextValue: TypeAlias = str | UnsetType | None
NumberValue: TypeAlias = float | UnsetType | None
IntegerValue: TypeAlias = int | UnsetType | None


class LiteralValues(msgspec.Struct, frozen=True):
    """`args`, `kwargs` and `result` as trees of Python literals; null where the text is truncated or not a literal."""

    args: LiteralNode | None
    kwargs: LiteralNode | None
    result: LiteralNode | None


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task. Only the requested columns are present; null is a value that no event contained.

    Times are those of the sender's clock. `args`, `kwargs`, `result`, `exception` and `traceback` are the texts of the
    events; `args_value` and `kwargs_value` are the values of the first two, null if Celery truncated the text."""

    uuid: str
    name: TextValue = UNSET
    state: str | UnsetType = UNSET
    worker: TextValue = UNSET
    queue: TextValue = UNSET
    time_at: Annotated[NumberValue, Meta(description="When it was received, else sent, else its first event.")] = UNSET
    sent_at: NumberValue = UNSET
    received_at: NumberValue = UNSET
    started_at: NumberValue = UNSET
    succeeded_at: NumberValue = UNSET
    failed_at: NumberValue = UNSET
    retried_at: NumberValue = UNSET
    revoked_at: NumberValue = UNSET
    rejected_at: NumberValue = UNSET
    ended_at: Annotated[
        NumberValue, Meta(description="When the last attempt succeeded, failed, was revoked, rejected or retried.")
    ] = UNSET
    last_event_at: NumberValue = UNSET
    wait: Annotated[
        NumberValue, Meta(description="Seconds in the queue: from sent (or received) to the first start.")
    ] = UNSET
    backoff: Annotated[NumberValue, Meta(description="Seconds between the attempts, null if it was not retried.")] = (
        UNSET
    )
    runtime: Annotated[NumberValue, Meta(description="Seconds that the last attempt ran.")] = UNSET
    runtime_derived: Annotated[
        bool | UnsetType,
        Meta(
            description="Whether `runtime` is the time from start to end. Celery sends the run time of successful"
            " tasks only."
        ),
    ] = UNSET
    retries: IntegerValue = UNSET
    args: TextValue = UNSET
    kwargs: TextValue = UNSET
    args_value: Annotated[Any, Meta(extra_json_schema={"type": ["array", "null"]})] = UNSET
    kwargs_value: Annotated[Any, Meta(extra_json_schema={"type": ["object", "null"]})] = UNSET
    result: TextValue = UNSET
    exception: TextValue = UNSET
    traceback: TextValue = UNSET
    failure: Annotated[TextValue, Meta(description="The id of its failure group.")] = UNSET
    eta: TextValue = UNSET
    expires: TextValue = UNSET
    exchange: TextValue = UNSET
    routing_key: TextValue = UNSET
    priority: IntegerValue = UNSET
    client: TextValue = UNSET
    root_id: TextValue = UNSET
    parent_id: TextValue = UNSET
    children: Annotated[tuple[str, ...] | UnsetType, Meta(description="The ids of its child tasks.")] = UNSET
    pid: IntegerValue = UNSET
    clock: IntegerValue = UNSET
    attempts: Annotated[tuple[AttemptRow, ...] | UnsetType, Meta(description="All attempts, oldest first.")] = UNSET
    data: Annotated[
        dict[str, dict[str, Any]] | UnsetType | None,
        Meta(description="Fields of custom events: event type, field, last value."),
    ] = UNSET
    source: Annotated[
        str | UnsetType | None,
        Meta(
            description="What proved the state: `worker`, `result_backend` or `broker`; null: the events of the task."
        ),
    ] = UNSET
    lost: Annotated[
        LostRow | UnsetType | None,
        Meta(description="Why no source proves the state, which is the last one that was proven; null: it is proven."),
    ] = UNSET
    double_run: Annotated[
        bool | UnsetType, Meta(description="Whether two attempts of a run were active at the same time.")
    ] = UNSET
    run: Annotated[
        IntegerValue, Meta(description="Number of the run, if the id was sent again after its end; else null.")
    ] = UNSET
    clock_offset: Annotated[
        NumberValue, Meta(description="Seconds by which the clock of the worker was ahead, if 2 or more; else null.")
    ] = UNSET
    client_offset: Annotated[
        NumberValue, Meta(description="Seconds by which the clock of the sender was ahead, if 2 or more; else null.")
    ] = UNSET
    extracted: Annotated[
        dict[str, str | None] | UnsetType,
        Meta(
            description="Values of the requested key paths such as `kwargs.order_id`, as text; null if there is none."
        ),
    ] = UNSET
    values: Annotated[LiteralValues | UnsetType, Meta(description="Only with `include_values`.")] = UNSET
    gaps: Annotated[
        tuple[GapRow, ...] | UnsetType,
        Meta(description="Only of a single task: gaps in which events of this task may have been missed."),
    ] = UNSET
    masked: Annotated[
        tuple[MaskedValue, ...] | UnsetType,
        Meta(description="Only of a single task: the masked values, and the redaction rule of each."),
    ] = UNSET


#: Members that are no columns.
_OTHER_MEMBERS: Final = ("extracted", "values", "gaps", "masked")

COLUMNS: tuple[str, ...] = tuple(name for name in TaskRow.__struct_fields__ if name not in _OTHER_MEMBERS)

#: Columns of a list by default: all except those that are long, rarely used or need another query.
DEFAULT_COLUMNS: tuple[str, ...] = (
    "uuid", "name", "state", "worker", "queue", "time_at", "sent_at", "received_at", "started_at",
    "last_event_at", "wait", "runtime", "retries", "args", "kwargs", "result", "exception", "root_id", "parent_id",
    "source", "lost",
)  # fmt: skip

#: Columns that a worker's `argsrepr_maxsize` and `resultrepr_maxsize` can make arbitrarily long.
TRUNCATED_COLUMNS: frozenset[str] = frozenset({"args", "kwargs", "result", "exception", "traceback"})
#: More characters than the store can hold in one text.
MAX_TEXT_LIMIT: Final = 2**31

#: Fields that key paths lead into: three texts of Python literals, and the data of custom events.
_KEY_PATH_FIELDS: Final = ("args", "kwargs", "result", "data")


def task_rows(
    reader: Reader,
    tasks: Sequence[Task],
    columns: Sequence[str] = DEFAULT_COLUMNS,
    text_limit: int = MAX_TEXT_LIMIT,
) -> tuple[TaskRow, ...]:
    """Rows of the tasks, with texts truncated to `text_limit` characters. Raises InvalidRequest for an unknown
    column."""
    names = validate_columns(columns)
    paths = [name for name in columns if is_key_path(name)]
    children = reader.children([task.uuid for task in tasks]) if "children" in names else {}
    getters = [
        (name, _truncated_getter(name, text_limit) if name in TRUNCATED_COLUMNS else _GETTERS[name])
        for name in names
        if name not in ("uuid", "children")
    ]
    return tuple(_task_row(task, getters, children if "children" in names else None, paths) for task in tasks)


def validate_columns(columns: Sequence[str]) -> Sequence[str]:
    """The names of the columns without the key paths. Raises InvalidRequest for an unknown column."""
    for name in columns:
        if name not in COLUMNS and name != "all" and not is_key_path(name):
            raise InvalidRequest(f"Unknown column '{name}'", hint=did_you_mean(name, COLUMNS))
    return COLUMNS if "all" in columns else [name for name in columns if name in COLUMNS]


def is_key_path(column: str) -> bool:
    """Whether the column is a value inside another one, such as `kwargs.order_id`."""
    field, _, path = column.partition(".")
    return field in _KEY_PATH_FIELDS and bool(path)


def literal_values(task: Task) -> LiteralValues:
    return LiteralValues(
        parse_literal_tree(task.args), parse_literal_tree(task.kwargs), parse_literal_tree(task.result)
    )


def _task_row(
    task: Task,
    getters: Iterable[tuple[str, Callable[[Task], Any]]],
    children: Mapping[str, Sequence[str]] | None,
    paths: Sequence[str],
) -> TaskRow:
    values = {name: get(task) for name, get in getters}
    if children is not None:
        values["children"] = tuple(children.get(task.uuid, ()))
    if paths:
        values["extracted"] = _extract(task, paths)
    return TaskRow(uuid=task.uuid, **values)


def _extract(task: Task, paths: Sequence[str]) -> dict[str, str | None]:
    """The values at the key paths, as text; None for a container or a missing key."""
    trees: dict[str, LiteralNode | None] = {}
    extracted: dict[str, str | None] = {}
    for path in paths:
        field, *keys = path.split(".")
        if field == "data":
            value = next(iter(find_path_values(task.data, keys)), None)
            extracted[path] = None if value is None or isinstance(value, dict | list) else str(value)
            continue
        if field not in trees:
            trees[field] = parse_literal_tree(getattr(task, field))
        node = find_literal_node(trees[field], keys)
        extracted[path] = None if node is None or node.items is not None else leaf_text(node)
    return extracted


def _parse_json_value(text: str | None, kind: type | tuple[type, ...]) -> msgspec.Raw | None:
    """The value of a Python literal as JSON; None if the text is truncated or JSON cannot represent the value."""
    if not isinstance(text, str):
        return None
    try:
        value = parse_literal_strict(text)
        # JSON has no 1e999, and UTF-8 no lone surrogates.
        return msgspec.Raw(msgspec.json.encode(value)) if isinstance(value, kind) else None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def _failure_id(task: Task) -> str | None:
    fingerprint = compute_fingerprint(task.exception, task.traceback)
    return None if fingerprint is None else fingerprint.id


def _attribute_getter(name: str) -> Callable[[Task], Any]:
    return lambda task: getattr(task, name)


def _truncated_getter(name: str, limit: int) -> Callable[[Task], str | None]:
    def value(task: Task) -> str | None:
        text: str | None = getattr(task, name)
        return text if text is None or len(text) <= limit else f"{text[:limit]}…"

    return value


_GETTERS: dict[str, Callable[[Task], Any]] = {
    **{name: _attribute_getter(name) for name in COLUMNS},
    **{column: _attribute_getter(field) for field, column in TIME_COLUMNS.items()},
    "time_at": _attribute_getter("time"),
    "ended_at": _attribute_getter("ended"),
    "worker": _attribute_getter("hostname"),
    "args_value": lambda task: _parse_json_value(task.args, (list, tuple)),
    "kwargs_value": lambda task: _parse_json_value(task.kwargs, dict),
    "attempts": lambda task: tuple(map(to_attempt_row, task.attempts)),
    "failure": _failure_id,
    "lost": lambda task: to_lost_row(task.lost),
    "runtime_derived": _attribute_getter("runtime_is_derived"),
    "double_run": _attribute_getter("is_double_run"),
}


def current_column_name(name: str) -> str:
    """The name of a column in `/api/v1`, also for names of times such as `received` in options and old searches."""
    return TIME_COLUMNS.get(name, name)
