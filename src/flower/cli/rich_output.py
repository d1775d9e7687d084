"""Output with rich: styled lines, tables and progress bars. Imported only for output to a terminal. Callers pass
escaped text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
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
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(
            header.title,
            justify="right" if header.is_right_aligned else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=header.min_width,
        )
    for row in rows:
        table.add_row(*(Text(text, style) for text, style in row))
    _console().print(table)


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; the context is a function that takes the number of completed steps."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda completed: progress.update(task, completed=completed)
