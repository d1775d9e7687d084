"""`flower stats`."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from flower.api.json_encoder import dump_json
from flower.api.queries import task_stats
from flower.api.query_params import Window
from flower.api.statistics import GroupStats, Stats
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    exit_if_partial,
    format_options,
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
    TableColumn("failure_rate", "part", drop_order=1, min_width=6, title="rate"),
    TableColumn("throughput", "rate", drop_order=5, min_width=7, title="per s"),
    TableColumn("wait_p50", "duration", drop_order=6, min_width=7, title="wait 50%"),
    TableColumn("wait_p95", "duration", drop_order=4, min_width=7, title="95%"),
    TableColumn("runtime_p50", "duration", drop_order=2, min_width=7, title="run 50%"),
    TableColumn("runtime_p95", "duration", drop_order=0, min_width=7, title="95%"),
    TableColumn("runtime_p99", "duration", drop_order=3, min_width=7, title="99%"),
)


@query_command("stats")
@query_options
@click.option("--by", metavar="WHAT", help=f"One of {', '.join(FACETS)}.")
@click.option(
    "--over",
    callback=parse_duration_option,
    metavar="TIME",
    help="Only what was received in so long until now: 24h, 7d.",
)
@click.option(
    "--every", callback=parse_duration_option, metavar="TIME", help="Figures of each stretch of so long: 1h, 15m."
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Groups.")
@format_options
def stats(
    asked: CommandContext,
    *,
    by: str | None,
    over: float | None,
    every: float | None,
    limit: int,
    forms: tuple[OutputFormat, ...],
) -> None:
    """Throughput, failure rate, and percentiles of wait and run time, at most 1 % off."""
    form = selected_format(forms)
    if by is not None and every is not None:
        raise InvalidRequest("--by and --every do not go together", hint="a query narrows it: --every 1h name:billing")
    window = window_since(asked.window, over)
    kind = "time" if every is not None else by
    answer = task_stats(asked.store, asked.query, by=kind, width=every, limit=limit, **window)
    if form == "json":
        write_output(dump_json(answer) + b"\n", form)
    else:
        _write_stats(asked, answer, kind, form)
    exit_if_partial(answer.partial)
    exit_if_empty(answer.total.count)


def window_since(window: Window, since: float | None) -> Window:
    """The window, or the time until now."""
    if since is None:
        return window
    if window.get("start") is not None or window.get("end") is not None:
        raise InvalidRequest("--over goes with neither --from nor --to")
    now = time.time()
    over_now: Window = {**window, "start": now - since, "now": now}
    return over_now


def _write_stats(asked: CommandContext, answer: Stats, by: str | None, form: OutputFormat | None) -> None:
    screen = form is None and sys.stdout.isatty()
    if by is None:
        write_table(_STATISTICS_COLUMNS, [_row(answer.total)], form, zone=asked.zone)
        if screen and answer.total.states:
            echo_stderr(", ".join(f"{state} {count:,}" for state, count in answer.total.states.items()))
        return
    heading = TableColumn(by, "time", min_width=19) if by == "time" else TableColumn(by, min_width=16)
    rows: list[Sequence[Any]] = [[group.group, *_row(group)] for group in answer.groups]
    if screen and by != "time" and answer.more:
        rows.append([f"({answer.more} more)", *[None] * len(_STATISTICS_COLUMNS)])
    if screen:
        rows.append([None if by == "time" else "all", *_row(answer.total)])
    write_table([heading, *_STATISTICS_COLUMNS], rows, form, zone=asked.zone)


def _row(figures: GroupStats) -> list[Any]:
    return [
        figures.count,
        figures.states.get("FAILURE", 0),
        figures.failure_rate,
        figures.throughput,
        figures.wait.p50,
        figures.wait.p95,
        figures.runtime.p50,
        figures.runtime.p95,
        figures.runtime.p99,
    ]
