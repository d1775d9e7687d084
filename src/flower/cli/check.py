"""`flower check`: finds damage and contradictions in a store."""

import os
from pathlib import Path

import click
import msgspec

from flower.cli.base import QueryCommand, config_file_options, load_store_config, require_store
from flower.cli.table import echo_stderr, write_output
from flower.cli.terminal import progress_bar

#: A check must not slow down the recorder and the pages.
_NICENESS = 15
#: Exit status if there are errors.
EXIT_ERRORS = 1


@click.command("check", cls=QueryCommand)
@config_file_options
@click.argument("store", required=False, type=click.Path(path_type=Path))
@click.option("--repair", is_flag=True, help="Delete damaged column files and text index files; they are built again.")
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def check(*, db: str | None, conf: str | None, store: Path | None, repair: bool, as_json: bool) -> None:
    """Check STORE (or --db): pages, rows, catalog, counters, ledger, column files and text index.

    The exit status is 1 if there are errors. Bellflower may be running, except for --repair."""
    from flower.store.sqlite.check.store_check import check_store  # noqa: PLC0415 - slow to import

    path = store if store is not None else Path(load_store_config(db, conf).db)
    require_store(path)
    os.nice(_NICENESS)
    with progress_bar("Checking") as report:
        result = check_store(path, repair=repair, report=lambda done, total: report(done))
    if as_json:
        write_output(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n", "json")
    else:
        for finding in result.findings:
            click.echo(f"{finding.severity}: {finding.file}: {finding.problem}")
            click.echo(f"  {finding.advice}")
        for name in result.repaired:
            click.echo(f"deleted: {name}")
        notes = len(result.findings) - result.errors
        echo_stderr(
            f"{result.errors:,} errors, {notes:,} notes in {result.files:,} files with {result.tasks:,} tasks"
            f" ({result.seconds:.1f} s): {path}"
        )
    if any(each.severity == "error" and each.file not in result.repaired for each in result.findings):
        raise click.exceptions.Exit(EXIT_ERRORS)
