"""The route type of `/api/v1`, and what a handler receives and returns."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from flower.access import Identity, Permission
from flower.api.context import Context
from flower.http.audit_middleware import AuditNote
from flower.store.protocols import Reader

PREFIX = "/api/v1"

#: Sections of the document, in its order.
Tag: TypeAlias = Literal[
    "tasks", "statistics", "workflows", "workers", "queues", "jobs", "failures", "gaps", "search", "saved searches",
    "system", "stream", "access",
]  # fmt: skip


class NoParams(msgspec.Struct, frozen=True):
    """A route without parameters."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a handler needs besides parameters and body: the server, the user and the audit entry of the request."""

    server: Context
    identity: Identity
    audit_note: AuditNote = field(default_factory=AuditNote)
    #: None where a handler makes an example for the document
    request: Request | None = None

    @property
    def store(self) -> Reader:
        return self.server.store


@dataclass(frozen=True, slots=True)
class StreamingBody:
    """A response that is too large for memory, as chunks that are read in worker threads.

    An error before the first chunk becomes an error response. After it the connection is closed, so that a client does
    not take half a file for a complete one."""

    media_type: str
    chunks: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


HandlerResult: TypeAlias = msgspec.Struct | StreamingBody | Response
#: Called with the context, the parameters and the body (None where there is none). A plain function runs in a worker
#: thread, a coroutine function in the event loop.
Handler: TypeAlias = Callable[[RequestContext, Any, Any], HandlerResult | Awaitable[HandlerResult]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API. The server mounts it; the OpenAPI document and docs/api.md are generated from it.

    `params` are the parameters of path and query string, `body` is the JSON body, `response` the JSON response. A route
    that returns a file has `media_types` instead of a `response`; a stream also has its `events`. The last element of a
    path may contain slashes if it is written `{name:path}`.

    `example` is a request that is answered from the example store, or the response itself. It is checked against
    `response`, as is `body_example` against `body`."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    name: str
    tag: Tag
    summary: str
    handler: Handler
    params: type[msgspec.Struct] = NoParams
    body: type[msgspec.Struct] | None = None
    response: type[msgspec.Struct] | None = None
    permission: Permission = "view"
    #: the name in the audit log; "" for a route that changes nothing
    audit_action: str = ""
    example: str | Mapping[str, Any] = ""
    body_example: Mapping[str, Any] | None = None
    media_types: tuple[str, ...] = ()
    #: schemas of the events of a stream, by name
    events: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)

    @property
    def plain_path(self) -> str:
        """The path in OpenAPI's notation."""
        return self.path.replace(":path}", "}")
