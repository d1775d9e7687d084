"""What became of the tasks of a job, as lines: read and written a piece at a time."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from flower.api.exporter import encode_record, escape_csv_formula
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import JobItem

#: Tasks that are read, and become text, at a time.
_CHUNK_SIZE: Final = 1_000
JOB_ITEM_COLUMNS: Final = JobItem.__struct_fields__


def iter_job_items(ledger: Ledger, job_id: str) -> Iterator[JobItem]:
    after = -1
    while items := ledger.jobs.items(job_id, after=after, limit=_CHUNK_SIZE):
        yield from items
        after = items[-1].index


def serialize_job_items(items: Iterable[JobItem], form: Literal["ndjson", "csv"]) -> Iterator[bytes]:
    if form == "csv":
        yield _format_csv_line(JOB_ITEM_COLUMNS)
    for item in items:
        yield (
            encode_record(item) + b"\n"
            if form == "ndjson"
            else _format_csv_line([escape_csv_formula(value) for value in to_job_item_row(item)])
        )


def to_job_item_row(item: JobItem) -> tuple[object, ...]:
    return msgspec.structs.astuple(item)


def _format_csv_line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(list(cells))
    return text.getvalue().encode("utf-8", "backslashreplace")
