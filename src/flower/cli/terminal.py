"""Detail view and progress bar: styled on a terminal, plain when piped, control characters escaped."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import click

from flower.cli.escaping import escape_control, escape_lines


class DetailLine(NamedTuple):
    """One line of a detail view; `label` precedes `text`, `style` is a style of rich. Text is escaped when printed."""

    text: str = ""
    style: str = ""
    label: str = ""


def heading_lines(text: str) -> Iterator[DetailLine]:
    """An empty line and a heading."""
    yield DetailLine()
    yield DetailLine(text, "bold")


def label_lines(pairs: Sequence[tuple[str, str]], width: int = 13) -> Iterator[DetailLine]:
    """One line for each pair of name and value, without empty values."""
    for name, value in pairs:
        if value:
            yield DetailLine(value, "", f"{name:{width}} ")


def quote_lines(text: str) -> Iterator[DetailLine]:
    """The lines of a text, indented."""
    for line in escape_lines(text.rstrip("\n")):
        yield DetailLine(f"  {line}")


def print_lines(lines: Iterable[DetailLine]) -> None:
    """Print a detail view to standard output."""
    if not sys.stdout.isatty():
        for line in lines:
            click.echo(escape_control(line.label) + escape_control(line.text))
        return
    from flower.cli import rich_output  # noqa: PLC0415 - needed on a terminal only

    rich_output.print_styled((escape_control(line.label), escape_control(line.text), line.style) for line in lines)


def progress_bar(label: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
    """A progress bar on standard error if that is a terminal. The context is a function that takes the number of
    completed steps."""
    if not sys.stderr.isatty():
        return nullcontext(lambda completed: None)
    from flower.cli import rich_output  # noqa: PLC0415 - needed on a terminal only

    return rich_output.progress_bar(label, total)


def byte_progress_bar(label: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """A progress bar on standard error if that is a terminal. The context is a function that takes the number of bytes
    done and of all bytes."""
    if not sys.stderr.isatty():
        return nullcontext(lambda done, total: None)
    from flower.cli import rich_output  # noqa: PLC0415 - needed on a terminal only

    return rich_output.byte_progress_bar(label)
