"""Server-rendered HTML: the template environment, error pages and the login. They need no JavaScript."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.web.assets import current_assets

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE_DIRECTORY = Path(__file__).parent / "templates"

#: Maximum characters of a text on a page.
MAX_TEXT_LENGTH = 64 * 1024

#: Characters that are invisible or change the order of the text around them.
_INVISIBLE_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def error_page(request: Request, status: int, message: str, details: str = "") -> Response:
    context: Context = request.app.state.context
    return render_page(context, "error.html", status, {"status": status, "message": message, "details": details})


def render_page(context: Context, template: str, status: int, values: Mapping[str, Any]) -> Response:
    """A page with the application's header and style sheets."""
    assets = current_assets(context)
    frame = {"root": context.root_path, "file": lambda name: assets.url(context.root_path, name)}
    return html_response(template, status, {**frame, **values})


def html_response(template: str, status: int, values: Mapping[str, Any]) -> Response:
    return Response(render_template(template, values), status, headers={"content-type": "text/html; charset=UTF-8"})


def render_template(template: str, values: Mapping[str, Any]) -> bytes:
    """Render a template of this package; all values are HTML-escaped."""
    return _environment().get_template(template).render(values).encode("utf-8", "backslashreplace")


def load_templates() -> None:
    """Compile the templates. They are compiled on first use otherwise."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only when a page is rendered

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = escape_invisible
    return environment


def escape_invisible(value: Any) -> str:
    """The text with invisible characters escaped, truncated to the maximum length."""
    text = str(value)
    rest = len(text) - MAX_TEXT_LENGTH
    truncated = f"{text[:MAX_TEXT_LENGTH]}\n… and {rest:,} more characters" if rest > 0 else text
    return _INVISIBLE_CHARACTERS.sub(lambda match: match[0].encode("unicode_escape").decode(), truncated)
