"""What actions answer. Nothing here needs Celery: the document of the API is made of these.

What actions are done with."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.redaction import Redactor
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from celery import Celery


class SentTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was sent, or would be: then `task` is null and `args` and `kwargs` tell with what.

    `args_from` and `kwargs_from` say where they were found: `given` by you, in the `result backend`, at the `worker`,
    or in the text of an `event`. Null among `queue`, `exchange`, `routing_key` and `priority` leaves it to the
    application's own routing; what of the origin nobody could tell is named in `unknown`."""

    task: str | None
    name: str
    origin: str | None = None
    args_from: str = "given"
    kwargs_from: str = "given"
    args: Annotated[Any, Meta(extra_json_schema={"type": "array"})] = UNSET
    kwargs: Annotated[Any, Meta(extra_json_schema={"type": "object"})] = UNSET
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    headers: dict[str, Any] | UnsetType = UNSET
    unknown_options: tuple[str, ...] = ()


class WorkerReplies(msgspec.Struct, frozen=True, kw_only=True):
    """What the workers said, each in its own words; their deeds are seen in the task's state."""

    task: str
    message: str
    replies: dict[str, str] = {}


class TaskParameter(msgspec.Struct, frozen=True):
    """`kind` is Python's: positional_only, positional_or_keyword, var_positional, keyword_only or var_keyword;
    `default` and `annotation` are texts of Python."""

    name: str
    kind: str
    required: bool
    default: str | None = None
    annotation: str | None = None


class RegisteredTask(msgspec.Struct, frozen=True, kw_only=True):
    """`here`: the web server has it, too, and so knows its `signature` (such as `(order, amount=1)`). `workers` are
    those that have it."""

    name: str
    local: bool
    workers: tuple[str, ...] = ()
    signature: str | None = None
    parameters: tuple[TaskParameter, ...] | None = None
    abortable: bool | None = None
    doc: str | None = None


class RegisteredTasks(msgspec.Struct, frozen=True):
    """`asked` are the workers that answered; a task may be at others, too."""

    tasks: tuple[RegisteredTask, ...]
    queried_workers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActionContext:
    """The records, the application, the ledger where it is noted (None: nowhere), and the rules of what is masked."""

    store: Reader
    app: "Celery"
    ledger: Ledger | None = None
    redactor: Redactor = field(default_factory=Redactor)
