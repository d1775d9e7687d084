"""Output with rich: styled lines, tables and progress bars. Imported only for output to a terminal. Callers pass
escaped text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text


class TableHeader(NamedTuple):
    """The header of a table column."""

    title: str
    is_right_aligned: bool
    min_width: int


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def print_styled(lines: Iterable[tuple[str, str, str]]) -> None:
    """Print lines of label, text and the style of the text."""
    console = _console()
    for label, text, style in lines:
        console.print(Text.assemble((label, "dim"), (text, style)), soft_wrap=True)


def print_table(headers: Sequence[TableHeader], rows: Iterable[Iterable[tuple[str, str]]], gap: int) -> None:
    """Print rows of cells, each a text and its style; `gap` spaces separate two columns."""
    console = _console()
    cells = [[Text(text, style) for text, style in row] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for header, width in zip(headers, _fit_widths(headers, cells, console.width, gap), strict=True):
        table.add_column(
            header.title,
            justify="right" if header.is_right_aligned else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=width,
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _fit_widths(headers: Sequence[TableHeader], cells: Sequence[Sequence[Text]], width: int, gap: int) -> list[int]:
    """The width of each column: that of its longest cell; if the table is too wide, the widest columns are cut, but not
    below their minimum and their header. (rich would cut all columns, so that ids are incomplete.)"""
    least = [max(header.min_width, cell_len(header.title)) for header in headers]
    widths = [max(least[index], *(row[index].cell_len for row in cells)) for index in range(len(headers))]
    excess = sum(widths) + gap * (len(widths) - 1) - width
    for _ in range(max(excess, 0)):
        widest = max(range(len(widths)), key=lambda index: widths[index] - least[index])
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    return widths


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; the context is a function that takes the number of completed steps."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda completed: progress.update(task, completed=completed)


@contextmanager
def byte_progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; the context is a function that takes the number of bytes done and of all."""
    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
