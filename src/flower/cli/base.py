"""Base of the commands that read the store: common options, opening the store, error handling and exit statuses.

0    success                            2    usage error: options, query, columns
1    no results                         3    failed or incomplete: the store, the time limit, the disk
130  Ctrl-C                             141  the reader of the output closed the pipe (`| head`)
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, NoReturn

import click

from flower.api.query_params import Window
from flower.cli.escaping import escape_control
from flower.cli.table import OutputFormat, echo_stderr
from flower.config import Config, load_config
from flower.errors import FlowerError, InvalidRequest, NotFound, SearchError, StoreError
from flower.similar_names import closest_matches
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

EXIT_OK, EXIT_EMPTY, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED = 0, 1, 2, 3, 130, 141

#: Seconds that one query may take.
DEFAULT_TIME_LIMIT = 30.0

#: Former names of options, which still work in commands that have the current name.
RENAMED_OPTIONS = {"--over": "--since", "--every": "--interval", "--who": "--user", "--abort": "--stop"}

_DB_HELP = "Data directory.  [env FLOWER_DB; default flower-data]"
_CONF_HELP = "Configuration file.  [flowerconfig.py]"


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
    """A command that rejects unknown options, except that `-word` is a negated word of the query, not an option."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.ignore_unknown_options = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = [option for parameter in self.get_params(ctx) for option in parameter.opts]
        end = args.index("--") if "--" in args else len(args)
        parsed = [_current_name(arg, known) for arg in args[:end]]
        for arg in parsed:
            name = arg.partition("=")[0]
            if name.startswith("--") and name not in known:
                raise click.NoSuchOption(name, possibilities=closest_matches(name, known), ctx=ctx)
        return super().parse_args(ctx, parsed + args[end:])

    def invoke(self, ctx: click.Context) -> Any:
        with handle_errors(ctx):
            return super().invoke(ctx)


def _current_name(arg: str, known: list[str]) -> str:
    if arg == "-h":
        return "--help"
    name, equals, value = arg.partition("=")
    renamed = RENAMED_OPTIONS.get(name)
    return f"{renamed}{equals}{value}" if renamed in known and name not in known else arg


def config_file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--db` and `--conf`."""
    command = click.option("--conf", metavar="FILE", help=_CONF_HELP)(command)
    return click.option("--db", metavar="FOLDER", help=_DB_HELP)(command)


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
    """Add the argument QUERY, `--from`, `--to` and `--utc`."""
    command = utc_option(command)
    command = click.option("--to", "end", metavar="TIME", help="Received before.")(command)
    command = click.option(
        "--from", "start", metavar="TIME", help="Received after: -1h, today, 2026-11-22, 2026-11-22T10:15."
    )(command)
    return click.argument("query", nargs=-1, type=click.UNPROCESSED)(command)


def format_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--json`, `--ndjson` and `--csv`."""
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
            window: Window = {"start": options.pop("start", None), "end": options.pop("end", None), "tz": zone}
            query = " ".join(options.pop("query", ()))
            with _open_store(ctx, options.pop("db"), options.pop("conf"), options.pop("time_limit")) as opened:
                function(CommandContext(opened.store, opened.ledger, query, window, zone), **options)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(name, cls=QueryCommand)(store_options(click.pass_context(run)))

    return make


def window_since(window: Window, since: float | None) -> Window:
    """The window of the last `since` seconds; the window of `--from` and `--to` if it is None."""
    if since is None:
        return window
    if window.get("start") is not None or window.get("end") is not None:
        raise InvalidRequest("--since is mutually exclusive with --from and --to")
    now = time.time()
    since_now: Window = {**window, "start": now - since, "now": now}
    return since_now


def load_store_config(db: str | None, conf: str | None) -> Config:
    """The configuration, with `--db` and `--conf` if given."""
    return load_config({key: value for key, value in (("db", db), ("conf", conf)) if value is not None}, os.environ)


def require_store(path: Path) -> None:
    """Raises StoreError if the data directory does not exist or is empty."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        raise StoreError(f"No data in {path}", hint="run `celery flower` first, or set --db")


def exit_if_empty(count: int) -> None:
    """Exit with EXIT_EMPTY if there are no results."""
    if not count:
        echo_stderr("No results.")
        raise click.exceptions.Exit(EXIT_EMPTY)


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
        _exit_with_error(error, EXIT_USAGE)
    except InvalidRequest as error:
        _exit_with_error(error, EXIT_USAGE)
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
def _open_store(ctx: click.Context, db: str | None, conf: str | None, time_limit: float) -> Iterator[OpenStore]:
    given = ctx.find_object(OpenStore)
    if given is not None:
        yield given
        return
    path = Path(load_store_config(db, conf).db)
    require_store(path)
    from flower.store.factory import open_ledger, open_reader  # noqa: PLC0415 - slow to import; not needed for --help

    with closing(open_reader(path, time_limit=time_limit)) as reader, closing(open_ledger(path)) as ledger:
        yield OpenStore(reader, ledger)


def _exit_with_error(error: FlowerError, status: int) -> NoReturn:
    echo_stderr(f"Error: {error.message}")
    if error.hint:
        echo_stderr(f"Hint: {error.hint}")
    raise click.exceptions.Exit(status) from error


def _print_caret(query: str, error: SearchError) -> None:
    """Print the query, and a caret below the position of the error."""
    if error.position is None:
        return
    from rich.cells import cell_len  # noqa: PLC0415 - needed only for an error

    query = query.strip()
    click.echo(f"  {escape_control(query)}", err=True)
    click.echo(f"  {' ' * cell_len(escape_control(query[: error.position]))}^", err=True)
