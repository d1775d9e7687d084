"""`flower backup` and `flower restore`: copies of a store, made while it is in use."""

import os
import time
from datetime import datetime
from pathlib import Path

import click

from flower import __version__
from flower.cli.base import EXIT_FAILED, QueryCommand, config_file_options, load_store_config, require_store
from flower.cli.table import echo_stderr
from flower.cli.terminal import byte_progress_bar

#: A backup must not slow down the recorder and the pages.
_NICENESS = 10


@click.command("backup", cls=QueryCommand)
@config_file_options
@click.argument("target", metavar="DEST", type=click.Path(path_type=Path))
def backup(*, db: str | None, conf: str | None, target: Path) -> None:
    """Copy the store into the new directory DEST, as of one moment. Bellflower may be running."""
    from flower.store.sqlite.backup import create_backup  # noqa: PLC0415 - slow to import; not needed for --help

    source = Path(load_store_config(db, conf).db)
    require_store(source)
    os.nice(_NICENESS)
    started_at = time.monotonic()
    with byte_progress_bar("Copying") as report:
        manifest = create_backup(source, target, version=__version__, report=report)
    for name, reason in manifest.omitted.items():
        echo_stderr(f"Omitted: {name} cannot be read: {reason}")
    echo_stderr(
        f"{manifest.tasks:,} tasks, {len(manifest.files)} files, {manifest.size / 1e6:,.1f} MB"
        f" in {time.monotonic() - started_at:.1f} s: {target}"
    )
    if manifest.omitted:
        echo_stderr("The backup is incomplete. `flower check` shows what is damaged.")
        raise click.exceptions.Exit(EXIT_FAILED)


@click.command("restore", cls=QueryCommand)
@config_file_options
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--new-identity", is_flag=True, help="Required if the original store continues to record from the same broker."
)
def restore(*, db: str | None, conf: str | None, source: Path, new_identity: bool) -> None:
    """Create the store from the backup SOURCE. The data directory (--db) must not exist yet, or must be empty."""
    from flower.store.sqlite.backup import restore_backup  # noqa: PLC0415 - slow to import; not needed for --help

    target = Path(load_store_config(db, conf).db)
    started_at = time.monotonic()
    with byte_progress_bar("Restoring") as report:
        manifest = restore_backup(source, target, new_identity=new_identity, report=report)
    created = datetime.fromtimestamp(manifest.created_at).astimezone().isoformat(" ", "seconds")
    echo_stderr(
        f"{manifest.tasks:,} tasks as of {created}, {manifest.size / 1e6:,.1f} MB"
        f" in {time.monotonic() - started_at:.1f} s: {target}"
    )
    for name, reason in manifest.omitted.items():
        echo_stderr(f"Not in the backup: {name}, which could not be read: {reason}")
