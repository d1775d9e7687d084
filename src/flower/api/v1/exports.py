"""All tasks of a query as a file, sent while it is read: memory does not grow with it."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from flower.api.asking import WRITTEN, query_of
from flower.api.columns import columns_named
from flower.api.exporting import MEDIA_TYPES, Format, pieces
from flower.api.v1.asked import Found
from flower.api.v1.streamed import Streamed
from flower.store.port import Reader


class Exported(Found, frozen=True, kw_only=True):
    format: Annotated[
        Format,
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


def export(store: Reader, asked: Exported) -> Streamed:
    columns = columns_named(asked.columns) if asked.columns else None
    tasks = store.tasks(query_of(asked.query, WRITTEN, **asked.window()))
    name = f"tasks-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{asked.format}"
    return Streamed(
        MEDIA_TYPES[asked.format],
        pieces(tasks, asked.format, columns),
        {"content-disposition": f'attachment; filename="{name}"'},
    )
