"""The templates of the pages beside this file. Everything that goes into one is escaped."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flower.web import values

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STYLE = FOLDER.parent / "static" / "flower.css"

#: Times of a task; shown as such.
TIMES = frozenset(
    {"timestamp", "sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected", "ended"}
)


def render(template: str, given: Mapping[str, Any]) -> bytes:
    return _environment().get_template(template).render(given).encode("utf-8", "backslashreplace")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - not before the first page

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": values.visible,
        "duration": values.duration,
        "ago": values.ago,
        "clock": values.clock,
        "iso": values.iso,
        "path": lambda text: quote(str(text), safe="", errors="replace"),
    }
    environment.globals |= {
        "zone": values.zone,
        "times": TIMES,
        "style_version": sha256(STYLE.read_bytes()).hexdigest()[:10],
    }
    return environment
