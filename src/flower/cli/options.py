"""The options of `config` as command line options, parsed as Flower parses them."""

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import click

from flower.cli.global_options import HELP_SETTINGS, make_options
from flower.config import (
    OPTION_FIELDS,
    OPTION_GROUPS,
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
from flower.container import is_in_container
from flower.logging_setup import LogFile, configure_logging
from flower.option_types import FALSE_WORDS, TRUE_WORDS
from flower.similar_names import closest_matches

log = logging.getLogger(__name__)

SHORT_OPTIONS = {"-A": "--app", "-b": "--broker", "-C": "--no-color", "-q": "--quiet", "-h": "--help"}
#: Options that have no effect without the web server.
_WEB_GROUPS = ("Address and TLS", "Workers and queues", "Authentication and permissions", "Pages")
_WEB_OPTIONS = frozenset({"metrics_token", "metrics_port"})
#: Options that have no effect without the recorder. Retention is shown on the pages.
_RECORDER_OPTIONS = frozenset(
    {
        "enable_events", "reconcile", "event_queue_expires", "event_drain_linger", "event_queue_length",
        "durable_events", "metrics_max_pairs",
    }
)  # fmt: skip
#: Accepted, without effect.
_IGNORED_GROUP = "Accepted for compatibility with Flower"


def _group_of(name: str) -> str:
    """The group of an option."""
    index = OPTION_NAMES.index(name)
    return next(OPTION_GROUPS[each] for each in reversed(OPTION_NAMES[: index + 1]) if each in OPTION_GROUPS)


RECORD_OPTIONS = frozenset(
    name for name in OPTION_NAMES if _group_of(name) not in (*_WEB_GROUPS, _IGNORED_GROUP) and name not in _WEB_OPTIONS
)
WEB_OPTIONS = frozenset(
    name for name in OPTION_NAMES if name not in _RECORDER_OPTIONS and _group_of(name) != _IGNORED_GROUP
)


class OptionsCommand(click.Command):
    """Parses options as Flower does: `-` and `_` are equivalent, one dash or two, a boolean without a value is true. In
    contrast to Flower, `--name value` works, and an unknown option or word is an error; for a tolerant command it is
    logged as a warning and ignored.

    `config_options`: the options that have an effect. The others are accepted, but not listed in the help."""

    is_tolerant = False

    def __init__(self, *args: Any, config_options: Set[str] = frozenset(OPTION_NAMES), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_extra_args = True
        self.context_settings = {**HELP_SETTINGS, **self.context_settings}
        self._config_options = config_options
        # `celery flower` accepts them after `flower` as well: the order of Celery 4.
        self.params += make_options(
            hidden=self.is_tolerant, without=[parameter.name or "" for parameter in self.params]
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        parameters = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        flags = {name for each in parameters if each.is_flag for name in each.opts}
        valued = {name for each in parameters if not each.is_flag for name in each.opts}
        known_args, unknown_options, unexpected = _split_args(args, flags, valued)
        if unknown_options and not self.is_tolerant:
            name = unknown_options[0]
            raise click.NoSuchOption(name, possibilities=closest_matches(name, flags | valued), ctx=ctx)
        if unexpected and not self.is_tolerant:
            raise click.UsageError(_unexpected_argument(unexpected[0]), ctx)
        super().parse_args(ctx, known_args)
        ctx.meta["flower.unknown_options"] = unknown_options
        ctx.meta["flower.unexpected_words"] = unexpected
        ctx.meta["flower.ineffective_options"] = [
            option_flag(name)
            for name in OPTION_NAMES
            if ctx.params.get(name) is not None and name not in self._config_options
        ]
        return []

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options in the groups of the documentation, with aligned descriptions."""
        groups: dict[str, list[tuple[str, str]]] = {"Application": [], "Other": []}
        title = ""
        by_name = {each.name or "": each for each in self.get_params(ctx)}
        for name in OPTION_NAMES:
            title = OPTION_GROUPS.get(name, title)
            record = by_name[name].get_help_record(ctx) if name in by_name else None
            if record is not None and name in self._config_options:
                groups.setdefault(title, []).append(record)
        for name, parameter in by_name.items():
            record = parameter.get_help_record(ctx)
            if record is not None and name not in OPTION_FIELDS:
                groups["Other" if {"--help", "--version"} & {*parameter.opts} else "Application"].append(record)
        groups["Other"] += groups.pop(OPTION_GROUPS["conf"], [])
        groups["Other"] = groups.pop("Other")
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _unexpected_argument(word: str) -> str:
    return (
        f"Unexpected argument '{_without_credentials(word)}'. Options are written --name=value; a command comes first."
    )


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
        raise click.UsageError(f"{name} requires a value: {name}=VALUE")
    return words.popleft()


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `config` as click options. Their values are text, parsed by `config` as in every source."""
    for name in reversed(OPTION_NAMES):
        command = click.option(
            option_flag(name),
            name,
            metavar="true|false" if is_boolean(name) else "VALUE",
            help=_help_text(name),
        )(command)
    return command


def _help_text(name: str) -> str:
    description = OPTION_FIELDS[name].metadata["description"]
    return f"{description[:1].upper()}{description[1:]}  [{default_text(name)}]"


def load_server_config(ctx: click.Context, given: dict[str, str | None]) -> Config:
    """Load the configuration from all sources and configure logging. Raises InvalidRequest."""
    warnings: list[str] = []
    command_line = {name: value for name, value in given.items() if value is not None}
    listens = ctx.command.name != "record"
    config = load_config(
        command_line,
        os.environ,
        warn=warnings.append,
        in_container=listens and is_in_container(os.environ),
        restricts_access=listens,
    )
    configure_logging(log_level(config), log_file(config), to_stderr=_logs_to_stderr(config))
    for warning in warnings:
        log.warning("%s", warning)
    _warn_unknown(ctx.meta.get("flower.unknown_options", ()))
    for word in ctx.meta.get("flower.unexpected_words", ()):
        log.warning("Unexpected argument '%s' is ignored", _without_credentials(word))
    for flag in ctx.meta.get("flower.ineffective_options", ()):
        log.warning("%s has no effect on `%s`", flag, ctx.command_path)
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
    for name in names:
        suggestion = suggest_option(name.lstrip("-"))
        log.warning("Unknown option %s is ignored%s", name, f"; did you mean --{suggestion}?" if suggestion else "")
