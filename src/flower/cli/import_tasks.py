"""`flower import` (`import` is not a valid module name)."""

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
from flower.cli.base import EXIT_FAILED, QueryCommand, config_file_options, exit_if_empty, load_store_config
from flower.cli.table import echo_stderr
from flower.cli.terminal import progress_bar
from flower.redaction import Redactor, parse_rules

#: Maximum number of rejected lines that are reported one by one.
_MAX_REPORTED = 20


@click.command("import", cls=QueryCommand)
@config_file_options
@click.option("--no-redact", is_flag=True, help="Store secrets as they are in the file; for a trusted source.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
def import_tasks(*, db: str | None, conf: str | None, no_redact: bool, file: str) -> None:
    """Import tasks from FILE (- is standard input), an NDJSON or Parquet file of `flower export`, into a store.

    The newer version of an existing task is kept, so a file may be imported again. No recorder may be using the store
    at the same time. The store is created if it does not exist. Secrets are masked by the redaction rules of the
    configuration."""
    from flower.store.factory import open_writer  # noqa: PLC0415 - slow to import; not needed for --help

    config = load_store_config(db, conf)
    path = config.db
    rules = parse_rules(config.redact, config.redact_patterns, config.redact_args or ())
    redactor = None if no_redact else Redactor(rules)
    started_at = time.monotonic()
    rejected_lines = _RejectedLines()
    result = ImportResult()
    with _open_input(file) as source:
        writer = open_writer(path)
        try:
            parquet = detect_import_format(source.peek(4)) == "parquet"
            items = read_parquet(_make_seekable(source)) if parquet else read_ndjson(source)
            with progress_bar("Importing") as report:
                for result in import_records(items, writer, rejected_lines.add, redactor):
                    report(result.total)
        finally:
            writer.close()
    rejected_lines.print_summary()
    echo_stderr(
        f"{result.new:,} imported, {result.updated:,} updated, {result.unchanged:,} unchanged, "
        f"{result.rejected:,} rejected in {time.monotonic() - started_at:.1f} s: {path}"
    )
    if result.rejected:
        raise click.exceptions.Exit(EXIT_FAILED)
    exit_if_empty(result.total)


class _RejectedLines:
    """Reports the first rejected lines, counts the others."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, rejected: RejectedLine) -> None:
        self._count += 1
        if self._count <= _MAX_REPORTED:
            echo_stderr(f"Line {rejected.line:,} rejected: {rejected.reason}")

    def print_summary(self) -> None:
        if self._count > _MAX_REPORTED:
            echo_stderr(f"... and {self._count - _MAX_REPORTED:,} more lines rejected")


@contextmanager
def _open_input(file: str) -> Iterator[io.BufferedReader]:
    if file != "-":
        with Path(file).open("rb") as source:
            yield source
        return
    raw: Any = sys.stdin.buffer
    yield raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)


def _make_seekable(source: io.BufferedReader) -> BinaryIO:
    """A seekable file: Parquet is read from its end, so input from a pipe is copied to a temporary file."""
    if source.seekable():
        return source
    copy: Any = tempfile.TemporaryFile()  # noqa: SIM115 - closed and removed when it is garbage-collected
    shutil.copyfileobj(source, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)
