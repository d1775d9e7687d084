"""`flower export`."""

import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from flower.api.asking import WRITTEN, query_of
from flower.api.columns import columns_named
from flower.api.exporting import FORMATS, Format, format_of, pieces
from flower.cli.asking import Asked, asking, found, with_query
from flower.cli.progress import progress
from flower.cli.sheet import say, write_machine
from flower.errors import FlowerError, Invalid
from flower.records import Task
from flower.store.port import Query, Reader

#: Tasks between two looks at the progress.
_STEP = 500


@asking("export")
@with_query
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Instead of what FILE ends with; - is ndjson.")
@click.option(
    "--columns", metavar="NAMES", help="Such as uuid,runtime,kwargs.order_id; whole records if none is named."
)
def export(asked: Asked, *, file: str, form: Format | None, columns: str | None) -> None:
    """Write the tasks that QUERY lets through to FILE (- is standard output), in the order of first writing.

    NDJSON and Parquet of whole records can be imported again. CSV is for spreadsheets."""
    form = form or format_of(file) or ("ndjson" if file == "-" else None)
    if form is None:
        raise Invalid(f"What shall {file} be?", hint="end it with .ndjson, .csv or .parquet, or say --format")
    if form == "parquet" and file == "-" and sys.stdout.isatty():
        raise Invalid("Parquet is not for a terminal", hint="name a file, or send it down a pipe")
    chosen = None if columns is None else columns_named(columns)
    query = query_of(asked.query, WRITTEN, **asked.window)
    began = time.monotonic()
    with progress("Exporting", _total(asked.store, query)) as tell:
        counter = _Counter(asked.store.tasks(query), tell)
        size = _write(file, pieces(counter, form, chosen), form)
    if file != "-":
        say(f"{counter.count:,} tasks, {size / 1e6:,.1f} MB in {time.monotonic() - began:.1f} s: {file}")
    found(counter.count)


class _Counter:
    """Counts the tasks that go through."""

    def __init__(self, tasks: Iterable[Task], tell: Callable[[int], None]) -> None:
        self._tasks = tasks
        self._tell = tell
        self.count = 0

    def __iter__(self) -> Iterator[Task]:
        for task in self._tasks:
            self.count += 1
            if self.count % _STEP == 0:
                self._tell(self.count)
            yield task


def _total(store: Reader, query: Query) -> int | None:
    """For the bar only, so nobody waits for it who sees none."""
    if not sys.stderr.isatty():
        return None
    try:
        count = store.counted(query.where)
    except FlowerError:  # the export itself will say what is wrong
        return None
    return None if count.partial else count.count


def _write(file: str, parts: Iterator[bytes], form: Format) -> int:
    if file == "-":
        return sum(_to_output(part, form) for part in parts)
    with _new_file(Path(file)) as write:
        return sum(map(write, parts))


def _to_output(part: bytes, form: Format) -> int:
    if form == "parquet":
        click.echo(part, nl=False)
    else:
        write_machine(part, form)
    return len(part)


@contextmanager
def _new_file(path: Path) -> Iterator[Callable[[bytes], int]]:
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
