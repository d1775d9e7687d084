"""`GET /api/v1/export`: all tasks of a query as a file, sent while it is read; memory does not grow with it.

`query`, `start`, `end`, `time`, `tz` as everywhere in `/api/v1`, `format` one of `exporting.FORMATS`, `columns` as
`columns.columns_named` takes them. An error before the first piece is an error answer; after it the connection breaks
off, so that half a file is not taken for a whole one.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.asking import WRITTEN, Window, nearest, query_of
from flower.api.columns import columns_named
from flower.api.context import Context
from flower.api.exporting import FORMATS, MEDIA_TYPES, Format, pieces
from flower.api.parameters import Parameters, parameters
from flower.api.reading import read_all
from flower.errors import Invalid

_KNOWN = ("query", "start", "end", "time", "tz", "format", "columns")


async def export(request: Request, context: Context) -> Response:
    asked = await parameters(request)
    form = _form(asked)
    columns = columns_named(asked.values["columns"]) if asked.text("columns") else None
    query = query_of(asked.text("query"), WRITTEN, **_window(asked))
    parts = pieces(context.store.tasks(query), form, columns)
    headers = {
        "content-type": MEDIA_TYPES[form],
        "content-disposition": f'attachment; filename="tasks-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{form}"',
    }
    if request.method == "HEAD":
        return Response(headers=headers)
    chunks = read_all(parts)
    first = await anext(chunks, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            if chunk:
                yield chunk

    return StreamingResponse(body(), headers=headers)


def _form(asked: Parameters) -> Format:
    unknown = [name for name in asked.values if name not in _KNOWN]
    if unknown:
        raise Invalid(f"There is no parameter '{unknown[0]}'", hint=nearest(unknown[0], _KNOWN))
    name = asked.text("format") or "ndjson"
    if name not in FORMATS:
        raise Invalid(f"There is no format '{name}'", hint=nearest(name, FORMATS))
    return cast(Format, name)


def _window(asked: Parameters) -> Window:
    given: dict[str, Any] = {name: asked.text(name) or None for name in ("start", "end", "time", "tz")}
    return cast(Window, given)
