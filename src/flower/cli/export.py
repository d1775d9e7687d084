"""`flower export`."""

import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from flower.api.columns import get_columns
from flower.api.exporter import EXPORT_FORMATS, ExportFormat, guess_export_format, serialize_tasks
from flower.api.query_params import WRITTEN_ORDER, build_query
from flower.cli.base import CommandContext, exit_if_empty, exit_if_partial, query_command, query_options
from flower.cli.formatting import format_duration, format_size
from flower.cli.table import echo_stderr, write_output
from flower.cli.terminal import progress_bar
from flower.errors import FlowerError, InvalidRequest, StoreDamaged, StoreError
from flower.private_files import open_file
from flower.records import Task
from flower.store.protocols import Query, Reader

#: Number of tasks between two updates of the progress bar.
_PROGRESS_STEP = 500


@query_command("export")
@query_options
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--format",
    "output_format",
    type=click.Choice(EXPORT_FORMATS),
    help="File format.  [default: that of the file extension; ndjson for -]",
)
@click.option(
    "--columns", metavar="NAMES", help="Columns, e.g. uuid,runtime,kwargs.order_id; default: complete records."
)
def export(ctx: CommandContext, *, file: str, output_format: ExportFormat | None, columns: str | None) -> None:
    """Export the tasks matching QUERY to FILE (- is standard output), in the order in which they were first recorded.

    NDJSON and Parquet files of complete records can be imported. CSV is for spreadsheets."""
    output_format = output_format or guess_export_format(file) or ("ndjson" if file == "-" else None)
    if output_format is None:
        raise InvalidRequest(
            f"Unknown file type: {file}",
            hint="the last word is the file, with the extension .ndjson, .csv or .parquet, or - with --format",
        )
    if output_format == "parquet" and file == "-" and sys.stdout.isatty():
        raise InvalidRequest("Parquet cannot be written to a terminal", hint="use a file or a pipe")
    selected = None if columns is None else get_columns(columns)
    query = build_query(ctx.query, WRITTEN_ORDER, **ctx.window)
    started_at = time.monotonic()
    with progress_bar("Exporting", _count_total(ctx.store, query)) as report:
        counter = _ProgressCounter(ctx.store.tasks(query, strict=True), report)
        size = _write(file, serialize_tasks(counter, output_format, selected), output_format)
    if file != "-":
        seconds = format_duration(time.monotonic() - started_at)
        echo_stderr(f"{counter.count:,} tasks, {format_size(size)} in {seconds}: {file}")
    exit_if_partial(counter.missing or ctx.store.explain_missing(query.where))
    exit_if_empty(counter.count)


class _ProgressCounter:
    """Counts the tasks that are taken from an iterable, and reports the progress."""

    def __init__(self, tasks: Iterable[Task], report: Callable[[int], None]) -> None:
        self._tasks = tasks
        self._report = report
        self.count = 0
        #: why tasks are missing: the file with the others is kept
        self.missing: str | None = None

    def __iter__(self) -> Iterator[Task]:
        try:
            for task in self._tasks:
                self.count += 1
                if self.count % _PROGRESS_STEP == 0:
                    self._report(self.count)
                yield task
        except StoreDamaged as error:
            self.missing = str(error)


def _count_total(store: Reader, query: Query) -> int | None:
    """The number of tasks for the progress bar; None without a progress bar."""
    if not sys.stderr.isatty():
        return None
    try:
        count = store.count_until_deadline(query.where)
    except FlowerError:  # the export raises the same error
        return None
    return None if count.partial else count.count


def _write(file: str, parts: Iterator[bytes], output_format: ExportFormat) -> int:
    if file == "-":
        return sum(_write_stdout(part, output_format) for part in parts)
    with _create_file(Path(file)) as write:
        return sum(map(write, parts))


def _write_stdout(part: bytes, output_format: ExportFormat) -> int:
    if output_format == "parquet":
        click.echo(part, nl=False)
    else:
        write_output(part, output_format)
    return len(part)


@contextmanager
def _create_file(path: Path) -> Iterator[Callable[[bytes], int]]:
    """Write to a temporary file that replaces `path` when it is complete. A device or pipe is written directly. A new
    file is readable by its owner only; an existing one keeps its mode."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device.write
        return
    # Named before it is created, so that it can be removed after Ctrl-C at any moment.
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            output = open_file(new, "xb")
        except OSError as error:
            hint = "check the directory and its mode"
            raise StoreError(f"Cannot write {path}: {error.strerror}", hint=hint) from error
        with output:
            yield output.write
        if path.exists():
            new.chmod(stat.S_IMODE(path.stat().st_mode))
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
