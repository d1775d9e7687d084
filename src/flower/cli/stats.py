"""`flower stats`."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from flower.api.json_encoder import dump_json
from flower.api.queries import task_stats
from flower.api.statistics import GroupStats, Stats
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    exit_if_partial,
    format_options,
    limit_option,
    query_command,
    query_options,
    selected_format,
)
from flower.cli.formatting import parse_duration_option
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_output, write_table
from flower.errors import InvalidRequest
from flower.store.query_results import FACETS

_STATISTICS_COLUMNS = (
    TableColumn("tasks", "integer", drop_order=0, min_width=6),
    TableColumn("failed", "integer", drop_order=2, min_width=6),
    TableColumn("retries", "integer", drop_order=6, min_width=7),
    TableColumn("failure_rate", "part", drop_order=1, min_width=12, title="failure rate"),
    TableColumn("throughput", "rate", drop_order=5, min_width=10, title="throughput"),
    TableColumn("wait_p50", "duration", drop_order=6, min_width=8, title="wait p50"),
    TableColumn("wait_p95", "duration", drop_order=4, min_width=8, title="wait p95"),
    TableColumn("runtime_p50", "duration", drop_order=2, min_width=7, title="run p50"),
    TableColumn("runtime_p95", "duration", drop_order=0, min_width=7, title="run p95"),
    TableColumn("runtime_p99", "duration", drop_order=3, min_width=7, title="run p99"),
)


@query_command("stats")
@query_options
@click.option("--by", metavar="FIELD", help=f"Group by one of {', '.join(FACETS)}.")
@click.option("--interval", callback=parse_duration_option, metavar="DURATION", help="Bucket width, e.g. 1h or 15m.")
@limit_option(20, "Maximum number of groups.")
@format_options
def stats(
    ctx: CommandContext,
    *,
    by: str | None,
    interval: float | None,
    limit: int,
    output_formats: tuple[OutputFormat, ...],
) -> None:
    """Show throughput, failure rate, and percentiles of wait and runtime (accurate to 1 %)."""
    output_format = selected_format(output_formats)
    if by is not None and interval is not None:
        raise InvalidRequest(
            "--by and --interval are mutually exclusive",
            hint="use a query to select one group: --interval 1h name:billing",
        )
    group_by = "time" if interval is not None else by
    statistics = task_stats(ctx.store, ctx.query, by=group_by, width=interval, limit=limit, **ctx.window)
    if output_format == "json":
        write_output(dump_json(statistics) + b"\n", output_format)
    else:
        _write_stats(ctx, statistics, group_by, output_format)
    exit_if_partial(statistics.partial)
    exit_if_empty(statistics.total.count)


def _write_stats(
    ctx: CommandContext, statistics: Stats, group_by: str | None, output_format: OutputFormat | None
) -> None:
    on_terminal = output_format is None and sys.stdout.isatty()
    if group_by is None:
        write_table(_STATISTICS_COLUMNS, [_to_row(statistics.total)], output_format, zone=ctx.zone)
        if on_terminal and statistics.total.states:
            echo_stderr(", ".join(f"{state} {count:,}" for state, count in statistics.total.states.items()))
        return
    group_column = (
        TableColumn(group_by, "time", min_width=19) if group_by == "time" else TableColumn(group_by, min_width=16)
    )
    rows: list[Sequence[Any]] = [[group.group, *_to_row(group)] for group in statistics.groups]
    if on_terminal and group_by != "time" and statistics.more:
        rows.append([f"({statistics.more} more)", *[None] * len(_STATISTICS_COLUMNS)])
    if on_terminal:
        rows = [[group or "(none)", *row] for group, *row in rows]
        rows.append(["all", *_to_row(statistics.total)])
    write_table([group_column, *_STATISTICS_COLUMNS], rows, output_format, zone=ctx.zone)


def _to_row(stats: GroupStats) -> list[Any]:
    return [
        stats.count,
        stats.states.get("FAILURE", 0),
        stats.retries,
        stats.failure_rate,
        stats.throughput,
        stats.wait.p50,
        stats.wait.p95,
        stats.runtime.p50,
        stats.runtime.p95,
        stats.runtime.p99,
    ]
