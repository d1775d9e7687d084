"""`flower failures`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from flower.api.columns import RECORD_COLUMNS
from flower.api.exporter import to_column_values
from flower.api.failures import FAILURE_STATUSES, FailureRow, load_failure, load_failures
from flower.api.json_encoder import dump_json
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
from flower.cli.failure_ids import find_group
from flower.cli.formatting import format_human
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_output, write_table
from flower.cli.terminal import DetailLine, heading_lines, label_lines, print_lines, quote_lines
from flower.errors import InvalidRequest
from flower.records import Task
from flower.store.query_results import FacetValue

_FAILURE_COLUMNS = (
    TableColumn("failure", drop_order=0, min_width=8, is_short_id=True),
    TableColumn("status", drop_order=1, min_width=9),
    TableColumn("count", "integer", drop_order=0, min_width=6),
    TableColumn("first_failure_at", "time", drop_order=6, min_width=19, title="first failure"),
    TableColumn("last_failure_at", "time", drop_order=3, min_width=19, title="last failure"),
    TableColumn("trend", drop_order=2, min_width=12),
    TableColumn("exception", drop_order=0, min_width=14),
    TableColumn("message", drop_order=1, min_width=20),
    TableColumn("frame", drop_order=4, min_width=20),
    TableColumn("types", drop_order=5, min_width=16),
    TableColumn("workers", drop_order=7, min_width=16),
)
_SPARK_CHARACTERS = " ▁▂▃▄▅▆▇█"
#: Approximate number of buckets of a trend.
_TREND_BUCKETS = 12
#: Maximum number of tasks shown of one group.
_MAX_EXAMPLES = 10


@query_command("failures")
@query_options
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    help=f"Filter by status: {', '.join(FAILURE_STATUSES[:-1])} or {FAILURE_STATUSES[-1]}.",
)
@click.option("--group", metavar="ID", help="Show one group.")
@limit_option(20, "Maximum number of groups.")
@format_options
def failures(
    ctx: CommandContext,
    *,
    status: tuple[str, ...],
    group: str | None,
    limit: int,
    output_formats: tuple[OutputFormat, ...],
) -> None:
    """List failure groups: failures with the same exception class, raised by the same code."""
    output_format = selected_format(output_formats)
    if group is not None:
        if output_format not in (None, "json"):
            raise InvalidRequest(
                f"--group and --{output_format} are mutually exclusive",
                hint=f"use flower tasks --{output_format} failure:={group}",
            )
        if status:
            raise InvalidRequest("--status and --group are mutually exclusive")
        group_id = find_group(ctx.store, ctx.ledger, group)
        row, detail = load_failure(
            ctx.store, ctx.ledger, group_id, ctx.query, buckets=_TREND_BUCKETS, limit=_MAX_EXAMPLES, **ctx.window
        )
        if output_format == "json":
            tasks = [to_column_values(task, RECORD_COLUMNS) for task in detail.tasks]
            write_output(dump_json({"failure": row, "span": detail.span, "tasks": tasks}) + b"\n", output_format)
        else:
            print_lines(_detail_lines(ctx, row, detail.tasks))
        return
    result = load_failures(
        ctx.store, ctx.ledger, ctx.query, status=status, limit=limit, buckets=_TREND_BUCKETS, **ctx.window
    )
    if output_format == "json":
        write_output(dump_json(result) + b"\n", output_format)
    else:
        write_table(
            _FAILURE_COLUMNS, [_to_row(row, output_format) for row in result.failures], output_format, zone=ctx.zone
        )
    exit_if_partial(result.partial)
    exit_if_empty(len(result.failures))
    if result.more:
        echo_stderr(f"{result.more:,} more groups: increase --limit")


def _to_row(row: FailureRow, output_format: OutputFormat | None) -> list[Any]:
    on_terminal = output_format is None and sys.stdout.isatty()
    fingerprint = row.fingerprint
    trend = sparkline(row.trend) if on_terminal else " ".join(map(str, row.trend))
    return [
        fingerprint.id, row.status, row.count, row.first_failure_at, row.last_failure_at, trend, fingerprint.exception,
        fingerprint.message, fingerprint.frame,
        _join_values(row.types), _join_values(row.workers),
    ]  # fmt: skip


def sparkline(counts: Sequence[int]) -> str:
    """A bar chart of block characters; every value above 0 is visible."""
    maximum = max(counts, default=0)
    return "".join(_SPARK_CHARACTERS[-(-count * 8 // maximum) if maximum else 0] for count in counts)


def _join_values(values: Sequence[FacetValue]) -> str:
    return ", ".join(f"{value.value or '?'} ({value.count})" for value in values)


def _status_text(ctx: CommandContext, row: FailureRow) -> str:
    """The status and its note: `muted (by ann, 2026-11-22 10:15:00, until …: SHOP-311)`."""
    note = row.note
    if note is None:
        return row.status
    source = f"by {note.created_by}, {format_human(note.created_at, 'time', ctx.zone)}"
    if note.expires_at is not None:
        source += f", until {format_human(note.expires_at, 'time', ctx.zone)}"
    return f"{row.status} ({source}{': ' if note.comment else ''}{note.comment})"


def _detail_lines(ctx: CommandContext, row: FailureRow, latest: Sequence[Task]) -> Iterator[DetailLine]:
    fingerprint = row.fingerprint
    yield DetailLine(fingerprint.exception, "red")
    yield DetailLine(fingerprint.message)
    yield DetailLine()
    yield from label_lines(
        [
            ("failure", fingerprint.id),
            ("status", _status_text(ctx, row)),
            ("frame", fingerprint.frame or ""),
            ("count", f"{row.count:,}"),
            ("first failure", format_human(row.first_failure_at, "time", ctx.zone)),
            ("last failure", format_human(row.last_failure_at, "time", ctx.zone)),
            ("first seen", format_human(row.first_seen_at, "time", ctx.zone)),
            ("trend", " ".join(map(str, row.trend))),
            ("types", _join_values(row.types)),
            ("workers", _join_values(row.workers)),
        ]
    )
    example = next((task.traceback for task in latest if task.traceback), None)
    if example:
        yield from heading_lines("Example traceback")
        yield from quote_lines(example)
    yield from heading_lines("Latest tasks")
    for task in latest:
        parts = [format_human(task.received, "time", ctx.zone), task.state, task.name or "", task.uuid]
        yield DetailLine("  ".join(part for part in parts if part))
