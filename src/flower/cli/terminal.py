"""Lines of text about one thing: coloured on a terminal, plain in a pipe, and safe in both.

How far long work has come: on standard error, and only if that is a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import click

from flower.cli.escaping import escape_control, escape_lines


class DetailLine(NamedTuple):
    """`text` may be anything. `label` is what stands before it, `style` is rich's."""

    text: str = ""
    style: str = ""
    label: str = ""


def heading_lines(text: str) -> Iterator[DetailLine]:
    yield DetailLine()
    yield DetailLine(text, "bold")


def label_lines(pairs: Sequence[tuple[str, str]], width: int = 13) -> Iterator[DetailLine]:
    """Those that have a value, one below the other."""
    for name, value in pairs:
        if value:
            yield DetailLine(value, "", f"{name:{width}} ")


def quote_lines(text: str) -> Iterator[DetailLine]:
    """Text of several lines, each as it is."""
    for line in escape_lines(text.rstrip("\n")):
        yield DetailLine(f"  {line}")


def print_lines(lines: Iterable[DetailLine]) -> None:
    if not sys.stdout.isatty():
        for line in lines:
            click.echo(escape_control(line.label) + escape_control(line.text))
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text.assemble((escape_control(line.label), "dim"), (escape_control(line.text), line.style))
        console.print(text, soft_wrap=True)


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        bar = shown.add_task(label, total=total)
        yield lambda done: shown.update(bar, completed=done)
