"""`flower audit`."""

from collections.abc import Iterable
from datetime import UTC
from itertools import islice
from typing import Any

import click

from flower.api.audit_log import build_audit_filter, iter_audit_entries
from flower.api.json_encoder import dump_json
from flower.cli.action_base import open_store_ledger
from flower.cli.base import (
    QueryCommand,
    config_file_options,
    exit_if_empty,
    format_options,
    limit_option,
    selected_format,
    utc_option,
    window_options,
)
from flower.cli.table import OutputFormat, TableColumn, write_output, write_table
from flower.store.ledger.audit import AUDIT_OUTCOMES, AuditEntry

_AUDIT_COLUMNS = (
    TableColumn("created_at", "time", drop_order=0, min_width=19, title="created"),
    TableColumn("user", drop_order=0, min_width=8),
    TableColumn("action", drop_order=0, min_width=12),
    TableColumn("outcome", drop_order=0, min_width=7),
    TableColumn("targets", drop_order=1, min_width=16),
    TableColumn("message", drop_order=2, min_width=12),
    TableColumn("auth_method", drop_order=4, min_width=7, title="auth method"),
    TableColumn("address", drop_order=3, min_width=9),
    TableColumn("parameters", drop_order=5, min_width=12),
)


@click.command("audit", cls=QueryCommand)
@click.option("--user", default="", metavar="USER", help="Filter by user.")
@click.option(
    "--action",
    default="",
    metavar="NAME",
    help="Filter by action, e.g. task.revoke; task matches all actions that start with task.",
)
@click.option("--target", default="", metavar="ID", help="Filter by task, worker or queue.")
@click.option("--outcome", type=click.Choice(AUDIT_OUTCOMES), help="Filter by outcome.")
@click.option("--address", default="", metavar="IP", help="Filter by IP address.")
@window_options("Only entries since then: 24h, 7d, today, 2026-11-22T10:15.", "Only entries until then.")
@limit_option(100, "Maximum number of entries.")
@click.option("--all", "everything", is_flag=True, help="List all entries; ignores --limit.")
@utc_option
@format_options
@config_file_options
def audit(
    *,
    limit: int,
    everything: bool,
    utc: bool,
    output_formats: tuple[OutputFormat, ...],
    db: str | None,
    conf: str | None,
    **filters: Any,
) -> None:
    """Show the audit log, newest entries first."""
    output_format = selected_format(output_formats)
    with open_store_ledger(db, conf) as (ledger, _):
        entries = iter_audit_entries(
            ledger.audit, build_audit_filter(**{**filters, "outcome": filters["outcome"] or ""})
        )
        shown = entries if everything else islice(entries, limit)
        if output_format == "ndjson":
            exit_if_empty(_write_entries(shown))
        else:
            exit_if_empty(write_table(_AUDIT_COLUMNS, map(_row, shown), output_format, zone=UTC if utc else None))


def _write_entries(entries: Iterable[AuditEntry]) -> int:
    count = 0
    for entry in entries:
        write_output(dump_json(entry) + b"\n", "ndjson")
        count += 1
    return count


def _row(entry: AuditEntry) -> list[Any]:
    further = entry.target_count - len(entry.targets[:3])
    targets = ", ".join(entry.targets[:3]) + (f" and {further:,} more" if further else "")
    user = entry.user or "anonymous"
    return [
        entry.created_at,
        f"{user} (token {entry.token})" if entry.token else user,
        entry.action,
        entry.outcome,
        targets,
        entry.message,
        entry.auth_method,
        entry.address,
        dict(entry.parameters) or None,
    ]
