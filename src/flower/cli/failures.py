"""`flower failures`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

from flower.api.failures import FAILURE_STATUSES, FailureRow, load_failure, load_failures
from flower.api.json_encoder import dump_json
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    exit_if_partial,
    format_options,
    query_command,
    query_options,
    selected_format,
)
from flower.cli.formatting import format_human, parse_duration_option
from flower.cli.stats import window_since
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_output, write_table
from flower.cli.terminal import DetailLine, heading_lines, label_lines, print_lines, quote_lines
from flower.errors import InvalidRequest
from flower.records import Task
from flower.store.query_results import FacetValue

_FAILURE_COLUMNS = (
    TableColumn("failure", drop_order=0, min_width=16),
    TableColumn("status", drop_order=1, min_width=9),
    TableColumn("count", "integer", drop_order=0, min_width=6),
    TableColumn("first", "time", drop_order=6, min_width=19),
    TableColumn("last", "time", drop_order=3, min_width=19),
    TableColumn("trend", drop_order=2, min_width=12),
    TableColumn("exception", drop_order=0, min_width=14),
    TableColumn("message", drop_order=1, min_width=20),
    TableColumn("frame", drop_order=4, min_width=20),
    TableColumn("types", drop_order=5, min_width=16),
    TableColumn("workers", drop_order=7, min_width=16),
)
_SPARK_CHARACTERS = " ▁▂▃▄▅▆▇█"
#: Stretches of time that a trend has, about.
_TREND_BUCKETS = 12
#: Tasks that are shown of one group.
_MAX_EXAMPLES = 10


@query_command("failures")
@query_options
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    help=f"Only groups that are {', '.join(FAILURE_STATUSES[:-1])} or {FAILURE_STATUSES[-1]}.",
)
@click.option("--group", metavar="ID", help="Only this group, and all of it.")
@click.option(
    "--over",
    callback=parse_duration_option,
    metavar="TIME",
    help="Only what was received in so long until now: 24h, 7d.",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Groups.")
@format_options
def failures(
    asked: CommandContext,
    *,
    status: tuple[str, ...],
    group: str | None,
    over: float | None,
    limit: int,
    forms: tuple[OutputFormat, ...],
) -> None:
    """Failures, those of one class, message (numbers and ids masked) and place in the code together."""
    form = selected_format(forms)
    window = window_since(asked.window, over)
    if group is not None:
        if form not in (None, "json"):
            raise InvalidRequest(
                f"--group does not go with --{form}", hint=f"write flower tasks --{form} failure:={group}"
            )
        if status:
            raise InvalidRequest("--status does not go with --group", hint="the group tells its status")
        row, detail = load_failure(
            asked.store, asked.ledger, group, asked.query, buckets=_TREND_BUCKETS, limit=_MAX_EXAMPLES, **window
        )
        if form == "json":
            write_output(dump_json(msgspec.structs.replace(detail, group=row)) + b"\n", form)
        else:
            print_lines(_detail_lines(asked, row, detail.tasks))
        return
    answer = load_failures(
        asked.store, asked.ledger, asked.query, status=status, limit=limit, buckets=_TREND_BUCKETS, **window
    )
    if form == "json":
        write_output(dump_json(answer) + b"\n", form)
    else:
        write_table(_FAILURE_COLUMNS, [_row(one, form) for one in answer.failures], form, zone=asked.zone)
    exit_if_partial(answer.partial)
    exit_if_empty(len(answer.failures))
    if answer.more:
        echo_stderr(f"There are {answer.more:,} more groups: --limit")


def _row(one: FailureRow, form: OutputFormat | None) -> list[Any]:
    screen = form is None and sys.stdout.isatty()
    mark = one.fingerprint
    trend = sparkline(one.trend) if screen else " ".join(map(str, one.trend))
    return [
        mark.id, one.status, one.count, one.first_failure_at, one.last_failure_at, trend, mark.exception,
        mark.message, mark.frame,
        _join_values(one.types), _join_values(one.workers),
    ]  # fmt: skip


def sparkline(counts: Sequence[int]) -> str:
    """A small picture of these numbers; what is not nothing can be seen."""
    most = max(counts, default=0)
    return "".join(_SPARK_CHARACTERS[-(-count * 8 // most) if most else 0] for count in counts)


def _join_values(values: Sequence[FacetValue]) -> str:
    return ", ".join(f"{value.value or '?'} ({value.count})" for value in values)


def _status_text(asked: CommandContext, one: FailureRow) -> str:
    """The status, and what somebody said: `muted by ann, 2026-11-22 10:15:00, until …: SHOP-311`."""
    note = one.note
    if note is None:
        return one.status
    said = f"by {note.created_by}, {format_human(note.created_at, 'time', asked.zone)}"
    if note.expires_at is not None:
        said += f", until {format_human(note.expires_at, 'time', asked.zone)}"
    return f"{one.status} ({said}{': ' if note.comment else ''}{note.comment})"


def _detail_lines(asked: CommandContext, one: FailureRow, latest: Sequence[Task]) -> Iterator[DetailLine]:
    mark = one.fingerprint
    yield DetailLine(mark.exception, "red")
    yield DetailLine(mark.message)
    yield DetailLine()
    yield from label_lines(
        [
            ("failure", mark.id),
            ("status", _status_text(asked, one)),
            ("frame", mark.frame or ""),
            ("count", f"{one.count:,}"),
            ("first", format_human(one.first_failure_at, "time", asked.zone)),
            ("last", format_human(one.last_failure_at, "time", asked.zone)),
            ("first seen", format_human(one.first_seen_at, "time", asked.zone)),
            ("trend", " ".join(map(str, one.trend))),
            ("types", _join_values(one.types)),
            ("workers", _join_values(one.workers)),
        ]
    )
    example = next((task.traceback for task in latest if task.traceback), None)
    if example:
        yield from heading_lines("A traceback of it")
        yield from quote_lines(example)
    yield from heading_lines("The latest")
    for task in latest:
        parts = [format_human(task.received, "time", asked.zone), task.state, task.name or "", task.uuid]
        yield DetailLine("  ".join(part for part in parts if part))
