"""Reading and exporting the audit log, for HTTP and command line."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from flower.api.csv_format import escape_csv_formula, format_csv_lines
from flower.api.json_encoder import dump_json
from flower.api.query_params import parse_time_bound
from flower.errors import InvalidRequest
from flower.store.ledger.audit import AUDIT_OUTCOMES, Audit, AuditEntry, AuditFilter

AuditExportFormat: TypeAlias = Literal["ndjson", "csv"]

AUDIT_MEDIA_TYPES: Final = {"ndjson": "application/x-ndjson; charset=UTF-8", "csv": "text/csv; charset=UTF-8"}

AUDIT_COLUMNS: Final = AuditEntry.__struct_fields__

#: Entries that are read at a time.
_PAGE_SIZE: Final = 500


def build_audit_filter(
    *,
    user: str = "",
    action: str = "",
    target: str = "",
    outcome: str = "",
    address: str = "",
    start: str | None = None,
    end: str | None = None,
) -> AuditFilter:
    """A filter from the texts of a request; "" is no condition. Raises InvalidRequest."""
    if outcome and outcome not in AUDIT_OUTCOMES:
        raise InvalidRequest(f"Unknown outcome '{outcome}'", hint=f"one of {', '.join(AUDIT_OUTCOMES)}")
    return AuditFilter(
        user=user or None,
        action=action or None,
        target=target or None,
        outcome=outcome or None,
        address=address or None,
        start=parse_time_bound(start, "start"),
        end=parse_time_bound(end, "end"),
    )


def get_audit_page(
    audit: Audit, filters: AuditFilter, *, limit: int, cursor: str = ""
) -> tuple[list[AuditEntry], str | None]:
    """Entries, newest first, and the cursor of the next page (None on the last page). Raises InvalidRequest for an
    invalid cursor."""
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise InvalidRequest("Invalid cursor", hint="omit it to get the first page")
    entries = audit.entries(filters, limit=limit + 1, before=int(cursor) if cursor else None)
    page = entries[:limit]
    return page, str(page[-1].id) if len(entries) > limit else None


def iter_audit_entries(audit: Audit, filters: AuditFilter, limit: int | None = None) -> Iterator[AuditEntry]:
    """Entries, newest first, read page by page."""
    before: int | None = None
    remaining = limit
    while remaining is None or remaining > 0:
        size = _PAGE_SIZE if remaining is None else min(_PAGE_SIZE, remaining)
        entries = audit.entries(filters, limit=size, before=before)
        yield from entries
        if len(entries) < _PAGE_SIZE:
            return
        before = entries[-1].id
        remaining = None if remaining is None else remaining - len(entries)


def serialize_audit_entries(entries: Iterator[AuditEntry], form: AuditExportFormat) -> Iterator[bytes]:
    """The lines of an export; in CSV no cell is a formula."""
    if form == "csv":
        yield format_csv_lines([AUDIT_COLUMNS])
    for entry in entries:
        if form == "csv":
            yield format_csv_lines([[escape_csv_formula(value) for value in msgspec.structs.astuple(entry)]])
        else:
            yield dump_json(entry) + b"\n"
