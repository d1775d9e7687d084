"""`flower tasks`."""

import sys
from collections.abc import Iterable

import click

from flower.api.asking import query_of
from flower.api.columns import COLUMNS, RECORD, Column, columns_named
from flower.api.exporting import pieces
from flower.api.questions import task_page
from flower.cli.asking import Asked, asking, form_of, found, whole, with_forms, with_query
from flower.cli.sheet import Form, Heading, say, write_json_array, write_machine, write_rows
from flower.errors import Invalid
from flower.records import Task

#: What a terminal shows if nobody names columns, as far as it is wide enough.
_SCREEN = (
    Heading("received", "time", rank=2, least=19),
    Heading("state", rank=0, least=7),
    Heading("name", rank=0, least=12),
    Heading("worker", rank=5, least=14),
    Heading("wait", "duration", rank=4, least=6),
    Heading("runtime", "duration", rank=3, least=7),
    Heading("exception", rank=6, least=24),
    Heading("uuid", rank=1, least=36),
)
#: What a line in a pipe has: few things, always the same.
_LINES = ("uuid", "name", "state", "worker", "received", "runtime")


@asking("tasks")
@with_query
@click.option("--sort", metavar="KEYS", help="Such as -runtime,name; - is descending.  [-received]")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="Tasks.")
@click.option("--all", "everything", is_flag=True, help="No limit: one after the other, as they are read.")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="Leave out so many first.")
@click.option("--cursor", metavar="TEXT", help="Go on where a page before ended, whatever was written meanwhile.")
@click.option("--columns", metavar="NAMES", help="Such as uuid,runtime,kwargs.order_id.")
@with_forms
def tasks(
    asked: Asked,
    *,
    sort: str | None,
    limit: int,
    everything: bool,
    offset: int | None,
    cursor: str | None,
    columns: str | None,
    forms: tuple[Form, ...],
) -> None:
    """Tasks that QUERY (the search language) lets through, newest received first."""
    form = form_of(forms)
    chosen = None if columns is None else columns_named(columns)
    if cursor is not None and (offset is not None or everything):
        raise Invalid("--cursor goes with neither --offset nor --all")
    if everything or offset is not None:
        query = query_of(asked.query, sort, **asked.window)
        stream = asked.store.tasks(query, limit=None if everything else limit, offset=offset or 0)
        found(_write(asked, stream, chosen, form))
        return
    page = task_page(asked.store, asked.query, sort=sort, limit=limit, cursor=cursor, **asked.window)
    count = _write(asked, page.tasks, chosen, form)
    whole(page.partial)
    found(count)
    if page.cursor is not None:
        say(f"There are more: --cursor {page.cursor}")


def _write(asked: Asked, stream: Iterable[Task], chosen: tuple[Column, ...] | None, form: Form | None) -> int:
    if chosen is None and form in ("json", "ndjson"):
        return _write_records(stream, form)
    columns, headings = _layout(chosen, form)
    rows = ([column.value(task) for column in columns] for task in stream)
    return write_rows(headings, rows, form, zone=asked.zone)


def _write_records(stream: Iterable[Task], form: Form | None) -> int:
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
        for piece in pieces(counted(), "ndjson"):
            write_machine(piece, "ndjson")
    return count


def _layout(chosen: tuple[Column, ...] | None, form: Form | None) -> tuple[list[Column], list[Heading]]:
    if chosen is None and form is None and sys.stdout.isatty():
        return [COLUMNS[heading.name] for heading in _SCREEN], list(_SCREEN)
    columns = list(chosen or (RECORD if form == "csv" else [COLUMNS[name] for name in _LINES]))
    return columns, [Heading(column.name, column.kind, least=4) for column in columns]
