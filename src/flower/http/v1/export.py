"""All tasks of a query as a file, sent while it is read: memory does not grow with it."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from flower.api.columns import get_columns
from flower.api.exporter import EXPORT_MEDIA_TYPES, ExportFormat, serialize_tasks
from flower.api.query_params import WRITTEN_ORDER, build_query
from flower.http.v1.params import QueryParams
from flower.http.v1.streaming_body import StreamingBody
from flower.store.protocols import Reader


class ExportParams(QueryParams, frozen=True, kw_only=True):
    format: Annotated[
        ExportFormat,
        Meta(
            description="`ndjson` and `parquet` of whole records can be imported again; `csv` is for spreadsheets.",
            examples=["ndjson"],
        ),
    ] = "ndjson"
    columns: Annotated[
        tuple[str, ...],
        Meta(
            description="Fields of the record, `worker`, `wait`, `attempts`, `failure`, or values inside arguments "
            "such as `kwargs.order_id`. Default: whole records.",
            examples=["uuid,name,runtime"],
        ),
    ] = ()


def export_tasks(store: Reader, asked: ExportParams) -> StreamingBody:
    columns = get_columns(asked.columns) if asked.columns else None
    tasks = store.tasks(build_query(asked.query, WRITTEN_ORDER, **asked.window()))
    name = f"tasks-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{asked.format}"
    return StreamingBody(
        EXPORT_MEDIA_TYPES[asked.format],
        serialize_tasks(tasks, asked.format, columns),
        {"content-disposition": f'attachment; filename="{name}"'},
    )
