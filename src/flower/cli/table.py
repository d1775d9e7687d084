"""Rows on standard output: a table that fits the terminal, tab-separated lines in a pipe, or JSON, NDJSON and CSV."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from typing import Any, Literal, TypeAlias

import click

from flower.api.csv_format import escape_csv_formula, format_csv_lines
from flower.api.json_encoder import dump_json
from flower.cli.escaping import escape_control, escape_csv, escape_json
from flower.cli.formatting import NUMERIC_KINDS, ValueKind, format_human, format_machine

OutputFormat: TypeAlias = Literal["json", "ndjson", "csv"]

#: Rows of one table: its widths are found anew after so many, for nobody can wait for the last row of a million.
_ROWS_PER_TABLE = 500
#: Columns between two columns of a table.
_COLUMN_GAP = 2

STATE_STYLES = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "RETRY": "yellow",
    "REVOKED": "magenta",
    "REJECTED": "magenta",
    "STARTED": "cyan",
    "RECEIVED": "blue",
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    name: str
    kind: ValueKind = "text"
    #: Of headings that do not fit on the terminal the one with the highest rank goes first; 0 stays.
    drop_order: int = 0
    #: how narrow it may become
    min_width: int = 8
    #: what it is called on a terminal, if not by its name
    title: str | None = None


def write_table(
    headings: Sequence[TableColumn],
    rows: Iterable[Sequence[Any]],
    form: OutputFormat | None,
    *,
    zone: tzinfo | None = None,
) -> int:
    """Write these rows, lazily; gives how many there were."""
    counted = _CountedRows(rows)
    match form:
        case "json":
            write_json_array(dict(zip((heading.name for heading in headings), row, strict=True)) for row in counted)
        case "ndjson":
            for row in counted:
                write_output(
                    dump_json(dict(zip((heading.name for heading in headings), row, strict=True))) + b"\n", form
                )
        case "csv":
            write_output(format_csv_lines([[heading.name for heading in headings]]), form)
            for row in counted:
                write_output(format_csv_lines([[escape_csv_formula(value) for value in row]]), form)
        case None if sys.stdout.isatty():
            _print_tables(headings, counted, zone)
        case None:
            for row in counted:
                cells = (
                    format_machine(value, heading.kind, zone) for heading, value in zip(headings, row, strict=True)
                )
                click.echo("\t".join(cells))
    return counted.count


def write_json_array(items: Iterable[Any]) -> None:
    """One item a line, so that a long answer needs no memory."""
    before = b"["
    for item in items:
        write_output(before + b"\n" + dump_json(item), "json")
        before = b","
    write_output(b"[]\n" if before == b"[" else b"\n]\n", "json")


def write_output(data: bytes, form: OutputFormat) -> None:
    """As it is into a pipe or file; on a terminal nothing in it can command the terminal."""
    if sys.stdout.isatty():
        text = data.decode("utf-8", "backslashreplace")
        click.echo(escape_csv(text) if form == "csv" else escape_json(text), nl=False)
    else:
        click.echo(data, nl=False)


def echo_stderr(text: str) -> None:
    """A note for the person, on standard error."""
    click.echo(escape_control(text), err=True)


def fit_columns(headings: Sequence[TableColumn], width: int) -> list[int]:
    """The places of those that fit into so many characters, by rank."""
    places = list(range(len(headings)))
    while sum(headings[place].min_width + _COLUMN_GAP for place in places) - _COLUMN_GAP > width:
        last = max(places, key=lambda place: headings[place].drop_order)
        if headings[last].drop_order == 0:
            break
        places.remove(last)
    return places


class _CountedRows:
    """An iterable that counts what was taken."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _print_tables(headings: Sequence[TableColumn], rows: Iterable[Sequence[Any]], zone: tzinfo | None) -> None:
    iterator = iter(rows)
    places = fit_columns(headings, shutil.get_terminal_size().columns)
    while screenful := list(islice(iterator, _ROWS_PER_TABLE)):
        _print_table(
            [headings[place] for place in places], [[row[place] for place in places] for row in screenful], zone
        )


def _print_table(headings: Sequence[TableColumn], rows: Sequence[Sequence[Any]], zone: tzinfo | None) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, _COLUMN_GAP, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(
            heading.title or heading.name,
            justify="right" if heading.kind in NUMERIC_KINDS else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=heading.min_width,
        )
    for row in rows:
        cells = [format_human(value, heading.kind, zone) for heading, value in zip(headings, row, strict=True)]
        styles = (_cell_style(heading, value) for heading, value in zip(headings, row, strict=True))
        table.add_row(*(Text(text, style) for text, style in zip(cells, styles, strict=True)))
    Console(highlight=False, markup=False, emoji=False).print(table)


def _cell_style(heading: TableColumn, value: Any) -> str:
    if heading.name == "state":
        return STATE_STYLES.get(str(value), "")
    if heading.kind == "part" and value:
        return "red"
    return "dim" if heading.name == "uuid" else ""
