"""The ledger of a store for the commands: the same options everywhere, who asks, and how they end."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from flower.cli.asking import QueryCommand, load_store_config
from flower.config import Config
from flower.errors import StoreError
from flower.store.ledger import Ledger


def ledger_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--conf", metavar="FILE", help="Configuration file.  [flowerconfig.py]")(command)
    return click.option("--db", metavar="FOLDER", help="The store.  [as for serve]")(command)


class LedgerCommand(QueryCommand):
    """Ends as the other commands do."""


@contextmanager
def open_store_ledger(db: str | None, conf: str | None, *, make: bool = False) -> Iterator[tuple[Ledger, Config]]:
    """The ledger of the store, and the options that go with it. Raises StoreError if there is no store, unless it may
    be made."""
    config = load_store_config(db, conf)
    path = Path(config.db)
    if not make and (not path.exists() or (path.is_dir() and not any(path.iterdir()))):
        raise StoreError(f"There is no store in {path}", hint="name one with --db, or let flower record one")
    from flower.store.opening import open_ledger  # noqa: PLC0415 - `--help` and mistakes need no database

    ledger = open_ledger(path)
    try:
        yield ledger, config
    finally:
        ledger.close()


def current_user() -> str:
    """The person at the terminal, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def write_audit(ledger: Ledger, action: str, **values: Any) -> None:
    ledger.audit.add(action, user=current_user(), auth_method="cli", **values)
