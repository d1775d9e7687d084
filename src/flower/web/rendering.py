"""Values of a record as people read them.

The templates of the pages beside this file. Everything that goes into one is escaped.

Pages that the server draws by itself: those of errors and of the login. They work without any script."""

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

#: Characters of a text that a page shows.
MAX_TEXT_LENGTH = 64 * 1024

#: What does not show, or makes the text around it show in another order.
_INVISIBLE_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def escape_invisible(value: Any) -> str:
    """The text, with characters that do not show written as escapes, cut where it gets too long for a page."""
    text = str(value)
    rest = len(text) - MAX_TEXT_LENGTH
    cut = f"{text[:MAX_TEXT_LENGTH]}\n… and {rest:,} more characters" if rest > 0 else text
    return _INVISIBLE_CHARACTERS.sub(lambda found: found[0].encode("unicode_escape").decode(), cut)


TEMPLATE_DIRECTORY = Path(__file__).parent


def render_template(template: str, given: Mapping[str, Any]) -> bytes:
    return _environment().get_template(template).render(given).encode("utf-8", "backslashreplace")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - not before the first page

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = escape_invisible
    return environment


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
