"""The route type of the whole server: Flower's API, `/api/v1`, the pages and the static files."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from flower.access import Permission
from flower.api.context import Context
from flower.http.access_control import AccessRule

Endpoint: TypeAlias = Callable[[Request, Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """`permission` is required unless the access rule is `open`. A route with an `audit_action` is recorded in the
    audit log. GET includes HEAD."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    endpoint: Endpoint
    access: AccessRule
    permission: Permission = "view"
    #: "" for a route that changes nothing
    audit_action: str = ""
