"""Rows on standard output: a table that fits the terminal, tab-separated lines in a pipe, or JSON, NDJSON and CSV."""

import csv
import io
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from typing import Any, Literal, TypeAlias

import click

from flower.api.exporting import encode, harmless
from flower.cli.safe import visible, visible_csv, visible_json
from flower.cli.values import NUMERIC, Kind, for_people, for_programs

Form: TypeAlias = Literal["json", "ndjson", "csv"]

#: Rows of one table: its widths are found anew after so many, for nobody can wait for the last row of a million.
_SCREENFUL = 500
#: Columns between two columns of a table.
_BETWEEN = 2

STATES = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "RETRY": "yellow",
    "REVOKED": "magenta",
    "REJECTED": "magenta",
    "STARTED": "cyan",
    "RECEIVED": "blue",
}


@dataclass(frozen=True, slots=True)
class Heading:
    name: str
    kind: Kind = "text"
    #: Of headings that do not fit on the terminal the one with the highest rank goes first; 0 stays.
    rank: int = 0
    #: how narrow it may become
    least: int = 8
    #: what it is called on a terminal, if not by its name
    title: str | None = None


def write_rows(
    headings: Sequence[Heading], rows: Iterable[Sequence[Any]], form: Form | None, *, zone: tzinfo | None = None
) -> int:
    """Write these rows, lazily; gives how many there were."""
    counted = _Counted(rows)
    match form:
        case "json":
            write_json_array(dict(zip((heading.name for heading in headings), row, strict=True)) for row in counted)
        case "ndjson":
            for row in counted:
                write_machine(encode(dict(zip((heading.name for heading in headings), row, strict=True))) + b"\n", form)
        case "csv":
            write_machine(_csv([heading.name for heading in headings]), form)
            for row in counted:
                write_machine(_csv([harmless(value) for value in row]), form)
        case None if sys.stdout.isatty():
            _tables(headings, counted, zone)
        case None:
            for row in counted:
                cells = (for_programs(value, heading.kind, zone) for heading, value in zip(headings, row, strict=True))
                click.echo("\t".join(cells))
    return counted.count


def write_json_array(items: Iterable[Any]) -> None:
    """One item a line, so that a long answer needs no memory."""
    before = b"["
    for item in items:
        write_machine(before + b"\n" + encode(item), "json")
        before = b","
    write_machine(b"[]\n" if before == b"[" else b"\n]\n", "json")


def write_machine(data: bytes, form: Form) -> None:
    """As it is into a pipe or file; on a terminal nothing in it can command the terminal."""
    if sys.stdout.isatty():
        text = data.decode("utf-8", "backslashreplace")
        click.echo(visible_csv(text) if form == "csv" else visible_json(text), nl=False)
    else:
        click.echo(data, nl=False)


def say(text: str) -> None:
    """A note for the person, on standard error."""
    click.echo(visible(text), err=True)


def fitting(headings: Sequence[Heading], width: int) -> list[int]:
    """The places of those that fit into so many characters, by rank."""
    places = list(range(len(headings)))
    while sum(headings[place].least + _BETWEEN for place in places) - _BETWEEN > width:
        last = max(places, key=lambda place: headings[place].rank)
        if headings[last].rank == 0:
            break
        places.remove(last)
    return places


class _Counted:
    """An iterable that counts what was taken."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _csv(row: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(row)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _tables(headings: Sequence[Heading], rows: Iterable[Sequence[Any]], zone: tzinfo | None) -> None:
    iterator = iter(rows)
    places = fitting(headings, shutil.get_terminal_size().columns)
    while screenful := list(islice(iterator, _SCREENFUL)):
        _table([headings[place] for place in places], [[row[place] for place in places] for row in screenful], zone)


def _table(headings: Sequence[Heading], rows: Sequence[Sequence[Any]], zone: tzinfo | None) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, _BETWEEN, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(
            heading.title or heading.name,
            justify="right" if heading.kind in NUMERIC else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=heading.least,
        )
    for row in rows:
        cells = [for_people(value, heading.kind, zone) for heading, value in zip(headings, row, strict=True)]
        styles = (_style(heading, value) for heading, value in zip(headings, row, strict=True))
        table.add_row(*(Text(text, style) for text, style in zip(cells, styles, strict=True)))
    Console(highlight=False, markup=False, emoji=False).print(table)


def _style(heading: Heading, value: Any) -> str:
    if heading.name == "state":
        return STATES.get(str(value), "")
    if heading.kind == "part" and value:
        return "red"
    return "dim" if heading.name == "uuid" else ""
