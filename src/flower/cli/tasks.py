"""`flower tasks`."""

import sys
from collections.abc import Iterable

import click

from flower.api.columns import COLUMNS, RECORD_COLUMNS, Column, get_columns
from flower.api.exporter import serialize_tasks
from flower.api.queries import task_page
from flower.api.query_params import build_query
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    exit_if_partial,
    format_options,
    query_command,
    query_options,
    selected_format,
)
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_json_array, write_output, write_table
from flower.errors import InvalidRequest
from flower.records import Task

#: What a terminal shows if nobody names columns, as far as it is wide enough.
_TERMINAL_COLUMNS = (
    TableColumn("received_at", "time", drop_order=2, min_width=19),
    TableColumn("state", drop_order=0, min_width=7),
    TableColumn("name", drop_order=0, min_width=12),
    TableColumn("worker", drop_order=5, min_width=14),
    TableColumn("wait", "duration", drop_order=4, min_width=6),
    TableColumn("runtime", "duration", drop_order=3, min_width=7),
    TableColumn("exception", drop_order=6, min_width=24),
    TableColumn("uuid", drop_order=1, min_width=36),
)
#: What a line in a pipe has: few things, always the same.
_PIPE_COLUMNS = ("uuid", "name", "state", "worker", "received_at", "runtime")


@query_command("tasks")
@query_options
@click.option("--sort", metavar="KEYS", help="Such as -runtime,name; - is descending.  [-received]")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="Tasks.")
@click.option("--all", "everything", is_flag=True, help="No limit: one after the other, as they are read.")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="Leave out so many first.")
@click.option("--cursor", metavar="TEXT", help="Go on where a page before ended, whatever was written meanwhile.")
@click.option("--columns", metavar="NAMES", help="Such as uuid,runtime,kwargs.order_id.")
@format_options
def tasks(
    asked: CommandContext,
    *,
    sort: str | None,
    limit: int,
    everything: bool,
    offset: int | None,
    cursor: str | None,
    columns: str | None,
    forms: tuple[OutputFormat, ...],
) -> None:
    """Tasks that QUERY (the search language) lets through, newest received first."""
    form = selected_format(forms)
    chosen = None if columns is None else get_columns(columns)
    if cursor is not None and (offset is not None or everything):
        raise InvalidRequest("--cursor goes with neither --offset nor --all")
    if everything or offset is not None:
        query = build_query(asked.query, sort, **asked.window)
        stream = asked.store.tasks(query, limit=None if everything else limit, offset=offset or 0)
        exit_if_empty(_write_tasks(asked, stream, chosen, form))
        return
    page = task_page(asked.store, asked.query, sort=sort, limit=limit, cursor=cursor, **asked.window)
    count = _write_tasks(asked, page.tasks, chosen, form)
    exit_if_partial(page.partial)
    exit_if_empty(count)
    if page.cursor is not None:
        echo_stderr(f"There are more: --cursor {page.cursor}")


def _write_tasks(
    asked: CommandContext, stream: Iterable[Task], chosen: tuple[Column, ...] | None, form: OutputFormat | None
) -> int:
    if chosen is None and form in ("json", "ndjson"):
        return _write_records(stream, form)
    columns, headings = _select_columns(chosen, form)
    rows = ([column.value(task) for column in columns] for task in stream)
    return write_table(headings, rows, form, zone=asked.zone)


def _write_records(stream: Iterable[Task], form: OutputFormat | None) -> int:
    """Whole records; lines of them can be imported."""
    count = 0

    def counted() -> Iterable[Task]:
        nonlocal count
        for task in stream:
            count += 1
            yield task

    if form == "json":
        write_json_array(counted())
    else:
        for piece in serialize_tasks(counted(), "ndjson"):
            write_output(piece, "ndjson")
    return count


def _select_columns(
    chosen: tuple[Column, ...] | None, form: OutputFormat | None
) -> tuple[list[Column], list[TableColumn]]:
    if chosen is None and form is None and sys.stdout.isatty():
        return [COLUMNS[heading.name] for heading in _TERMINAL_COLUMNS], list(_TERMINAL_COLUMNS)
    columns = list(chosen or (RECORD_COLUMNS if form == "csv" else [COLUMNS[name] for name in _PIPE_COLUMNS]))
    return columns, [TableColumn(column.name, column.kind, min_width=4) for column in columns]
