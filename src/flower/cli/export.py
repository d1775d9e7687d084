"""`flower export`."""

import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from flower.api.columns import get_columns
from flower.api.exporter import EXPORT_FORMATS, ExportFormat, guess_export_format, serialize_tasks
from flower.api.query_params import WRITTEN_ORDER, build_query
from flower.cli.base import CommandContext, exit_if_empty, query_command, query_options
from flower.cli.table import echo_stderr, write_output
from flower.cli.terminal import progress_bar
from flower.errors import FlowerError, InvalidRequest
from flower.records import Task
from flower.store.protocols import Query, Reader

#: Tasks between two looks at the progress.
_PROGRESS_STEP = 500


@query_command("export")
@query_options
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--format", "form", type=click.Choice(EXPORT_FORMATS), help="Instead of what FILE ends with; - is ndjson."
)
@click.option(
    "--columns", metavar="NAMES", help="Such as uuid,runtime,kwargs.order_id; whole records if none is named."
)
def export(asked: CommandContext, *, file: str, form: ExportFormat | None, columns: str | None) -> None:
    """Write the tasks that QUERY lets through to FILE (- is standard output), in the order of first writing.

    NDJSON and Parquet of whole records can be imported again. CSV is for spreadsheets."""
    form = form or guess_export_format(file) or ("ndjson" if file == "-" else None)
    if form is None:
        raise InvalidRequest(f"What shall {file} be?", hint="end it with .ndjson, .csv or .parquet, or say --format")
    if form == "parquet" and file == "-" and sys.stdout.isatty():
        raise InvalidRequest("Parquet is not for a terminal", hint="name a file, or send it down a pipe")
    chosen = None if columns is None else get_columns(columns)
    query = build_query(asked.query, WRITTEN_ORDER, **asked.window)
    began = time.monotonic()
    with progress_bar("Exporting", _count_total(asked.store, query)) as tell:
        counter = _ProgressCounter(asked.store.tasks(query), tell)
        size = _write(file, serialize_tasks(counter, form, chosen), form)
    if file != "-":
        echo_stderr(f"{counter.count:,} tasks, {size / 1e6:,.1f} MB in {time.monotonic() - began:.1f} s: {file}")
    exit_if_empty(counter.count)


class _ProgressCounter:
    """Counts the tasks that go through."""

    def __init__(self, tasks: Iterable[Task], report: Callable[[int], None]) -> None:
        self._tasks = tasks
        self._report = report
        self.count = 0

    def __iter__(self) -> Iterator[Task]:
        for task in self._tasks:
            self.count += 1
            if self.count % _PROGRESS_STEP == 0:
                self._report(self.count)
            yield task


def _count_total(store: Reader, query: Query) -> int | None:
    """For the bar only, so nobody waits for it who sees none."""
    if not sys.stderr.isatty():
        return None
    try:
        count = store.count_until_deadline(query.where)
    except FlowerError:  # the export itself will say what is wrong
        return None
    return None if count.partial else count.count


def _write(file: str, parts: Iterator[bytes], form: ExportFormat) -> int:
    if file == "-":
        return sum(_write_stdout(part, form) for part in parts)
    with _create_file(Path(file)) as write:
        return sum(map(write, parts))


def _write_stdout(part: bytes, form: ExportFormat) -> int:
    if form == "parquet":
        click.echo(part, nl=False)
    else:
        write_output(part, form)
    return len(part)


@contextmanager
def _create_file(path: Path) -> Iterator[Callable[[bytes], int]]:
    """The file appears whole or not at all; what was there before stays until then. A device or pipe is written to."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device.write
        return
    # named before it is made, so that Ctrl-C finds it at any moment
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with new.open("xb") as output:
            yield output.write
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
