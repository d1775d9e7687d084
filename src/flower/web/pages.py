"""Pages that the server draws by itself: those of errors and of the login. They work without any script."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.web.assets import current_assets
from flower.web.templates import render_template


def error_page(request: Request, status: int, message: str, details: str = "") -> Response:
    context: Context = request.app.state.context
    return render_page(context, "error.html", status, {"status": status, "message": message, "details": details})


def render_page(context: Context, template: str, status: int, values: Mapping[str, Any]) -> Response:
    """In the look of the others."""
    known = current_assets(context)
    frame = {"root": context.root_path, "file": lambda name: known.url(context.root_path, name)}
    return html_response(template, status, {**frame, **values})


def html_response(template: str, status: int, values: Mapping[str, Any]) -> Response:
    return Response(render_template(template, values), status, headers={"content-type": "text/html; charset=UTF-8"})
