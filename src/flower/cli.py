"""`flower` and `celery flower`: the same options, taken from the table in `config`."""

import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from flower import config as configuration
from flower.config import Config, canonical, is_boolean, load, nearest
from flower.errors import FlowerError

log = logging.getLogger(__name__)

#: Options of the `celery` program that do nothing behind `flower`.
CELERYS_OWN = ("app", "broker", "result_backend", "loader", "workdir", "no_color", "quiet")
SHORT = {"-A": "--app", "-b": "--broker", "-C": "--no-color", "-q": "--quiet", "-h": "--help"}


class OptionsCommand(click.Command):
    """Takes options as Flower does: `-` and `_` alike, one dash or two, a boolean without value means
    true. An option that does not exist is named in a warning, with the nearest one that does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        mine: list[str] = []
        unknown: list[str] = []
        for arg in _normalised(args):
            (mine if not arg.startswith("-") or arg.partition("=")[0] in known else unknown).append(arg)
        rest = super().parse_args(ctx, mine)
        ctx.meta["flower.unknown"] = [*unknown, *rest]
        return []


def _normalised(args: Sequence[str]) -> list[str]:
    result = []
    for arg in args:
        if not arg.startswith("-") or arg in ("-", "--"):
            result.append(arg)
            continue
        name, equals, value = arg.partition("=")
        name = SHORT.get(name, "--" + name.lstrip("-").replace("_", "-"))
        if not equals and is_known_boolean(name):
            equals, value = "=", "true"
        result.append(name + equals + value)
    return result


def is_known_boolean(name: str) -> bool:
    name = canonical(name.lstrip("-"))
    return name in configuration.NAMES and is_boolean(name)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The table of options as click options: all texts, read by `config`, so that every source is read alike."""
    for option in reversed(dataclasses.fields(Config)):
        default = option.default
        shown = ",".join(default) if isinstance(default, tuple) else str(default).lower() if default is not None else ""
        command = click.option(
            f"--{option.name.replace('_', '-')}",
            option.name,
            metavar="true|false" if is_boolean(option.name) else "VALUE",
            help=f"{option.metadata['sentence']}  [{shown or 'none'}]",
        )(command)
    return command


def with_app(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--workdir", help="change to this directory first")(command)
    command = click.option("--broker", help="broker URL (-b); overrides the application's")(command)
    return click.option("--app", help="the Celery application (-A), as for celery")(command)


def _load(ctx: click.Context, given: dict[str, str | None]) -> Config:
    config = load({name: value for name, value in given.items() if value is not None}, os.environ)
    from flower.logs import configure_logging  # noqa: PLC0415

    configure_logging("DEBUG" if config.debug else config.logging)
    for arg in ctx.meta.get("flower.unknown", ()):
        name = canonical(arg.partition("=")[0].lstrip("-"))
        if name in CELERYS_OWN:
            log.warning("%s belongs to celery and has no effect after flower: put it before", arg)
        else:
            close = nearest(name)
            log.warning("Unknown option %s is ignored%s", arg, f"; did you mean --{close}?" if close else "")
    return config


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except FlowerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@click.command(cls=OptionsCommand, help="Watch and steer Celery (Bellflower).")
@with_options
@click.pass_context
def flower(ctx: click.Context, /, **given: str | None) -> None:
    """`celery [celery options] flower [options]`; the application comes from celery."""

    def work() -> None:
        config = _load(ctx, given)
        from flower.app import serve  # noqa: PLC0415
        from flower.celery_app import LazyApp, prepared  # noqa: PLC0415

        serve(config, LazyApp(lambda: prepared(ctx.obj.app)))

    _run(work)


def _standalone(start: Callable[[Config, Any], None]) -> Callable[..., None]:
    @with_app
    @with_options
    @click.pass_context
    def command(
        ctx: click.Context, /, *, app: str | None, broker: str | None, workdir: str | None, **given: str | None
    ) -> None:
        def work() -> None:
            if workdir:
                os.chdir(Path(workdir).expanduser())
            config = _load(ctx, given)
            from flower.celery_app import named  # noqa: PLC0415

            start(config, named(app, broker))

        _run(work)

    return command


def _serve(config: Config, app: Any) -> None:
    from flower.app import serve  # noqa: PLC0415

    serve(config, app)


def _web(config: Config, app: Any) -> None:
    from flower.app import serve  # noqa: PLC0415

    serve(config, app, with_recorder=False)


def _record(config: Config, app: Any) -> None:
    from flower.app import record_only  # noqa: PLC0415

    record_only(config, app)


class LazyGroup(click.Group):
    """Loads `demo` when it is asked for: it brings Celery in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "demo"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "demo":
            command: click.Command = import_module("flower.demo.command").demo
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=LazyGroup)
@click.version_option(package_name="bellflower")
def commands() -> None:
    """Bellflower: watch and steer Celery, and remember. Without a command: serve."""


commands.command("serve", cls=OptionsCommand, help="Record and serve pages (the default).")(_standalone(_serve))
commands.command("record", cls=OptionsCommand, help="Record only.")(_standalone(_record))
commands.command("web", cls=OptionsCommand, help="Serve pages only, from the store.")(_standalone(_web))


def main() -> None:
    args = sys.argv[1:]
    if not args or (
        args[0] not in commands.list_commands(click.Context(commands)) and args[0] not in ("--help", "--version")
    ):
        args = ["serve", *args]
    commands.main(args=args, prog_name="flower")
