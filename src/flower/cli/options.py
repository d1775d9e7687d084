"""The table of options in `config` as command line options, taken as Flower takes them."""

import dataclasses
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from flower import config as configuration
from flower.config import Config, canonical, is_boolean, load, nearest

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
        shown = (
            ",".join(map(str, default))
            if isinstance(default, tuple)
            else str(default).lower()
            if default is not None
            else ""
        )
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


def config_of(ctx: click.Context, given: dict[str, str | None]) -> Config:
    """What was given here, in the environment and in the file; logging goes by it. Raises Invalid."""
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
