"""Results of actions, and the dependencies of all actions."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.redaction import Redactor
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from celery import Celery


@dataclass(frozen=True, slots=True)
class ActionContext:
    """The recorded tasks, the Celery application, the ledger for links and jobs (None: they are not recorded), and the
    redactor for arguments in results."""

    store: Reader
    app: "Celery"
    ledger: Ledger | None = None
    redactor: Redactor = field(default_factory=Redactor)


class SentTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was sent; in a dry run `task` is null and `args` and `kwargs` contain what would be sent.

    `args_from` and `kwargs_from` are the source of the arguments: `given` in the request, `result_backend`, `worker`,
    or the text of an `event`. If `queue`, `exchange`, `routing_key` or `priority` is null, the routing of the
    application decides; options of the original task that are not known are listed in `unknown_options`. `workflow` is
    the id of the root of the workflow that the original belongs to: its later steps (chain, chord, callbacks) are not
    sent again."""

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
    workflow: str | None = None


class WorkerReplies(msgspec.Struct, frozen=True, kw_only=True):
    """`replies`: the reply of each worker. The effect on the task appears in its state."""

    task: str
    message: str
    replies: dict[str, str] = {}


class TaskParameter(msgspec.Struct, frozen=True):
    """`kind` is that of Python: positional_only, positional_or_keyword, var_positional, keyword_only or var_keyword;
    `default` and `annotation` are Python source text."""

    name: str
    kind: str
    required: bool
    default: str | None = None
    annotation: str | None = None


class RegisteredTask(msgspec.Struct, frozen=True, kw_only=True):
    """`local`: the task is registered in the web server as well, so that its `signature` is known, such as
    `(order, amount=1)`. `workers`: the workers on which it is registered."""

    name: str
    local: bool
    workers: tuple[str, ...] = ()
    signature: str | None = None
    parameters: tuple[TaskParameter, ...] | None = None
    abortable: bool | None = None
    doc: str | None = None


class RegisteredTasks(msgspec.Struct, frozen=True):
    """`queried_workers`: the workers that replied; a task may be registered on other workers, too."""

    tasks: tuple[RegisteredTask, ...]
    queried_workers: tuple[str, ...]
