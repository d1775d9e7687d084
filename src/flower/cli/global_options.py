"""Global options, accepted before and after the command: those of the `celery` program, `--db` and `--conf`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from flower.errors import InvalidRequest

#: Settings of the click context of every command.
HELP_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

#: Key of the values in `Context.meta`, for commands that do not take an option as a parameter.
_META_KEY = "flower.global_options"


@dataclass(frozen=True, slots=True)
class GlobalOption:
    """A global option; one without a metavar is a flag."""

    name: str
    flags: tuple[str, ...]
    help: str
    metavar: str | None = None


GLOBAL_OPTIONS = (
    GlobalOption("app", ("-A", "--app"), "Celery application.", "NAME"),
    GlobalOption("broker", ("-b", "--broker"), "Broker URL; overrides the application's.", "URL"),
    GlobalOption("result_backend", ("--result-backend",), "Result backend URL; overrides the application's.", "URL"),
    GlobalOption("loader", ("--loader",), "Celery loader of the default application.", "CLASS"),
    GlobalOption("celery_config", ("--config",), "Configuration module of the default application.", "MODULE"),
    GlobalOption("workdir", ("--workdir",), "Change to this directory first.", "FOLDER"),
    GlobalOption("skip_checks", ("--skip-checks",), "Skip Django's checks when the application is loaded."),
    GlobalOption("no_color", ("-C", "--no-color"), "No colours."),
    GlobalOption("quiet", ("-q", "--quiet"), "Do not log the lines at start and end."),
    GlobalOption("db", ("--db",), "Data directory.  [env FLOWER_DB; default flower-data]", "FOLDER"),
    GlobalOption("conf", ("--conf",), "Configuration file.  [flowerconfig.py]", "FILE"),
)
#: Environment variables from which Celery reads an option.
_CELERY_VARIABLES = {
    "result_backend": "CELERY_RESULT_BACKEND",
    "loader": "CELERY_LOADER",
    "celery_config": "CELERY_CONFIG_MODULE",
}
_BY_FLAG = {flag: option for option in GLOBAL_OPTIONS for flag in option.flags}


def make_options(*, hidden: bool = False, without: Sequence[str] = ()) -> list[click.Option]:
    """The options of the table for a command that does not have them as parameters, except those in `without`. Their
    values are applied by `apply_options`."""
    return [_make_option(option, hidden=hidden) for option in GLOBAL_OPTIONS if option.name not in without]


def _make_option(option: GlobalOption, *, hidden: bool) -> click.Option:
    def store(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value:
            ctx.meta.setdefault(_META_KEY, {})[option.name] = value
        return value

    return click.Option(
        [*option.flags, option.name],
        is_flag=option.metavar is None,
        metavar=option.metavar,
        help=option.help,
        hidden=hidden,
        expose_value=False,
        callback=store,
    )


def stored_options(ctx: click.Context) -> Mapping[str, Any]:
    """The given values of the options of `make_options`."""
    values: Mapping[str, Any] = ctx.meta.get(_META_KEY, {})
    return values


def apply_options(values: Mapping[str, Any]) -> None:
    """Apply the options that concern the whole process: the working directory, and what Celery reads from the
    environment. Raises InvalidRequest."""
    if values.get("workdir"):
        _change_directory(values["workdir"])
    for name, variable in _CELERY_VARIABLES.items():
        if values.get(name):
            os.environ[variable] = values[name]
    if values.get("skip_checks"):
        os.environ["CELERY_SKIP_CHECKS"] = "true"
    if values.get("no_color"):
        os.environ["NO_COLOR"] = "1"


def split_leading_options(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options at the beginning of `args`, each as click expects it, and the rest."""
    leading: list[str] = []
    rest = list(args)
    while rest:
        word, equals, value = rest[0].partition("=")
        option = _BY_FLAG.get(word if len(word) == 2 else f"--{word.lstrip('-').replace('_', '-')}")
        if option is None or not word.startswith("-"):
            break
        del rest[0]
        flag = option.flags[-1]
        if option.metavar is None:
            leading.append(flag)
        elif equals or (rest and not rest[0].startswith("--")):
            leading += [flag, value if equals else rest.pop(0)]
        else:
            raise click.UsageError(f"{word} requires a value: {word}=VALUE")
    return leading, rest


def _change_directory(path: str) -> None:
    try:
        os.chdir(Path(path).expanduser())
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(f"--workdir: cannot change to {path}: {reason}") from error
