"""What the commands that act have in common: the application, the store, the ledger, and a note of what was done. They
speak to the broker themselves, as the server does: no server need be running."""

import asyncio
import getpass
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from flower.api.actions.means import Means
from flower.celery_app import named, prepared
from flower.cli.asking import Asked, asking, config_of
from flower.config import Config
from flower.errors import FlowerError, Forbidden, Invalid, NotFound
from flower.redaction import Redactor, rules_from
from flower.store.ledger import Ledger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Acted:
    """What an acting command is handed beside what it was asked."""

    asked: Asked
    config: Config
    ledger: Ledger
    _app: Callable[[], Any]
    who: str

    def means(self) -> Means:
        config = self.config
        rules = rules_from(config.redact, config.redact_patterns, config.redact_args or ())
        return Means(self.asked.store, self._app(), self.ledger, Redactor(rules))

    def noted(self, action: str, targets: Sequence[str], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do it, and note it in the audit log: before it is done, and what it came to."""
        audit = self.ledger.audit
        entry = audit.add(action, who=self.who, way="cli", outcome="begun", targets=targets)
        try:
            done = asyncio.run(work())
        except FlowerError as error:
            refused = isinstance(error, Invalid | NotFound | Forbidden)
            audit.finish(entry, "refused" if refused else "failed", error.message)
            raise
        made = getattr(done, "task", None)
        audit.finish(entry, "done", targets=[made] if isinstance(made, str) and made not in targets else [])
        return done


def acting(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command whose first argument is what it has to act with."""

    def make(function: Callable[..., None]) -> click.Command:
        def run(asked: Asked, /, *, app: str | None, broker: str | None, **given: Any) -> None:
            ctx = click.get_current_context()
            config = config_of(ctx.params.get("db"), ctx.params.get("conf"))
            if config.read_only:
                raise Forbidden("Read only mode is enabled")
            with _ledger(config) as ledger:
                function(Acted(asked, config, ledger, _app(ctx, app, broker), _user()), **given)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        command = click.option("-b", "--broker", metavar="URL", help="Broker; overrides the application's.")(run)
        return asking(name)(click.option("-A", "--app", metavar="NAME", help="The application.")(command))

    return make


def _app(ctx: click.Context, name: str | None, broker: str | None) -> Callable[[], Any]:
    """Behind celery it is the application that celery was told."""
    parents = (parent.obj for parent in (ctx, ctx.parent) if parent is not None)
    given = next((obj.app for obj in parents if hasattr(obj, "app")), None)
    return named(name, broker) if given is None or name else lambda: prepared(given)


@contextmanager
def _ledger(config: Config) -> Iterator[Ledger]:
    from flower.store.opening import open_ledger  # noqa: PLC0415 - `--help` and mistakes need no database

    ledger = open_ledger(config.db)
    try:
        yield ledger
    finally:
        ledger.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        return ""
