"""Base of the commands that read the store: common options, opening the store, error handling and exit statuses.

0    success                            2    usage error: options, query, columns
1    no results                         3    failed or incomplete: the store, the time limit, the disk
130  Ctrl-C                             141  the reader of the output closed the pipe (`| head`)
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, NoReturn, get_args

import click

from flower.api.query_params import Window
from flower.cli.escaping import escape_control
from flower.cli.global_options import HELP_SETTINGS, apply_options, make_options, stored_options
from flower.cli.table import OutputFormat, echo_stderr
from flower.config import Config, load_config
from flower.errors import FlowerError, InvalidRequest, NotFound, SearchError, StoreError
from flower.search.query_warnings import find_query_warnings
from flower.similar_names import closest_matches
from flower.store.ledger import Ledger
from flower.store.protocols import Reader
from flower.units import parse_duration

EXIT_OK, EXIT_EMPTY, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED = 0, 1, 2, 3, 130, 141

EXIT_STATUS_HELP = "Exit status: 0 success, 1 no results, 2 usage error, 3 failed or incomplete."

#: Seconds that one query may take.
DEFAULT_TIME_LIMIT = 30.0

#: Former names of options, which still work in commands that have the current name.
RENAMED_OPTIONS = {
    "--over": "--since", "--from": "--since", "--to": "--until", "--every": "--interval", "--who": "--user",
    "--abort": "--stop",
}  # fmt: skip

#: Seconds; a larger number is a time, not a duration.
_MAX_DURATION = 1e8
#: More than the first sentence of any help text.
_MAX_SUMMARY_LENGTH = 300
_EXIT_ZERO_KEY = "flower.exit_zero"


@dataclass(frozen=True, slots=True)
class OpenStore:
    """An open store and its ledger. As the object of the click context it replaces the store on disk."""

    store: Reader
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The store and the common options. `query` is in the search language; `zone` None is the local time zone."""

    store: Reader
    ledger: Ledger
    query: str
    window: Window
    zone: tzinfo | None


class QueryCommand(click.Command):
    """A command that accepts the global options and rejects unknown ones, except that `-word` is a negated word of the
    query, not an option."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.context_settings = {**HELP_SETTINGS, **self.context_settings}
        names = [parameter.name or "" for parameter in self.params]
        self.params += make_options(hidden=True, without=names)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options, words = self._split_args(ctx, args)
        return super().parse_args(ctx, [*options, "--", *words])

    def get_short_help_str(self, limit: int = 0) -> str:
        """The whole first sentence: the help of a group wraps it."""
        return super().get_short_help_str(_MAX_SUMMARY_LENGTH)

    def invoke(self, ctx: click.Context) -> Any:
        with handle_errors(ctx):
            apply_options({**ctx.params, **stored_options(ctx)})
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(EXIT_STATUS_HELP)
        formatter.write_text("Global options (-A, --db, --conf, --workdir, …): flower --help")

    def _split_args(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        """Options, each as click expects it, and the other words. Without this, click would read `-name:shop` as the
        option `-n` with a value."""
        parameters = self.get_params(ctx)
        has_query = any(parameter.name == "query" for parameter in parameters)
        known = {flag: each for each in parameters if isinstance(each, click.Option) for flag in each.opts}
        options: list[str] = []
        words: list[str] = []
        rest = deque(args)
        while rest:
            word = rest.popleft()
            if word == "--":
                return options, [*words, *rest]
            name, equals, value = word.partition("=")
            name = _current_name(name, known)
            option = known.get(name)
            if option is not None and (option.is_flag or option.count):
                options.append(f"{name}{equals}{value}")
            elif option is not None:
                if not equals and not rest:
                    raise click.BadOptionUsage(name, f"Option '{name}' requires an argument.", ctx)
                options += [name, value if equals else rest.popleft()]
            elif word[:2] in known and word[2:].isdigit():
                options += [word[:2], word[2:]]
            elif name.startswith("--") or (word.startswith("-") and len(word) > 1 and not has_query):
                raise click.NoSuchOption(name, possibilities=closest_matches(name, known), ctx=ctx)
            elif has_query and _is_mistyped_option(name, known):
                similar = [f"-{name}"] if f"-{name}" in known else []
                message = f"No such option '{name}'. To exclude tasks with this word: -- {name}."
                raise click.NoSuchOption(name, message, possibilities=similar, ctx=ctx)
            else:
                words.append(word)
        return options, words


def _current_name(name: str, known: Mapping[str, click.Option]) -> str:
    """The current name of an option that was renamed."""
    renamed = RENAMED_OPTIONS.get(name, name)
    return renamed if renamed in known and name not in known else name


def _is_mistyped_option(word: str, known: Mapping[str, click.Option]) -> bool:
    """Whether `-word` is more likely an option than a negated word: one letter, or the name of a long option."""
    return word.startswith("-") and ((len(word) == 2 and word[1].isalpha()) or f"-{word}" in known)


def config_file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--db` and `--conf` as parameters of the command."""
    command = click.option("--conf", metavar="FILE", hidden=True)(command)
    return click.option("--db", metavar="FOLDER", hidden=True)(command)


def store_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--db`, `--conf` and `--time-limit`."""
    command = click.option(
        "--time-limit", type=click.FloatRange(min=0, min_open=True), default=DEFAULT_TIME_LIMIT, metavar="SECONDS",
        help="Query time limit.", show_default=True,
    )(command)  # fmt: skip
    return config_file_options(command)


def utc_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--utc`."""
    return click.option("--utc", is_flag=True, help="Use UTC instead of local time.")(command)


def query_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument QUERY, `--since`, `--until` and `--utc`."""
    command = window_options("Only tasks since then: 1h, 7d, today, 2026-11-22T10:15.", "Only tasks until then.")(
        utc_option(command)
    )
    return click.argument("query", nargs=-1, type=click.UNPROCESSED)(command)


def window_options(since: str, until: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add `--since` and `--until` with these help texts."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command = click.option("--until", "end", callback=_parse_time_option, metavar="TIME", help=until)(command)
        return click.option("--since", "start", callback=_parse_time_option, metavar="TIME", help=since)(command)

    return add


def _parse_time_option(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """A duration becomes a time relative to now: `24h` is `-24h`. Other texts are times of the query language."""
    try:
        seconds = parse_duration(text or "")
    except ValueError:
        return text
    return f"-{seconds:.3f}s" if 0 < seconds < _MAX_DURATION else text


def limit_option(default: int, help_text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add `-n`, `--limit`."""
    return click.option(
        "-n", "--limit", type=click.IntRange(1), default=default, show_default=True, metavar="N", help=help_text
    )


def exit_zero_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--exit-zero`; `exit_if_empty` reads it."""

    def store(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        ctx.meta[_EXIT_ZERO_KEY] = value

    return click.option(
        "--exit-zero", is_flag=True, expose_value=False, callback=store, help="Exit with status 0 without results."
    )(command)


def format_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--json`, `--ndjson`, `--csv`, `-o` and `--exit-zero`."""
    command = click.option(
        "-o", "--output", "output_formats", type=click.Choice(get_args(OutputFormat)), multiple=True,
        help="The same: -o json.",
    )(exit_zero_option(command))  # fmt: skip
    helps = {"csv": "CSV output.", "ndjson": "NDJSON output: one JSON object per line.", "json": "JSON output."}
    for output_format, text in helps.items():
        command = click.option(
            f"--{output_format}", "output_formats", flag_value=output_format, multiple=True, help=text
        )(command)
    return command


def selected_format(output_formats: tuple[OutputFormat, ...]) -> OutputFormat | None:
    """The selected output format, None for the default. Raises InvalidRequest if several are selected."""
    if len(set(output_formats)) > 1:
        raise InvalidRequest(f"--{output_formats[0]} and --{output_formats[1]} are mutually exclusive")
    return output_formats[0] if output_formats else None


def query_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command whose function receives a `CommandContext` as its first argument."""

    def make(function: Callable[..., None]) -> click.Command:
        def run(ctx: click.Context, /, **options: Any) -> None:
            zone = UTC if options.pop("utc", False) else None
            # One evaluation time for all parts of a command.
            window: Window = {
                "start": options.pop("start", None), "end": options.pop("end", None), "tz": zone, "now": time.time(),
            }  # fmt: skip
            query = " ".join(options.pop("query", ()))
            for warning in find_query_warnings(query):
                echo_stderr(f"Note: {warning.message}")
            with open_store(ctx, options.pop("db"), options.pop("conf"), options.pop("time_limit")) as opened:
                function(CommandContext(opened.store, opened.ledger, query, window, zone), **options)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(name, cls=QueryCommand)(store_options(click.pass_context(run)))

    return make


def load_store_config(db: str | None, conf: str | None) -> Config:
    """The configuration, with `--db` and `--conf` if given."""
    return load_config({key: value for key, value in (("db", db), ("conf", conf)) if value is not None}, os.environ)


def require_store(path: Path) -> None:
    """Raises StoreError if the data directory does not exist or is empty."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        raise StoreError(
            f"No data in {path.absolute()}", hint="start `celery flower` there first, or set --db or FLOWER_DB"
        )


def exit_if_empty(count: int) -> None:
    """Exit with EXIT_EMPTY if there are no results; with EXIT_OK after `--exit-zero`."""
    if not count:
        echo_stderr("No results.")
        is_zero = click.get_current_context().meta.get(_EXIT_ZERO_KEY, False)
        raise click.exceptions.Exit(EXIT_OK if is_zero else EXIT_EMPTY)


def exit_if_partial(partial: str | None) -> None:
    """Exit with EXIT_FAILED and the reason if the result is incomplete."""
    if partial is not None:
        echo_stderr(f"Partial results: {partial}")
        raise click.exceptions.Exit(EXIT_FAILED)


@contextmanager
def handle_errors(ctx: click.Context) -> Iterator[None]:
    """Print errors to standard error and exit with the statuses listed above."""
    # Characters that a terminal or pipe cannot encode are printed as escapes instead of raising an error.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except SearchError as error:
        _print_caret(" ".join(ctx.params.get("query") or ()), error)
        _exit_with_error(error, EXIT_USAGE, ctx)
    except InvalidRequest as error:
        _exit_with_error(error, EXIT_USAGE, ctx)
    except NotFound as error:
        _exit_with_error(error, EXIT_EMPTY)
    except BrokenPipeError:
        # Flushing the remaining buffer at interpreter shutdown would fail again and print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(EXIT_PIPE_CLOSED) from None
    except FlowerError as error:
        _exit_with_error(error, EXIT_FAILED)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        _exit_with_error(StoreError(f"{file}{error.strerror or error}"), EXIT_FAILED)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def open_store(ctx: click.Context, db: str | None, conf: str | None, time_limit: float) -> Iterator[OpenStore]:
    given = ctx.find_object(OpenStore)
    if given is not None:
        yield given
        return
    path = Path(load_store_config(db, conf).db)
    require_store(path)
    from flower.store.factory import open_ledger, open_reader  # noqa: PLC0415 - slow to import; not needed for --help

    with closing(open_reader(path, time_limit=time_limit)) as reader, closing(open_ledger(path)) as ledger:
        yield OpenStore(reader, ledger)


def _exit_with_error(error: FlowerError, status: int, help_of: click.Context | None = None) -> NoReturn:
    echo_stderr(f"Error: {error.message}")
    if error.hint:
        echo_stderr(f"Hint: {error.hint}")
    if help_of is not None:
        echo_stderr(f"Try '{help_of.command_path} --help' for help.")
    raise click.exceptions.Exit(status) from error


def _print_caret(query: str, error: SearchError) -> None:
    """Print the query, and a caret below the position of the error."""
    if error.position is None:
        return
    from rich.cells import cell_len  # noqa: PLC0415 - needed only for an error

    query = query.strip()
    click.echo(f"  {escape_control(query)}", err=True)
    click.echo(f"  {' ' * cell_len(escape_control(query[: error.position]))}^", err=True)
