"""The audit log for whoever asks: HTTP and command line."""

import csv
import io
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from flower.api.exporter import encode_record, escape_csv_formula
from flower.api.query_params import parse_time_bound
from flower.errors import InvalidRequest
from flower.store.ledger.audit import AUDIT_OUTCOMES, Audit, AuditEntry, AuditFilter

AuditExportFormat: TypeAlias = Literal["ndjson", "csv"]

#: What each form is called on the wire.
AUDIT_MEDIA_TYPES: Final = {"ndjson": "application/x-ndjson; charset=UTF-8", "csv": "text/csv; charset=UTF-8"}

AUDIT_COLUMNS: Final = AuditEntry.__struct_fields__

#: Entries that are read at once.
_PAGE_SIZE: Final = 500


def build_audit_filter(
    *,
    who: str = "",
    action: str = "",
    target: str = "",
    outcome: str = "",
    address: str = "",
    start: str | None = None,
    end: str | None = None,
) -> AuditFilter:
    """Of texts, as people give them; what is empty is not asked. Raises Invalid."""
    if outcome and outcome not in AUDIT_OUTCOMES:
        raise InvalidRequest(f"There is no outcome '{outcome}'", hint=f"one of {', '.join(AUDIT_OUTCOMES)}")
    given = outcome or None
    return AuditFilter(
        user=who or None,
        action=action or None,
        target=target or None,
        outcome=given,
        address=address or None,
        start=parse_time_bound(start or None, "start", None, None),
        end=parse_time_bound(end or None, "end", None, None),
    )


def get_audit_page(
    audit: Audit, asked: AuditFilter, *, limit: int, cursor: str = ""
) -> tuple[list[AuditEntry], str | None]:
    """Newest first, and the cursor of the next page, if there is one. Raises Invalid for what is no cursor."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise InvalidRequest("This is not a cursor", hint="leave it out to get the first page")
    found = audit.entries(asked, limit=limit + 1, before=int(cursor) if cursor else None)
    shown = found[:limit]
    return shown, str(shown[-1].id) if len(found) > limit else None


def iter_audit_entries(audit: Audit, asked: AuditFilter, limit: int | None = None) -> Iterator[AuditEntry]:
    """Newest first, read a page at a time."""
    before: int | None = None
    left = limit
    while left is None or left > 0:
        found = audit.entries(asked, limit=_PAGE_SIZE if left is None else min(_PAGE_SIZE, left), before=before)
        yield from found
        if len(found) < _PAGE_SIZE:
            return
        before = found[-1].id
        left = None if left is None else left - len(found)


def serialize_audit_entries(entries: Iterator[AuditEntry], form: AuditExportFormat) -> Iterator[bytes]:
    """NDJSON, or CSV in which no cell is a formula."""
    if form == "csv":
        yield _format_csv_line(AUDIT_COLUMNS)
    for entry in entries:
        if form == "csv":
            yield _format_csv_line([escape_csv_formula(value) for value in msgspec.structs.astuple(entry)])
        else:
            yield encode_record(entry) + b"\n"


def _format_csv_line(cells: tuple[str, ...] | list[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
