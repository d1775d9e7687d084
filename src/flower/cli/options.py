"""The table of options in `config` as command line options, taken as Flower takes them."""

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flower.config import (
    OPTION_FIELDS,
    OPTION_NAMES,
    STORE_SUFFIX,
    Config,
    default_text,
    is_boolean,
    load_config,
    log_level,
    normalize_name,
    option_flag,
    suggest_option,
)
from flower.option_types import FALSE_WORDS, TRUE_WORDS

if TYPE_CHECKING:
    from flower.logging_setup import LogFile

log = logging.getLogger(__name__)

#: Options of the `celery` program that do nothing behind `flower`.
CELERY_OPTIONS = frozenset(
    {"app", "broker", "result_backend", "loader", "config", "workdir", "no_color", "quiet", "skip_checks"}
)
SHORT_OPTIONS = {"-A": "--app", "-b": "--broker", "-C": "--no-color", "-q": "--quiet", "-h": "--help"}


class OptionsCommand(click.Command):
    """Takes options as Flower does: `-` and `_` alike, one dash or two, a boolean without value means
    true. Unlike there `--name value` works, and what does not exist is named in a warning."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        parameters = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        flags = {name for each in parameters if each.is_flag for name in each.opts}
        valued = {name for each in parameters if not each.is_flag for name in each.opts}
        mine, unknown = _split_args(args, flags, valued)
        super().parse_args(ctx, mine)
        ctx.meta["flower.unknown"] = unknown
        return []


def _split_args(args: Sequence[str], flags: Set[str], valued: Set[str]) -> tuple[list[str], list[str]]:
    """The options that exist, each as one word click understands, and everything else as it was given."""
    mine: list[str] = []
    unknown: list[str] = []
    words = deque(args)
    while words:
        word = words.popleft()
        name, equals, value = _parse_word(word)
        if name in flags and not equals:
            mine.append(name)
        elif name not in valued:
            unknown.append(word)
        else:
            mine.append(f"{name}={value if equals else _next_value(name, words, flags | valued)}")
    return mine, unknown


def _parse_word(word: str) -> tuple[str, str, str]:
    """`-max_tasks=3` is `--max-tasks`, `=` and `3`; a word that is no option has an empty name."""
    if not word.startswith("-"):
        return "", "", word
    name, equals, value = word.partition("=")
    return SHORT_OPTIONS.get(name) or "--" + name.lstrip("-").replace("_", "-"), equals, value


def _next_value(name: str, words: deque[str], known: Set[str]) -> str:
    if normalize_name(name.lstrip("-")) in OPTION_NAMES and is_boolean(normalize_name(name.lstrip("-"))):
        return words.popleft() if words and words[0].lower() in TRUE_WORDS | FALSE_WORDS else "true"
    if not words or _parse_word(words[0])[0] in known:
        raise click.ClickException(f"{name} needs a value: {name}=VALUE")
    return words.popleft()


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """The table of options as click options: all texts, read by `config`, so that every source is read alike."""
    for name in reversed(OPTION_NAMES):
        command = click.option(
            option_flag(name),
            name,
            metavar="true|false" if is_boolean(name) else "VALUE",
            help=f"{OPTION_FIELDS[name].metadata['description']}  [{default_text(name)}]",
        )(command)
    return command


def app_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--workdir", help="change to this directory first")(command)
    command = click.option("--broker", help="broker URL (-b); overrides the application's")(command)
    command = click.option("--quiet", is_flag=True, help="do not say where it listens and what it watches (-q)")(
        command
    )
    return click.option("--app", help="the Celery application (-A), as for celery")(command)


def load_server_config(ctx: click.Context, given: dict[str, str | None]) -> Config:
    """What was given here, in the environment and in the file; logging goes by it. Raises Invalid."""
    config = load_config({name: value for name, value in given.items() if value is not None}, os.environ)
    from flower.logging_setup import configure_logging  # noqa: PLC0415

    configure_logging(log_level(config), log_file(config), to_stderr=_logs_to_stderr(config))
    _warn_unknown(ctx.meta.get("flower.unknown", ()))
    if (taken := Path(config.db.removesuffix(STORE_SUFFIX))).is_file():
        log.warning(
            "%s is a file, such as Flower keeps its state in: it is left alone, the store is %s", taken, config.db
        )
    return config


def log_file(config: Config) -> "LogFile | None":
    if not config.log_file_prefix:
        return None
    from flower.logging_setup import LogFile  # noqa: PLC0415

    return LogFile(
        path=config.log_file_prefix,
        rotate="time" if config.log_rotate_mode.lower() == "time" else "size",
        max_bytes=config.log_file_max_size,
        when=config.log_rotate_when,
        interval=config.log_rotate_interval,
        backups=config.log_file_num_backups,
    )


def _logs_to_stderr(config: Config) -> bool:
    return not config.log_file_prefix if config.log_to_stderr is None else config.log_to_stderr


def _warn_unknown(unknown: Sequence[str]) -> None:
    """Of what was given and means nothing. Values are not told: a broker URL holds a password."""
    names = [_parse_word(word)[0] for word in unknown]
    celerys = [name for name in names if normalize_name(name.lstrip("-")) in CELERY_OPTIONS]
    if celerys:
        log.warning(
            "You have incorrectly specified the following celery arguments after flower command: %s. "
            "They have no effect there: write celery [celery options] flower [flower options].",
            ", ".join(celerys),
        )
    if "" in names:
        log.warning("Words that belong to no option are ignored: %d", names.count(""))
    for name in names:
        if name and name not in celerys:
            close = suggest_option(name.lstrip("-"))
            log.warning("Unknown option %s is ignored%s", name, f"; did you mean --{close}?" if close else "")
