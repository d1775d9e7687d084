"""The templates of the pages beside this file. Everything that goes into one is escaped."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flower.web.values import escape_invisible

if TYPE_CHECKING:
    from jinja2 import Environment

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
