"""Base of the commands that change something or use the ledger: the application, the ledger, the audit log.

These commands connect to the broker themselves, as the server does; no server needs to be running. What only the
execution requires is imported by functions: completion imports this module, and takes no longer than a key press.
"""

import getpass
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flower.celery_app import import_task_modules, lazy_app
from flower.cli.base import CommandContext, load_store_config, query_command, require_store
from flower.config import Config
from flower.errors import BackendUnavailable, FlowerError, Forbidden, InvalidRequest, NotFound
from flower.store.ledger import Ledger

if TYPE_CHECKING:
    from flower.api.actions.models import ActionContext

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ActionCommandContext:
    """The context of a command that changes something; `command` is the context of a query command."""

    command: CommandContext
    config: Config
    ledger: Ledger
    _app: Callable[[], Any]
    user: str

    def action_dependencies(self) -> "ActionContext":
        """The dependencies of the functions in `api.actions`. Imports the application."""
        from flower.api.actions.models import ActionContext  # noqa: PLC0415 - not needed for completion
        from flower.redaction import Redactor, parse_rules  # noqa: PLC0415 - not needed for completion

        config = self.config
        rules = parse_rules(config.redact, config.redact_patterns, config.redact_args or ())
        return ActionContext(self.command.store, self._app(), self.ledger, Redactor(rules))

    def run_audited(self, action: str, targets: Sequence[str], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` and write it to the audit log: an entry before it starts, and its outcome."""
        import asyncio  # noqa: PLC0415 - not needed for completion

        audit = self.ledger.audit
        entry = audit.add(action, user=self.user, auth_method="cli", outcome="in_progress", targets=targets)
        try:
            result = asyncio.run(work())
        except FlowerError as error:
            refused = isinstance(error, InvalidRequest | NotFound | Forbidden)
            audit.finish(entry, "refused" if refused else "failed", error.message)
            raise
        new_task = getattr(result, "task", None)
        new_targets = [new_task] if isinstance(new_task, str) and new_task not in targets else []
        audit.finish(entry, "done", targets=new_targets)
        return result


def action_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command whose function receives an `ActionCommandContext` as its first argument."""

    def make(function: Callable[..., None]) -> click.Command:
        def run(command: CommandContext, /, *, app: str | None, broker: str | None, **options: Any) -> None:
            ctx = click.get_current_context()
            with open_store_ledger(ctx.params.get("db"), ctx.params.get("conf"), create=True) as (ledger, config):
                if config.read_only:
                    raise Forbidden("Read only mode is enabled")
                load_app = _action_app_loader(ctx, app, broker)
                context = ActionCommandContext(command, config, ledger, load_app, current_user())
                try:
                    function(context, **options)
                except BackendUnavailable as error:
                    if app is None and broker is None and not error.hint:
                        error.hint = "without -A or -b, the broker of Celery's default settings is used"
                    raise

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        with_broker = click.option("-b", "--broker", metavar="URL", help="Broker URL; overrides the application's.")(
            run
        )
        return query_command(name)(click.option("-A", "--app", metavar="NAME", help="Celery application.")(with_broker))

    return make


def _action_app_loader(ctx: click.Context, name: str | None, broker: str | None) -> Callable[[], Any]:
    """Loads the named application, or that of the celery program for `celery flower`."""
    parents = (parent.obj for parent in (ctx, ctx.parent) if parent is not None)
    celery_app = next((obj.app for obj in parents if hasattr(obj, "app")), None)
    return lazy_app(name, broker) if celery_app is None or name else lambda: import_task_modules(celery_app)


def require_broker(app: Any) -> None:
    """Raises BackendUnavailable if the broker of the application cannot be reached."""
    from flower.capture.connection import describe_error, open_connection  # noqa: PLC0415 - not needed for completion

    connection = app.connection_for_write()
    try:
        with open_connection(connection):
            pass
    except Exception as error:  # each transport has its own errors
        url = app.conf.broker_write_url or connection.as_uri()
        raise BackendUnavailable(f"Broker: {describe_error(error, url)}") from error


@contextmanager
def open_store_ledger(db: str | None, conf: str | None, *, create: bool = False) -> Iterator[tuple[Ledger, Config]]:
    """The ledger of the store, and the configuration. Raises StoreError if there is no store, unless `create`."""
    config = load_store_config(db, conf)
    path = Path(config.db)
    if not create:
        require_store(path)
    from flower.store.factory import open_ledger  # noqa: PLC0415 - slow to import; not needed for --help

    with closing(open_ledger(path)) as ledger:
        yield ledger, config


def current_user() -> str:
    """The name of the operating system's user, for the audit log; the numeric id if it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def write_audit(ledger: Ledger, action: str, **values: Any) -> None:
    """Write a completed action to the audit log."""
    ledger.audit.add(action, user=current_user(), auth_method="cli", **values)
