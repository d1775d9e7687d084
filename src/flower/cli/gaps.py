"""`flower gaps`."""

from typing import Any

import click

from flower.api.gaps import GapRow, load_gaps
from flower.api.json_encoder import dump_json
from flower.api.query_params import parse_time_bound
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    format_options,
    query_command,
    selected_format,
    utc_option,
    window_options,
)
from flower.cli.table import OutputFormat, TableColumn, write_output, write_table

_COLUMNS = (
    TableColumn("started_at", "time", drop_order=0, min_width=19, title="started"),
    TableColumn("ended_at", "time", drop_order=0, min_width=19, title="ended"),
    TableColumn("cause", drop_order=0, min_width=18),
    TableColumn("worker", drop_order=2, min_width=16),
    TableColumn("dismissed_by", drop_order=3, min_width=12, title="dismissed by"),
    TableColumn("reason", drop_order=1, min_width=20),
    TableColumn("gap", drop_order=4, min_width=16),
)


@query_command("gaps")
@window_options("Only gaps that end after this time: 24h, today, 2026-11-22.", "Only gaps that start before this time.")
@click.option("--worker", metavar="NAME", help="Only gaps that concern the events of this worker.")
@click.option("--all", "show_all", is_flag=True, help="Include dismissed gaps.")
@utc_option
@format_options
def gaps(ctx: CommandContext, *, worker: str | None, show_all: bool, output_formats: tuple[OutputFormat, ...]) -> None:
    """List gaps: intervals in which events may have been missed, oldest first, with the cause."""
    output_format = selected_format(output_formats)
    window = ctx.window
    rows = load_gaps(
        ctx.store,
        ctx.ledger,
        start=parse_time_bound(window.get("start"), "start", ctx.zone),
        end=parse_time_bound(window.get("end"), "end", ctx.zone),
        dismissed="any" if show_all else "no",
        worker=worker,
    )
    if output_format == "json":
        write_output(dump_json({"gaps": rows}) + b"\n", output_format)
    else:
        write_table(_COLUMNS, list(map(_to_row, rows)), output_format, zone=ctx.zone)
    exit_if_empty(len(rows))


def _to_row(row: GapRow) -> list[Any]:
    dismissed = (row.dismissed_by or "yes") if row.dismissed_at is not None else None
    return [row.started_at, row.ended_at, row.cause, row.worker, dismissed, row.reason, row.id]
