"""What the commands that act have in common: the application, the store, the ledger, and a note of what was done. They
speak to the broker themselves, as the server does: no server need be running.

The ledger of a store for the commands: the same options everywhere, who asks, and how they end."""

import asyncio
import getpass
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from flower.api.actions.models import ActionContext
from flower.celery_app import import_task_modules, lazy_app
from flower.cli.base import CommandContext, QueryCommand, load_store_config, query_command
from flower.config import Config
from flower.errors import FlowerError, Forbidden, InvalidRequest, NotFound, StoreError
from flower.redaction import Redactor, parse_rules
from flower.store.ledger import Ledger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ActionCommandContext:
    """What an acting command is handed beside what it was asked."""

    command: CommandContext
    config: Config
    ledger: Ledger
    _app: Callable[[], Any]
    user: str

    def action_dependencies(self) -> ActionContext:
        config = self.config
        rules = parse_rules(config.redact, config.redact_patterns, config.redact_args or ())
        return ActionContext(self.command.store, self._app(), self.ledger, Redactor(rules))

    def run_audited(self, action: str, targets: Sequence[str], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do it, and note it in the audit log: before it is done, and what it came to."""
        audit = self.ledger.audit
        entry = audit.add(action, user=self.user, auth_method="cli", outcome="in_progress", targets=targets)
        try:
            done = asyncio.run(work())
        except FlowerError as error:
            refused = isinstance(error, InvalidRequest | NotFound | Forbidden)
            audit.finish(entry, "refused" if refused else "failed", error.message)
            raise
        made = getattr(done, "task", None)
        audit.finish(entry, "done", targets=[made] if isinstance(made, str) and made not in targets else [])
        return done


def action_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command whose first argument is what it has to act with."""

    def make(function: Callable[..., None]) -> click.Command:
        def run(asked: CommandContext, /, *, app: str | None, broker: str | None, **given: Any) -> None:
            ctx = click.get_current_context()
            config = load_store_config(ctx.params.get("db"), ctx.params.get("conf"))
            if config.read_only:
                raise Forbidden("Read only mode is enabled")
            with _open_action_ledger(config) as ledger:
                function(
                    ActionCommandContext(asked, config, ledger, _load_action_app(ctx, app, broker), _user_name()),
                    **given,
                )

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        command = click.option("-b", "--broker", metavar="URL", help="Broker; overrides the application's.")(run)
        return query_command(name)(click.option("-A", "--app", metavar="NAME", help="The application.")(command))

    return make


def _load_action_app(ctx: click.Context, name: str | None, broker: str | None) -> Callable[[], Any]:
    """Behind celery it is the application that celery was told."""
    parents = (parent.obj for parent in (ctx, ctx.parent) if parent is not None)
    given = next((obj.app for obj in parents if hasattr(obj, "app")), None)
    return lazy_app(name, broker) if given is None or name else lambda: import_task_modules(given)


@contextmanager
def _open_action_ledger(config: Config) -> Iterator[Ledger]:
    from flower.store.factory import open_ledger  # noqa: PLC0415 - `--help` and mistakes need no database

    ledger = open_ledger(config.db)
    try:
        yield ledger
    finally:
        ledger.close()


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        return ""


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
    from flower.store.factory import open_ledger  # noqa: PLC0415 - `--help` and mistakes need no database

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
