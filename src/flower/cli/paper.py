"""Lines of text about one thing: coloured on a terminal, plain in a pipe, and safe in both."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import click

from flower.cli.safe import visible, visible_lines


class Line(NamedTuple):
    """`text` may be anything. `label` is what stands before it, `style` is rich's."""

    text: str = ""
    style: str = ""
    label: str = ""


def heading(text: str) -> Iterator[Line]:
    yield Line()
    yield Line(text, "bold")


def labelled(pairs: Sequence[tuple[str, str]], width: int = 13) -> Iterator[Line]:
    """Those that have a value, one below the other."""
    for name, value in pairs:
        if value:
            yield Line(value, "", f"{name:{width}} ")


def quoted(text: str) -> Iterator[Line]:
    """Text of several lines, each as it is."""
    for line in visible_lines(text.rstrip("\n")):
        yield Line(f"  {line}")


def print_lines(lines: Iterable[Line]) -> None:
    if not sys.stdout.isatty():
        for line in lines:
            click.echo(visible(line.label) + visible(line.text))
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text.assemble((visible(line.label), "dim"), (visible(line.text), line.style))
        console.print(text, soft_wrap=True)
