"""`flower serve`, `record` and `web`, and `celery flower`: the commands that run until a signal arrives."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flower.celery_app import LazyApp, import_task_modules, lazy_app
from flower.cli.options import OptionsCommand, app_options, config_options, load_server_config
from flower.config import Config
from flower.errors import FlowerError, InvalidRequest


def _run_or_exit(work: Callable[[], None]) -> None:
    try:
        work()
    except FlowerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _change_directory(path: str) -> None:
    """Raises InvalidRequest."""
    try:
        os.chdir(Path(path).expanduser())
    except (OSError, RuntimeError) as error:
        raise InvalidRequest(f"--workdir: cannot change to {path}: {getattr(error, 'strerror', error)}") from error


def celery_flower(ctx: click.Context, /, **options: str | None) -> None:
    """`celery [celery options] flower [options]`; the application is that of the celery program."""

    def work() -> None:
        config = load_server_config(ctx, options)
        _serve(config, LazyApp(lambda: import_task_modules(ctx.obj.app)), bool(ctx.obj.quiet))

    _run_or_exit(work)


def _server_command(start: Callable[[Config, LazyApp, bool], None]) -> Callable[..., None]:
    @app_options
    @config_options
    @click.pass_context
    def command(
        ctx: click.Context,
        /,
        *,
        app: str | None,
        broker: str | None,
        workdir: str | None,
        quiet: bool,
        **options: str | None,
    ) -> None:
        def work() -> None:
            if workdir:
                _change_directory(workdir)
            start(load_server_config(ctx, options), lazy_app(app, broker), quiet)

        _run_or_exit(work)

    return command


def _serve(config: Config, app: LazyApp, quiet: bool, **options: Any) -> None:
    from flower.app import serve  # noqa: PLC0415 - large; not needed for --help

    serve(config, app, quiet=quiet, **options)


def _web(config: Config, app: LazyApp, quiet: bool) -> None:
    _serve(config, app, quiet, with_recorder=False)


def _record(config: Config, app: LazyApp, _quiet: bool) -> None:
    from flower.recorder_process import record_only  # noqa: PLC0415 - large; not needed for --help

    record_only(config, app)


serve = click.command("serve", cls=OptionsCommand, help="Record events and serve the web UI (default).")(
    _server_command(_serve)
)
record = click.command("record", cls=OptionsCommand, help="Record events only.")(_server_command(_record))
web = click.command("web", cls=OptionsCommand, help="Serve the web UI only, from the store.")(_server_command(_web))
