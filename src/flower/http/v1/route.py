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
from flower.http.audit_middleware import AuditNote
from flower.http.v1.streaming_body import StreamingBody

#: Under which heading a route is shown.
Tag: TypeAlias = Literal["actions", "jobs", "workers", "queues", "access", "searches", "failures", "status"]


class NoParams(msgspec.Struct, frozen=True):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What an action is given beside what was asked."""

    server: Context
    identity: Identity
    #: what the entry in the audit log shall have beside what was asked: targets that were made, a message
    audit_note: AuditNote = field(default_factory=AuditNote)


#: Given what acts, the parameters and the body (None where there is none).
Handler: TypeAlias = Callable[[RequestContext, Any, Any], Awaitable[msgspec.Struct | StreamingBody]]


@dataclass(frozen=True, slots=True)
class ActionRoute:
    """`asked` holds the parameters of path and query string, `body` what is in the JSON body, `answers` the answer.
    `body_example` and `example` (the answer) are printed in the document, and are checked against their types. An
    action that gives a file has no `answers`; it names the `media_types` of what it gives as `Streamed`."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    tag: Tag
    summary: str
    permission: Permission
    params: type[msgspec.Struct]
    body: type[msgspec.Struct] | None
    response: type[msgspec.Struct] | None
    handler: Handler
    example: Mapping[str, Any]
    body_example: Mapping[str, Any] | None = None
    #: "" for what changes nothing
    audit_action: str = ""
    media_types: tuple[str, ...] = ()

    @property
    def plain_path(self) -> str:
        return self.path.replace(":path}", "}")


def lazy_handler(module: str, function: str) -> Handler:
    """A function of a module that is imported when it is first asked: Celery takes long to import."""

    async def act(acting: RequestContext, asked: Any, body: Any) -> msgspec.Struct | StreamingBody:
        found = await to_thread.run_sync(partial(import_module, module))
        return await cast(Handler, getattr(found, function))(acting, asked, body)

    return act
