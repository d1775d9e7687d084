"""`flower serve`, `record` and `web`, and `celery flower`: the commands that run until a signal arrives."""

import os
import sys
from collections.abc import Callable

import click

from flower.celery_app import LazyApp, lazy_app
from flower.cli.celery_order import check_order, load_with_order, warn_order
from flower.cli.global_options import apply_options, stored_options
from flower.cli.options import RECORD_OPTIONS, WEB_OPTIONS, OptionsCommand, config_options, load_server_config
from flower.cli.temporary_store import with_writable_store
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


def limit_blas_threads() -> None:
    """Start no threads for linear algebra, which no process of the server uses. Called before numpy is imported; child
    processes inherit it. Starting them takes 0.05 s of processor time."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def celery_flower(ctx: click.Context, /, **options: str | None) -> None:
    """`celery [celery options] flower [options]`; the application is that of the celery program."""

    def work() -> None:
        limit_blas_threads()
        given = stored_options(ctx)
        check_order(ctx, given)
        apply_options(given)
        config = load_server_config(ctx, options)
        warn_order(given)
        _serve(config, load_with_order(ctx, given), bool(ctx.obj.quiet or given.get("quiet")))

    _run_or_exit(work)


def _server_command(start: Callable[[Config, LazyApp, bool], None]) -> Callable[..., None]:
    @config_options
    @click.pass_context
    def command(ctx: click.Context, /, **options: str | None) -> None:
        def work() -> None:
            limit_blas_threads()
            given = stored_options(ctx)
            apply_options(given)
            app = lazy_app(given.get("app"), given.get("broker"))
            start(load_server_config(ctx, options), app, bool(given.get("quiet")))

        _run_or_exit(work)

    return command


def _serve(config: Config, app: LazyApp, quiet: bool) -> None:
    from flower.app import serve  # noqa: PLC0415 - large; not needed for --help

    with with_writable_store(config) as usable:
        serve(usable, app, quiet=quiet)


def _web(config: Config, app: LazyApp, quiet: bool) -> None:
    from flower.app import serve  # noqa: PLC0415 - large; not needed for --help

    serve(config, app, quiet=quiet, with_recorder=False)


def _record(config: Config, app: LazyApp, _quiet: bool) -> None:
    from flower.recorder_process import record_only  # noqa: PLC0415 - large; not needed for --help

    record_only(config, app)


serve = click.command("serve", cls=OptionsCommand, help="Record events and serve the web UI (default).")(
    _server_command(_serve)
)
record = click.command("record", cls=OptionsCommand, config_options=RECORD_OPTIONS, help="Record events only.")(
    _server_command(_record)
)
web = click.command(
    "web", cls=OptionsCommand, config_options=WEB_OPTIONS, help="Serve the web UI only, from the store."
)(_server_command(_web))
