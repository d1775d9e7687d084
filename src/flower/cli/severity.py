"""Output and exit status of the commands that report issues: `flower health` and `flower doctor`."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Final

import click

from flower.cli.base import EXIT_EMPTY, EXIT_FAILED
from flower.cli.terminal import DetailLine

EXIT_ZERO_HELP: Final = "Exit with status 0 also if there are issues."

_STYLES: Final = {
    "ok": "green", "warning": "yellow", "unknown": "yellow", "critical": "bold red", "error": "bold red",
    "skipped": "dim",
}  # fmt: skip
#: Width of a severity and the space after it.
_INDENT: Final = 9
_MAX_WIDTH: Final = 110


def finding_lines(severity: str, title: str, detail: str = "", action: str = "") -> Iterator[DetailLine]:
    """A severity with a title, and below it the detail and what to do; wrapped on a terminal only."""
    first, *rest = _wrap(title)
    yield DetailLine(f"{severity:{_INDENT}}{first}", _STYLES.get(severity, ""))
    yield from (DetailLine(" " * _INDENT + line) for line in rest)
    yield from (DetailLine(" " * _INDENT + line, "dim" if severity == "skipped" else "") for line in _wrap(detail))
    yield from (DetailLine(" " * _INDENT + line, "cyan") for line in _wrap(f"→ {action}" if action else ""))


def exit_by_severity(*, has_errors: bool, has_warnings: bool) -> None:
    """Exit with EXIT_FAILED for errors and EXIT_EMPTY for warnings; return if there are none."""
    if has_errors or has_warnings:
        raise click.exceptions.Exit(EXIT_FAILED if has_errors else EXIT_EMPTY)


def _wrap(text: str) -> list[str]:
    if not sys.stdout.isatty() or not text:
        return [text] if text else []
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH) - _INDENT
    return textwrap.wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False) or [""]
