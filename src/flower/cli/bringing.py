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

from flower.api.importing import Outcome, Refused, bring_in, form_of, read_ndjson, read_parquet
from flower.cli.asking import UNANSWERED, AskingCommand, config_of, found
from flower.cli.progress import progress
from flower.cli.sheet import say

#: Lines that are named one by one when they cannot be brought in.
_NAMED = 20


@click.command("import", cls=AskingCommand)
@click.option("--db", metavar="FOLDER", help="The store; made if it is not there.  [as for serve]")
@click.option("--conf", metavar="FILE", help="Configuration file.  [flowerconfig.py]")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
def import_tasks(*, db: str | None, conf: str | None, file: str) -> None:
    """Bring the tasks of FILE (- is standard input), NDJSON or Parquet of `flower export`, into a store.

    A task that is there already is kept in its newer version, so the same file may be brought in again. Nobody may
    be recording into the store meanwhile."""
    from flower.store.opening import open_writer  # noqa: PLC0415

    path = config_of(db, conf).db
    began = time.monotonic()
    refusals = _Refusals()
    outcome = Outcome()
    with _opened(file) as source:
        writer = open_writer(path)
        try:
            parquet = form_of(source.peek(4)) == "parquet"
            items = read_parquet(_seekable(source)) if parquet else read_ndjson(source)
            with progress("Importing") as tell:
                for outcome in bring_in(items, writer, refusals.add):
                    tell(outcome.read)
        finally:
            writer.close()
    refusals.sum_up()
    say(
        f"{outcome.new:,} new tasks, {outcome.newer:,} in a newer version, {outcome.kept:,} as they were, "
        f"{outcome.refused:,} lines refused in {time.monotonic() - began:.1f} s: {path}"
    )
    if outcome.refused:
        raise click.exceptions.Exit(UNANSWERED)
    found(outcome.read)


class _Refusals:
    """Names the first lines, counts the others."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, refused: Refused) -> None:
        self._count += 1
        if self._count <= _NAMED:
            say(f"Line {refused.line:,} was skipped: {refused.reason}")

    def sum_up(self) -> None:
        if self._count > _NAMED:
            say(f"... and {self._count - _NAMED:,} more lines were skipped")


@contextmanager
def _opened(file: str) -> Iterator[io.BufferedReader]:
    if file != "-":
        with Path(file).open("rb") as source:
            yield source
        return
    raw: Any = sys.stdin.buffer
    yield raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)


def _seekable(source: io.BufferedReader) -> BinaryIO:
    """Parquet is read from its end; what comes down a pipe goes through a file."""
    if source.seekable():
        return source
    copy: Any = tempfile.TemporaryFile()  # noqa: SIM115 - closed, and so gone, when nobody holds it any more
    shutil.copyfileobj(source, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)
