"""Export of the results of a bulk job, in chunks."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from flower.api.csv_format import escape_csv_formula, format_csv_lines
from flower.api.json_encoder import dump_json
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import JobItem

#: Items that are read at a time.
_CHUNK_SIZE: Final = 1_000
JOB_ITEM_COLUMNS: Final = JobItem.__struct_fields__


def iter_job_items(ledger: Ledger, job_id: str) -> Iterator[JobItem]:
    after = -1
    while items := ledger.jobs.items(job_id, after=after, limit=_CHUNK_SIZE):
        yield from items
        after = items[-1].index


def serialize_job_items(items: Iterable[JobItem], form: Literal["ndjson", "csv"]) -> Iterator[bytes]:
    """The lines of an export; in CSV no cell is a formula."""
    if form == "csv":
        yield format_csv_lines([JOB_ITEM_COLUMNS])
    for item in items:
        if form == "csv":
            yield format_csv_lines([[escape_csv_formula(value) for value in to_job_item_row(item)]])
        else:
            yield dump_json(item) + b"\n"


def to_job_item_row(item: JobItem) -> tuple[object, ...]:
    """The values of `JOB_ITEM_COLUMNS`."""
    return msgspec.structs.astuple(item)
