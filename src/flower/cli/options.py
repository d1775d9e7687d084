"""The options of `config` as command line options, parsed as Flower parses them."""

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

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
from flower.logging_setup import LogFile, configure_logging
from flower.option_types import FALSE_WORDS, TRUE_WORDS

log = logging.getLogger(__name__)

#: Options of the `celery` program that have no effect after `flower`.
CELERY_OPTIONS = frozenset(
    {"app", "broker", "result_backend", "loader", "config", "workdir", "no_color", "quiet", "skip_checks"}
)
SHORT_OPTIONS = {"-A": "--app", "-b": "--broker", "-C": "--no-color", "-q": "--quiet", "-h": "--help"}


class OptionsCommand(click.Command):
    """Parses options as Flower does: `-` and `_` are equivalent, one dash or two, a boolean without a value is true. In
    contrast to Flower, `--name value` works, an unknown option is logged as a warning, and an unexpected argument is an
    error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        parameters = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        flags = {name for each in parameters if each.is_flag for name in each.opts}
        valued = {name for each in parameters if not each.is_flag for name in each.opts}
        known_args, unknown_options, unexpected = _split_args(args, flags, valued)
        super().parse_args(ctx, known_args)
        if unexpected:
            raise click.UsageError(f"unexpected argument '{_without_credentials(unexpected[0])}'", ctx)
        ctx.meta["flower.unknown_options"] = unknown_options
        return []


def _split_args(args: Sequence[str], flags: Set[str], valued: Set[str]) -> tuple[list[str], list[str], list[str]]:
    """Known options, each as one word for click; names of unknown options; words that belong to no option. A word after
    an unknown option may be its value and is ignored with it, as in Flower."""
    known_args: list[str] = []
    unknown_options: list[str] = []
    unexpected: list[str] = []
    words = deque(args)
    while words:
        word = words.popleft()
        name, equals, value = _parse_word(word)
        if name in flags and not equals:
            known_args.append(name)
        elif name in valued:
            known_args.append(f"{name}={value if equals else _next_value(name, words, flags | valued)}")
        elif name:
            unknown_options.append(name)
            if not equals and words and not words[0].startswith("-"):
                words.popleft()
        else:
            unexpected.append(word)
    return known_args, unknown_options, unexpected


def _without_credentials(word: str) -> str:
    scheme, separator, _ = word.partition("://")
    return f"{scheme}://…" if separator else word


def _parse_word(word: str) -> tuple[str, str, str]:
    """Split `-max_tasks=3` into `--max-tasks`, `=` and `3`. A word that is not an option has an empty name."""
    if not word.startswith("-"):
        return "", "", word
    name, equals, value = word.partition("=")
    return SHORT_OPTIONS.get(name) or "--" + name.lstrip("-").replace("_", "-"), equals, value


def _next_value(name: str, words: deque[str], known: Set[str]) -> str:
    if normalize_name(name.lstrip("-")) in OPTION_NAMES and is_boolean(normalize_name(name.lstrip("-"))):
        return words.popleft() if words and words[0].lower() in TRUE_WORDS | FALSE_WORDS else "true"
    if not words or _parse_word(words[0])[0] in known:
        raise click.ClickException(f"{name} requires a value: {name}=VALUE")
    return words.popleft()


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `config` as click options. Their values are text, parsed by `config` as in every source."""
    for name in reversed(OPTION_NAMES):
        command = click.option(
            option_flag(name),
            name,
            metavar="true|false" if is_boolean(name) else "VALUE",
            help=f"{OPTION_FIELDS[name].metadata['description']}  [{default_text(name)}]",
        )(command)
    return command


def app_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--workdir", help="change to this directory before loading the application")(command)
    command = click.option("--broker", help="broker URL (-b); overrides the application's")(command)
    command = click.option("--quiet", is_flag=True, help="do not log the addresses, the broker and the tasks (-q)")(
        command
    )
    return click.option("--app", help="Celery application (-A), as for celery")(command)


def load_server_config(ctx: click.Context, given: dict[str, str | None]) -> Config:
    """Load the configuration from all sources and configure logging. Raises InvalidRequest."""
    config = load_config({name: value for name, value in given.items() if value is not None}, os.environ)
    configure_logging(log_level(config), log_file(config), to_stderr=_logs_to_stderr(config))
    _warn_unknown(ctx.meta.get("flower.unknown_options", ()))
    if (existing := Path(config.db.removesuffix(STORE_SUFFIX))).is_file():
        log.warning(
            "%s is a file, probably Flower's state file, and is not changed; the data directory is %s",
            existing,
            config.db,
        )
    return config


def log_file(config: Config) -> LogFile | None:
    """The configured log file, or None."""
    if not config.log_file_prefix:
        return None
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


def _warn_unknown(names: Sequence[str]) -> None:
    """Log unknown options. Their values are not logged: a broker URL contains a password."""
    of_celery = [name for name in names if normalize_name(name.lstrip("-")) in CELERY_OPTIONS]
    if of_celery:
        log.warning(
            "You have incorrectly specified the following celery arguments after flower command: %s. "
            "They have no effect there: write celery [celery options] flower [flower options].",
            ", ".join(of_celery),
        )
    for name in names:
        if name not in of_celery:
            suggestion = suggest_option(name.lstrip("-"))
            log.warning("Unknown option %s is ignored%s", name, f"; did you mean --{suggestion}?" if suggestion else "")
