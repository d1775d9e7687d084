"""Pages that the server draws by itself: those of errors and of the login. They work without any script."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.web.assets import current
from flower.web.templates import render


def error_page(request: Request, status: int, message: str, details: str = "") -> Response:
    context: Context = request.app.state.context
    return plain_page(context, "error.html", status, {"status": status, "message": message, "details": details})


def plain_page(context: Context, template: str, status: int, values: Mapping[str, Any]) -> Response:
    """In the look of the others."""
    known = current(context)
    frame = {"root": context.root, "file": lambda name: known.address(context.root, name)}
    return html(template, status, {**frame, **values})


def html(template: str, status: int, values: Mapping[str, Any]) -> Response:
    return Response(render(template, values), status, headers={"content-type": "text/html; charset=UTF-8"})
