"""Route /export: all tasks of a query as a file, read and sent in chunks."""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta

from flower.api.columns import get_columns
from flower.api.exporter import EXPORT_MEDIA_TYPES, ExportFormat, serialize_tasks
from flower.api.query_params import WRITTEN_ORDER, build_query
from flower.http.v1.params import QueryParams
from flower.http.v1.route import RequestContext, Route, StreamingBody

#: Response header of an export from which tasks are missing, with the reason.
PARTIAL_RESULT_HEADER: Final = "x-partial-result"


class ExportParams(QueryParams, frozen=True, kw_only=True):
    format: Annotated[
        ExportFormat,
        Meta(
            description="`ndjson` and `parquet` files of complete records can be imported; `csv` is for spreadsheets.",
            examples=["ndjson"],
        ),
    ] = "ndjson"
    columns: Annotated[
        tuple[str, ...],
        Meta(
            description="Fields of the record, `worker`, `wait`, `attempts`, `failure`, or key paths such as "
            "`kwargs.order_id`. Default: whole records.",
            examples=["uuid,name,runtime"],
        ),
    ] = ()


def export_tasks(ctx: RequestContext, params: ExportParams, body: None) -> StreamingBody:
    columns = get_columns(params.columns) if params.columns else None
    query = build_query(params.query, WRITTEN_ORDER, **params.window())
    # Known before the body is sent. If other tasks turn out to be unreadable, the connection is closed without an end.
    missing = ctx.store.explain_missing(query.where)
    partial_headers = {} if missing is None else {PARTIAL_RESULT_HEADER: missing}
    tasks = ctx.store.tasks(query, strict=True)
    name = f"tasks-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{params.format}"
    return StreamingBody(
        EXPORT_MEDIA_TYPES[params.format],
        serialize_tasks(tasks, params.format, columns),
        {"content-disposition": f'attachment; filename="{name}"', **partial_headers},
    )


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/export", "exportTasks", "tasks", "Export all tasks of a query", export_tasks,
        params=ExportParams, media_types=tuple(EXPORT_MEDIA_TYPES.values()),
        example="export?query=state:FAILURE&format=csv&columns=uuid,name,exception",
    ),
)  # fmt: skip
