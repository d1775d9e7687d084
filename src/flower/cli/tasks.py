"""`flower tasks`."""

import sys
from collections.abc import Iterable
from dataclasses import replace

import click

from flower.api.columns import COLUMNS, RECORD_COLUMNS, Column, get_columns
from flower.api.exporter import serialize_tasks, to_column_values
from flower.api.queries import task_page
from flower.api.query_params import build_query
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
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_json_array, write_output, write_table
from flower.errors import InvalidRequest
from flower.records import Task
from flower.search.parser import parse_search
from flower.search.tree import Node, PathCondition, iter_terms

#: Default columns on a terminal, as far as they fit. Columns without values are left out.
_TERMINAL_COLUMNS = (
    TableColumn("time_at", "time", drop_order=4, min_width=19, title="time"),
    TableColumn("state", drop_order=0, min_width=7),
    TableColumn("name", drop_order=0, min_width=12),
    TableColumn("exception", drop_order=6, min_width=24),
    TableColumn("worker", drop_order=5, min_width=14),
    TableColumn("wait", "duration", drop_order=7, min_width=6),
    TableColumn("runtime", "duration", drop_order=3, min_width=7),
    TableColumn("uuid", drop_order=1, min_width=8, title="id", is_short_id=True),
)
#: Minimum width of a column that the query adds.
_MIN_EXTRA_WIDTH = 10
#: Fields of a query whose tasks are failures: their exception is shown before their times.
_FAILURE_FIELDS = frozenset({"exception", "traceback", "failure"})
_FAILURE_STATES = frozenset({"FAILURE", "RETRY"})
#: Fields that a table shows if the query names them.
_EXTRA_FIELDS = ("client", "eta", "exchange", "priority", "queue", "retries", "routing_key")
#: On a terminal the mark of a lost task is beside its state, which is the last one that was proven.
_MARKED_STATE = Column("state", "text", lambda task: f"{task.state} (lost)" if task.lost else task.state)
#: Default columns in a pipe.
_PIPE_COLUMNS = ("uuid", "name", "state", "worker", "received_at", "runtime", "lost_reason")


@query_command("tasks")
@query_options
@click.option("--sort", metavar="KEYS", help="Sort keys, e.g. -runtime,name.  [-time]")
@limit_option(50, "Maximum number of tasks.")
@click.option(
    "--all", "everything", is_flag=True, help="List all tasks and print them as they are read; ignores --limit."
)
@click.option("--offset", type=click.IntRange(0), metavar="N", help="Skip the first N tasks.")
@click.option("--cursor", metavar="TEXT", help="Start after the page that printed this cursor.")
@click.option("--columns", metavar="NAMES", help="Columns, e.g. uuid,runtime,kwargs.order_id.")
@format_options
def tasks(
    ctx: CommandContext,
    *,
    sort: str | None,
    limit: int,
    everything: bool,
    offset: int | None,
    cursor: str | None,
    columns: str | None,
    output_formats: tuple[OutputFormat, ...],
) -> None:
    """List tasks matching QUERY (see docs/search.md), newest first."""
    output_format = selected_format(output_formats)
    selected = None if columns is None else get_columns(columns)
    if cursor is not None and (offset is not None or everything):
        raise InvalidRequest("--cursor is mutually exclusive with --offset and --all")
    if everything or offset is not None:
        query = build_query(ctx.query, sort, **ctx.window)
        stream = ctx.store.tasks(query, limit=None if everything else limit, offset=offset or 0)
        exit_if_empty(_write_tasks(ctx, stream, selected, output_format))
        return
    page = task_page(ctx.store, ctx.query, sort=sort, limit=limit, cursor=cursor, **ctx.window)
    count = _write_tasks(ctx, page.tasks, selected, output_format)
    exit_if_partial(page.partial)
    exit_if_empty(count)
    if page.cursor is not None:
        echo_stderr(f"More results: --cursor {page.cursor}")


def _write_tasks(
    ctx: CommandContext, stream: Iterable[Task], selected: tuple[Column, ...] | None, output_format: OutputFormat | None
) -> int:
    if selected is None and output_format in ("json", "ndjson"):
        return _write_records(stream, output_format)
    columns, table_columns = _select_columns(ctx, selected, output_format)
    rows = ([column.value(task) for column in columns] for task in stream)
    return write_table(table_columns, rows, output_format, zone=ctx.zone)


def _write_records(stream: Iterable[Task], output_format: OutputFormat | None) -> int:
    """Write complete records; their NDJSON can be imported."""
    count = 0

    def count_tasks() -> Iterable[Task]:
        nonlocal count
        for task in stream:
            count += 1
            yield task

    if output_format == "json":
        write_json_array(to_column_values(task, RECORD_COLUMNS) for task in count_tasks())
    else:
        for chunk in serialize_tasks(count_tasks(), "ndjson"):
            write_output(chunk, "ndjson")
    return count


def _select_columns(
    ctx: CommandContext, selected: tuple[Column, ...] | None, output_format: OutputFormat | None
) -> tuple[list[Column], list[TableColumn]]:
    if selected is None and output_format is None and sys.stdout.isatty():
        shown = select_terminal_columns(parse_search(ctx.query))
        names = [column.name for column in shown]
        values = dict(zip(names, get_columns(names), strict=True))
        return [_MARKED_STATE if name == "state" else values[name] for name in names], shown
    columns = list(
        selected or (RECORD_COLUMNS if output_format == "csv" else [COLUMNS[name] for name in _PIPE_COLUMNS])
    )
    return columns, [TableColumn(column.name, column.kind, min_width=4) for column in columns]


def select_terminal_columns(where: Node) -> list[TableColumn]:
    """The columns for the tasks of a query: the fields that it names, and for failures the exception instead of
    times."""
    terms = list(iter_terms(where))
    fields = {term.field for term in terms}
    failures = bool(fields & _FAILURE_FIELDS) or any(
        term.field == "state" and term.value in _FAILURE_STATES for term in terms
    )
    order = {"exception": 1, "worker": 2, "time_at": 3, "runtime": 5} if failures else {}
    order |= dict.fromkeys(fields & {"worker", "runtime", "wait", "exception"}, 1)
    columns = [replace(column, drop_order=order.get(column.name, column.drop_order)) for column in _TERMINAL_COLUMNS]
    paths = [".".join((term.field, *term.value.keys)) for term in terms if isinstance(term.value, PathCondition)]
    names = [*(name for name in _EXTRA_FIELDS if name in fields), *paths]
    extra = [TableColumn(each.name, each.kind, 1, _MIN_EXTRA_WIDTH) for each in (get_columns(names) if names else ())]
    return [*columns[:3], *extra, *columns[3:]]
