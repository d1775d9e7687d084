"""A task as a row of JSON: the columns there are, and how each is got from the record."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Attempt, Task
from flower.search.python_literal import parse_literal_strict
from flower.store.protocols import Reader

TextValue: TypeAlias = str | UnsetType | None
NumberValue: TypeAlias = float | UnsetType | None
IntegerValue: TypeAlias = int | UnsetType | None


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task, under the names that the search language uses; only the columns that were asked for are there.

    Times are epoch seconds by the sender's clock, durations seconds, null what no event told. `args`, `kwargs`,
    `result`, `exception` and `traceback` are the text of the event; `args_value` and `kwargs_value` what the first two
    spell, null where that is in doubt (Celery cuts long ones)."""

    uuid: str
    name: TextValue = UNSET
    state: str | UnsetType = UNSET
    worker: TextValue = UNSET
    queue: TextValue = UNSET
    sent: NumberValue = UNSET
    received: NumberValue = UNSET
    started: NumberValue = UNSET
    succeeded: NumberValue = UNSET
    failed: NumberValue = UNSET
    retried: NumberValue = UNSET
    revoked: NumberValue = UNSET
    rejected: NumberValue = UNSET
    timestamp: Annotated[NumberValue, Meta(description="Its newest event.")] = UNSET
    wait: Annotated[NumberValue, Meta(description="Seconds from being sent to being started.")] = UNSET
    runtime: NumberValue = UNSET
    retries: IntegerValue = UNSET
    args: TextValue = UNSET
    kwargs: TextValue = UNSET
    args_value: Annotated[Any, Meta(extra_json_schema={"type": ["array", "null"]})] = UNSET
    kwargs_value: Annotated[Any, Meta(extra_json_schema={"type": ["object", "null"]})] = UNSET
    result: TextValue = UNSET
    exception: TextValue = UNSET
    traceback: TextValue = UNSET
    failure: Annotated[TextValue, Meta(description="The id of the group of failures that it is in.")] = UNSET
    eta: TextValue = UNSET
    expires: TextValue = UNSET
    exchange: TextValue = UNSET
    routing_key: TextValue = UNSET
    priority: IntegerValue = UNSET
    client: TextValue = UNSET
    root_id: TextValue = UNSET
    parent_id: TextValue = UNSET
    children: Annotated[tuple[str, ...] | UnsetType, Meta(description="The tasks that it started.")] = UNSET
    pid: IntegerValue = UNSET
    clock: IntegerValue = UNSET
    attempts: Annotated[tuple[Attempt, ...] | UnsetType, Meta(description="All tries, the oldest first.")] = UNSET
    data: Annotated[
        dict[str, dict[str, Any]] | UnsetType | None,
        Meta(description="What custom events brought: event type, field, last value."),
    ] = UNSET


COLUMNS: tuple[str, ...] = TaskRow.__struct_fields__

#: What a list tells if nobody says what: all but what is long, rarely asked for or costs another look.
DEFAULT_COLUMNS: tuple[str, ...] = (
    "uuid", "name", "state", "worker", "queue", "sent", "received", "started", "timestamp", "wait", "runtime",
    "retries", "args", "kwargs", "result", "exception", "root_id", "parent_id",
)  # fmt: skip


#: What a worker's `argsrepr_maxsize` or `resultrepr_maxsize` may make as long as it likes.
TRUNCATED_COLUMNS: frozenset[str] = frozenset({"args", "kwargs", "result", "exception", "traceback"})
#: More characters than the store can hold in one text.
MAX_TEXT_LIMIT: Final = 2**31


def task_rows(
    reader: Reader,
    tasks: Sequence[Task],
    columns: Sequence[str] = DEFAULT_COLUMNS,
    text_limit: int = MAX_TEXT_LIMIT,
) -> tuple[TaskRow, ...]:
    """`text_limit` is how many characters of a `LONG` one are told. Raises Invalid for a column that there is not."""
    wanted = COLUMNS if "all" in columns else columns
    unknown = [name for name in wanted if name not in COLUMNS]
    if unknown:
        raise InvalidRequest(f"There is no column '{unknown[0]}'", hint=f"there are {', '.join(COLUMNS)}")
    children = reader.children([task.uuid for task in tasks]) if "children" in wanted else {}
    getters = [
        (name, _truncated_getter(name, text_limit) if name in TRUNCATED_COLUMNS else _GETTERS[name])
        for name in wanted
        if name not in ("uuid", "children")
    ]
    return tuple(_task_row(task, getters, children if "children" in wanted else None) for task in tasks)


def _task_row(
    task: Task, getters: Iterable[tuple[str, Callable[[Task], Any]]], children: Mapping[str, Sequence[str]] | None
) -> TaskRow:
    values = {name: get(task) for name, get in getters}
    if children is not None:
        values["children"] = tuple(children.get(task.uuid, ()))
    return TaskRow(uuid=task.uuid, **values)


def _parse_json_value(text: str | None, kind: type | tuple[type, ...]) -> msgspec.Raw | None:
    """The value that the text spells, as JSON; None if that is in doubt or JSON has no such thing."""
    if not isinstance(text, str):
        return None
    try:
        value = parse_literal_strict(text)
        # Numbers such as 1e999 have no JSON; texts with half a character have no UTF-8.
        return msgspec.Raw(msgspec.json.encode(value)) if isinstance(value, kind) else None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def _failure_id(task: Task) -> str | None:
    found = compute_fingerprint(task.exception, task.traceback)
    return None if found is None else found.id


def _attribute_getter(name: str) -> Callable[[Task], Any]:
    return lambda task: getattr(task, name)


def _truncated_getter(name: str, limit: int) -> Callable[[Task], str | None]:
    def value(task: Task) -> str | None:
        text: str | None = getattr(task, name)
        return text if text is None or len(text) <= limit else f"{text[:limit]}…"

    return value


_GETTERS: dict[str, Callable[[Task], Any]] = {
    **{name: _attribute_getter(name) for name in COLUMNS},
    "worker": _attribute_getter("hostname"),
    "args_value": lambda task: _parse_json_value(task.args, (list, tuple)),
    "kwargs_value": lambda task: _parse_json_value(task.kwargs, dict),
    "failure": _failure_id,
}
