"""The audit log for whoever asks: HTTP and command line."""

import csv
import io
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from flower.api.asking import bound
from flower.api.exporting import encode, harmless
from flower.errors import Invalid
from flower.store.ledger.audit import OUTCOMES, Audit, Entry, Wanted

Form: TypeAlias = Literal["ndjson", "csv"]

#: What each form is called on the wire.
MEDIA: Final = {"ndjson": "application/x-ndjson; charset=UTF-8", "csv": "text/csv; charset=UTF-8"}

COLUMNS: Final = Entry.__struct_fields__

#: Entries that are read at once.
_PAGE: Final = 500


def wanted(
    *,
    who: str = "",
    action: str = "",
    target: str = "",
    outcome: str = "",
    address: str = "",
    start: str | None = None,
    end: str | None = None,
) -> Wanted:
    """Of texts, as people give them; what is empty is not asked. Raises Invalid."""
    if outcome and outcome not in OUTCOMES:
        raise Invalid(f"There is no outcome '{outcome}'", hint=f"one of {', '.join(OUTCOMES)}")
    given = outcome or None
    return Wanted(
        who=who or None,
        action=action or None,
        target=target or None,
        outcome=given,
        address=address or None,
        start=bound(start or None, "start", None, None),
        end=bound(end or None, "end", None, None),
    )


def page(audit: Audit, asked: Wanted, *, limit: int, cursor: str = "") -> tuple[list[Entry], str | None]:
    """Newest first, and the cursor of the next page, if there is one. Raises Invalid for what is no cursor."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise Invalid("This is not a cursor", hint="leave it out to get the first page")
    found = audit.entries(asked, limit=limit + 1, before=int(cursor) if cursor else None)
    shown = found[:limit]
    return shown, str(shown[-1].id) if len(found) > limit else None


def every(audit: Audit, asked: Wanted, most: int | None = None) -> Iterator[Entry]:
    """Newest first, read a page at a time."""
    before: int | None = None
    left = most
    while left is None or left > 0:
        found = audit.entries(asked, limit=_PAGE if left is None else min(_PAGE, left), before=before)
        yield from found
        if len(found) < _PAGE:
            return
        before = found[-1].id
        left = None if left is None else left - len(found)


def pieces(entries: Iterator[Entry], form: Form) -> Iterator[bytes]:
    """NDJSON, or CSV in which no cell is a formula."""
    if form == "csv":
        yield _line(COLUMNS)
    for entry in entries:
        if form == "csv":
            yield _line([harmless(value) for value in msgspec.structs.astuple(entry)])
        else:
            yield encode(entry) + b"\n"


def _line(cells: tuple[str, ...] | list[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
