"""Routes of `/api/v1` that need more than the store: who asks, the ledger, the cluster. Those that change something are
noted in the audit log under their `action`, by whoever mounts them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, Literal, TypeAlias, cast

import msgspec
from anyio import to_thread

from flower.access import Identity, Permission
from flower.api.context import Context
from flower.api.noting import Note
from flower.api.v1.streamed import Streamed

#: Under which heading a route is shown.
Group: TypeAlias = Literal["actions", "jobs", "workers", "queues", "access", "searches", "failures", "status"]


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Acting:
    """What an action is given beside what was asked."""

    context: Context
    identity: Identity
    #: what the entry in the audit log shall have beside what was asked: targets that were made, a message
    note: Note = field(default_factory=Note)


#: Given what acts, the parameters and the body (None where there is none).
Act: TypeAlias = Callable[[Acting, Any, Any], Awaitable[msgspec.Struct | Streamed]]


@dataclass(frozen=True, slots=True)
class Action:
    """`asked` holds the parameters of path and query string, `body` what is in the JSON body, `answers` the answer.
    `body_example` and `example` (the answer) are printed in the document, and are checked against their types. An
    action that gives a file has no `answers`; it names the `media_types` of what it gives as `Streamed`."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    group: Group
    summary: str
    permission: Permission
    asked: type[msgspec.Struct]
    body: type[msgspec.Struct] | None
    answers: type[msgspec.Struct] | None
    act: Act
    example: Mapping[str, Any]
    body_example: Mapping[str, Any] | None = None
    #: "" for what changes nothing
    action: str = ""
    media_types: tuple[str, ...] = ()

    @property
    def plain_path(self) -> str:
        return self.path.replace(":path}", "}")


def later(module: str, name: str) -> Act:
    """A function of a module that is imported when it is first asked: Celery takes long to import."""

    async def act(acting: Acting, asked: Any, body: Any) -> msgspec.Struct | Streamed:
        found = await to_thread.run_sync(partial(import_module, module))
        return await cast(Act, getattr(found, name))(acting, asked, body)

    return act
