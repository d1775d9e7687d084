"""`flower serve`, `record` and `web`, and `celery flower`: the commands that go on until a signal."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flower.cli.options import OptionsCommand, app_options, config_options, load_server_config
from flower.config import Config
from flower.errors import FlowerError


def _run_or_exit(work: Callable[[], None]) -> None:
    try:
        work()
    except FlowerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def celery_flower(ctx: click.Context, /, **given: str | None) -> None:
    """`celery [celery options] flower [options]`; the application comes from celery."""

    def work() -> None:
        config = load_server_config(ctx, given)
        from flower.app import serve  # noqa: PLC0415
        from flower.celery_app import LazyApp, import_task_modules  # noqa: PLC0415

        serve(config, LazyApp(lambda: import_task_modules(ctx.obj.app)), quiet=bool(ctx.obj.quiet))

    _run_or_exit(work)


def _server_command(start: Callable[[Config, Any, bool], None]) -> Callable[..., None]:
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
        **given: str | None,
    ) -> None:
        def work() -> None:
            if workdir:
                os.chdir(Path(workdir).expanduser())
            config = load_server_config(ctx, given)
            from flower.celery_app import lazy_app  # noqa: PLC0415

            start(config, lazy_app(app, broker), quiet)

        _run_or_exit(work)

    return command


def _serve(config: Config, app: Any, quiet: bool) -> None:
    from flower.app import serve  # noqa: PLC0415

    serve(config, app, quiet=quiet)


def _web(config: Config, app: Any, quiet: bool) -> None:
    from flower.app import serve  # noqa: PLC0415

    serve(config, app, with_recorder=False, quiet=quiet)


def _record(config: Config, app: Any, _quiet: bool) -> None:
    from flower.recorder_process import record_only  # noqa: PLC0415

    record_only(config, app)


serve = click.command("serve", cls=OptionsCommand, help="Record and serve pages (the default).")(
    _server_command(_serve)
)
record = click.command("record", cls=OptionsCommand, help="Record only.")(_server_command(_record))
web = click.command("web", cls=OptionsCommand, help="Serve pages only, from the store.")(_server_command(_web))
