"""`flower import` (a word that no Python module can be called by)."""

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from flower.api.importer import (
    ImportResult,
    RejectedLine,
    detect_import_format,
    import_records,
    read_ndjson,
    read_parquet,
)
from flower.cli.base import EXIT_FAILED, QueryCommand, exit_if_empty, load_store_config
from flower.cli.table import echo_stderr
from flower.cli.terminal import progress_bar

#: Lines that are named one by one when they cannot be brought in.
_MAX_REPORTED = 20


@click.command("import", cls=QueryCommand)
@click.option("--db", metavar="FOLDER", help="The store; made if it is not there.  [as for serve]")
@click.option("--conf", metavar="FILE", help="Configuration file.  [flowerconfig.py]")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
def import_tasks(*, db: str | None, conf: str | None, file: str) -> None:
    """Bring the tasks of FILE (- is standard input), NDJSON or Parquet of `flower export`, into a store.

    A task that is there already is kept in its newer version, so the same file may be brought in again. Nobody may
    be recording into the store meanwhile."""
    from flower.store.factory import open_writer  # noqa: PLC0415

    path = load_store_config(db, conf).db
    began = time.monotonic()
    refusals = _RejectedLines()
    outcome = ImportResult()
    with _open_input(file) as source:
        writer = open_writer(path)
        try:
            parquet = detect_import_format(source.peek(4)) == "parquet"
            items = read_parquet(_make_seekable(source)) if parquet else read_ndjson(source)
            with progress_bar("Importing") as tell:
                for outcome in import_records(items, writer, refusals.add):
                    tell(outcome.total)
        finally:
            writer.close()
    refusals.print_summary()
    echo_stderr(
        f"{outcome.new:,} new tasks, {outcome.updated:,} in a newer version, {outcome.unchanged:,} as they were, "
        f"{outcome.rejected:,} lines refused in {time.monotonic() - began:.1f} s: {path}"
    )
    if outcome.rejected:
        raise click.exceptions.Exit(EXIT_FAILED)
    exit_if_empty(outcome.total)


class _RejectedLines:
    """Names the first lines, counts the others."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, refused: RejectedLine) -> None:
        self._count += 1
        if self._count <= _MAX_REPORTED:
            echo_stderr(f"Line {refused.line:,} was skipped: {refused.reason}")

    def print_summary(self) -> None:
        if self._count > _MAX_REPORTED:
            echo_stderr(f"... and {self._count - _MAX_REPORTED:,} more lines were skipped")


@contextmanager
def _open_input(file: str) -> Iterator[io.BufferedReader]:
    if file != "-":
        with Path(file).open("rb") as source:
            yield source
        return
    raw: Any = sys.stdin.buffer
    yield raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)


def _make_seekable(source: io.BufferedReader) -> BinaryIO:
    """Parquet is read from its end; what comes down a pipe goes through a file."""
    if source.seekable():
        return source
    copy: Any = tempfile.TemporaryFile()  # noqa: SIM115 - closed, and so gone, when nobody holds it any more
    shutil.copyfileobj(source, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)
