"""What became of the tasks of a job, as lines: read and written a piece at a time."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from flower.api.exporting import encode, harmless
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Item

#: Tasks that are read, and become text, at a time.
_CHUNK: Final = 1_000
COLUMNS: Final = Item.__struct_fields__


def all_items(ledger: Ledger, job_id: str) -> Iterator[Item]:
    after = -1
    while items := ledger.jobs.items(job_id, after=after, limit=_CHUNK):
        yield from items
        after = items[-1].place


def job_pieces(items: Iterable[Item], form: Literal["ndjson", "csv"]) -> Iterator[bytes]:
    if form == "csv":
        yield _line(COLUMNS)
    for item in items:
        yield encode(item) + b"\n" if form == "ndjson" else _line([harmless(value) for value in row(item)])


def row(item: Item) -> tuple[object, ...]:
    return msgspec.structs.astuple(item)


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(list(cells))
    return text.getvalue().encode("utf-8", "backslashreplace")
