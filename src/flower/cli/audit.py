"""`flower audit`."""

from collections.abc import Iterable
from datetime import UTC
from itertools import islice
from typing import Any

import click

from flower.api.audit_log import build_audit_filter, iter_audit_entries
from flower.api.json_encoder import dump_json
from flower.cli.action_base import LedgerCommand, ledger_options, open_store_ledger
from flower.cli.base import exit_if_empty, format_options, selected_format
from flower.cli.table import OutputFormat, TableColumn, write_output, write_table
from flower.store.ledger.audit import AUDIT_OUTCOMES, AuditEntry

_AUDIT_COLUMNS = (
    TableColumn("at", "time", drop_order=0, min_width=19),
    TableColumn("who", drop_order=0, min_width=8),
    TableColumn("action", drop_order=0, min_width=12),
    TableColumn("outcome", drop_order=0, min_width=7),
    TableColumn("targets", drop_order=1, min_width=16),
    TableColumn("message", drop_order=2, min_width=12),
    TableColumn("way", drop_order=4, min_width=7),
    TableColumn("address", drop_order=3, min_width=9),
    TableColumn("parameters", drop_order=5, min_width=12),
)


@click.command("audit", cls=LedgerCommand)
@click.option("--who", default="", metavar="USER", help="Only what this person did.")
@click.option("--action", default="", metavar="NAME", help="Only this action; `task` is all that begin with `task.`.")
@click.option("--target", default="", metavar="ID", help="Only what was done to this task, worker or queue.")
@click.option("--outcome", type=click.Choice(AUDIT_OUTCOMES), help="Only with this outcome.")
@click.option("--address", default="", metavar="IP", help="Only from this address.")
@click.option("--from", "start", metavar="TIME", help="Since then: -1h, today, 2026-11-22, 2026-11-22T10:15.")
@click.option("--to", "end", metavar="TIME", help="Until then.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Entries.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@format_options
@ledger_options
def audit(
    *,
    limit: int,
    everything: bool,
    utc: bool,
    forms: tuple[OutputFormat, ...],
    db: str | None,
    conf: str | None,
    **sought: Any,
) -> None:
    """Who did what, when, and what became of it, newest first."""
    form = selected_format(forms)
    with open_store_ledger(db, conf) as (ledger, _):
        entries = iter_audit_entries(ledger.audit, build_audit_filter(**{**sought, "outcome": sought["outcome"] or ""}))
        shown = entries if everything else islice(entries, limit)
        if form == "ndjson":
            exit_if_empty(_write_entries(shown))
        else:
            exit_if_empty(write_table(_AUDIT_COLUMNS, map(_row, shown), form, zone=UTC if utc else None))


def _write_entries(entries: Iterable[AuditEntry]) -> int:
    count = 0
    for entry in entries:
        write_output(dump_json(entry) + b"\n", "ndjson")
        count += 1
    return count


def _row(entry: AuditEntry) -> list[Any]:
    more = entry.target_count - len(entry.targets[:3])
    targets = ", ".join(entry.targets[:3]) + (f" and {more:,} more" if more else "")
    who = entry.user or "anybody"
    return [
        entry.created_at,
        f"{who} (token {entry.token})" if entry.token else who,
        entry.action,
        entry.outcome,
        targets,
        entry.message,
        entry.auth_method,
        entry.address,
        dict(entry.parameters) or None,
    ]
