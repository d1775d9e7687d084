"""Output of rows: a table that fits the terminal, tab-separated lines in a pipe, or JSON, NDJSON and CSV."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import chain, islice
from typing import Any, Literal, TypeAlias

import click

from flower.api.csv_format import escape_csv_formula, format_csv_lines
from flower.api.json_encoder import dump_json
from flower.cli.escaping import escape_control, escape_csv, escape_json
from flower.cli.formatting import NUMERIC_KINDS, ValueKind, format_human, format_machine
from flower.cli.task_ids import shorten_ids

OutputFormat: TypeAlias = Literal["json", "ndjson", "csv"]

#: Rows of one table. The column widths of a longer result are computed again for each part, so that output starts
#: before the last row is read.
_ROWS_PER_TABLE = 500
#: Maximum width of a column of ids: that of a UUID.
_MAX_ID_WIDTH = 36
#: Spaces between two columns of a table.
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
    """A column of tabular output."""

    name: str
    kind: ValueKind = "text"
    #: on a narrow terminal the column with the highest value is dropped first; 0 is never dropped
    drop_order: int = 0
    #: minimum width in characters
    min_width: int = 8
    #: header on a terminal, by default the name
    title: str | None = None
    #: a task id, of which a terminal shows the first characters where they are unique
    is_short_id: bool = False

    @property
    def required_width(self) -> int:
        """The minimum width including the header."""
        return max(self.min_width, len(self.title or self.name))


def write_table(
    columns: Sequence[TableColumn],
    rows: Iterable[Sequence[Any]],
    output_format: OutputFormat | None,
    *,
    zone: tzinfo | None = None,
) -> int:
    """Write rows lazily; None is a table on a terminal, tab-separated lines in a pipe. Returns the number of rows."""
    counted = _CountedRows(rows)
    names = [column.name for column in columns]
    match output_format:
        case "json":
            write_json_array(dict(zip(names, row, strict=True)) for row in counted)
        case "ndjson":
            for row in counted:
                write_output(dump_json(dict(zip(names, row, strict=True))) + b"\n", output_format)
        case "csv":
            write_output(format_csv_lines([names]), output_format)
            for row in counted:
                write_output(format_csv_lines([[escape_csv_formula(value) for value in row]]), output_format)
        case None if sys.stdout.isatty():
            _print_tables(columns, counted, zone)
        case None:
            for row in counted:
                cells = (format_machine(value, column.kind, zone) for column, value in zip(columns, row, strict=True))
                click.echo("\t".join(cells))
    return counted.count


def write_json_array(items: Iterable[Any]) -> None:
    """Write a JSON array with one item per line, lazily."""
    separator = b"["
    for item in items:
        write_output(separator + b"\n" + dump_json(item), "json")
        separator = b","
    write_output(b"[]\n" if separator == b"[" else b"\n]\n", "json")


def write_output(data: bytes, output_format: OutputFormat) -> None:
    """Write encoded data to standard output; on a terminal control characters are escaped."""
    if sys.stdout.isatty():
        text = data.decode("utf-8", "backslashreplace")
        click.echo(escape_csv(text) if output_format == "csv" else escape_json(text), nl=False)
    else:
        click.echo(data, nl=False)


def echo_stderr(text: str) -> None:
    """Print a message to standard error, escaped."""
    click.echo(escape_control(text), err=True)


def fit_columns(columns: Sequence[TableColumn], width: int, empty: Set[int] = frozenset()) -> list[int]:
    """The indexes of the columns that fit into `width` characters, by their drop order, without the `empty` ones."""
    indexes = [index for index in range(len(columns)) if index not in empty]
    while sum(columns[index].required_width + _COLUMN_GAP for index in indexes) - _COLUMN_GAP > width:
        last = max(indexes, key=lambda index: columns[index].drop_order)
        if columns[last].drop_order == 0:
            break
        indexes.remove(last)
    return indexes


def _find_empty_columns(columns: Sequence[TableColumn], rows: Sequence[Sequence[Any]]) -> Set[int]:
    """The columns that may be dropped and have no value in any row."""
    return {
        index
        for index, column in enumerate(columns)
        if column.drop_order and all(row[index] is None or row[index] == "" for row in rows)
    }


class _CountedRows:
    """An iterable that counts the rows taken from it."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _print_tables(columns: Sequence[TableColumn], rows: Iterable[Sequence[Any]], zone: tzinfo | None) -> None:
    from flower.cli import rich_output  # noqa: PLC0415 - needed on a terminal only

    iterator = iter(rows)
    first = list(islice(iterator, _ROWS_PER_TABLE))
    columns = [_with_id_width(column, index, first) for index, column in enumerate(columns)]
    indexes = fit_columns(columns, shutil.get_terminal_size().columns, _find_empty_columns(columns, first))
    shown = [columns[index] for index in indexes]
    headers = [
        rich_output.TableHeader(column.title or column.name, column.kind in NUMERIC_KINDS, column.min_width)
        for column in shown
    ]
    iterator = chain(first, iterator)
    while chunk := list(islice(iterator, _ROWS_PER_TABLE)):
        short = shorten_ids(row[index] for index in indexes if columns[index].is_short_id for row in chunk)
        cells = ([_to_cell(columns[index], row[index], zone, short) for index in indexes] for row in chunk)
        rich_output.print_table(headers, cells, _COLUMN_GAP)


def _with_id_width(column: TableColumn, index: int, rows: Sequence[Sequence[Any]]) -> TableColumn:
    """A column of ids is as wide as they are, because a part of an id is of no use."""
    if not column.is_short_id:
        return column
    short = shorten_ids(row[index] for row in rows)
    widths = (len(short.get(row[index], str(row[index] or ""))) for row in rows)
    return replace(column, min_width=min(max(widths, default=0), _MAX_ID_WIDTH))


def _to_cell(column: TableColumn, value: Any, zone: tzinfo | None, short_ids: Mapping[object, str]) -> tuple[str, str]:
    """The text and the style of a cell."""
    if column.is_short_id:
        value = short_ids.get(value, value)
    return format_human(value, column.kind, zone), _cell_style(column, value)


def _cell_style(column: TableColumn, value: Any) -> str:
    if column.name == "state":
        return STATE_STYLES.get(str(value), "yellow" if str(value).endswith("(lost)") else "")
    if column.kind == "part" and value:
        return "red"
    return "dim" if column.name == "uuid" else ""
