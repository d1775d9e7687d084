"""The ledger of a store for the commands: the same options everywhere, who asks, and how they end."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from flower.cli.asking import AskingCommand, config_of
from flower.config import Config
from flower.errors import StoreError
from flower.store.ledger import Ledger


def with_ledger(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--conf", metavar="FILE", help="Configuration file.  [flowerconfig.py]")(command)
    return click.option("--db", metavar="FOLDER", help="The store.  [as for serve]")(command)


class LedgerCommand(AskingCommand):
    """Ends as the other commands do."""


@contextmanager
def opened(db: str | None, conf: str | None, *, make: bool = False) -> Iterator[tuple[Ledger, Config]]:
    """The ledger of the store, and the options that go with it. Raises StoreError if there is no store, unless it may
    be made."""
    config = config_of(db, conf)
    path = Path(config.db)
    if not make and (not path.exists() or (path.is_dir() and not any(path.iterdir()))):
        raise StoreError(f"There is no store in {path}", hint="name one with --db, or let flower record one")
    from flower.store.opening import open_ledger  # noqa: PLC0415 - `--help` and mistakes need no database

    ledger = open_ledger(path)
    try:
        yield ledger, config
    finally:
        ledger.close()


def whoami() -> str:
    """The person at the terminal, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def note(ledger: Ledger, action: str, **values: Any) -> None:
    ledger.audit.add(action, who=whoami(), way="cli", **values)
