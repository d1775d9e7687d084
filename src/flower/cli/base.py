"""What the commands that ask the store have in common: their options, the store, and how they end.

0  answered             2  the question makes no sense: options, query, columns
1  nothing was found    3  no answer, or not a whole one: the store, the time limit, the disk
130  Ctrl-C             141  the reader of our output went away (`| head`)
"""

import os
import sys
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
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

EXIT_OK, EXIT_EMPTY, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED = 0, 1, 2, 3, 130, 141

#: Seconds that one part of an answer may take.
DEFAULT_TIME_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store that is open, and what people did in it. As the object of the click context it takes the place of the
    one on disk."""

    store: Reader
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The store and what all commands are told. `query` is in the search language; `zone` None is the local one."""

    store: Reader
    ledger: Ledger
    query: str
    window: Window
    zone: tzinfo | None


class QueryCommand(click.Command):
    """Strict about options, but `-word` is not one: it is a word of the query, and says what shall not be found."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.ignore_unknown_options = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = [option for parameter in self.get_params(ctx) for option in parameter.opts]
        ours = args[: args.index("--")] if "--" in args else args
        for arg in ours:
            name = arg.partition("=")[0]
            if name.startswith("--") and name not in known:
                raise click.NoSuchOption(name, possibilities=_similar_options(name, known), ctx=ctx)
        return super().parse_args(ctx, ["--help" if arg == "-h" else arg for arg in ours] + args[len(ours) :])

    def invoke(self, ctx: click.Context) -> Any:
        with handle_errors(ctx):
            return super().invoke(ctx)


def store_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option(
        "--time-limit", type=click.FloatRange(min=0, min_open=True), default=DEFAULT_TIME_LIMIT, metavar="SECONDS",
        help="How long one part of an answer may take.", show_default=True,
    )(command)  # fmt: skip
    command = click.option("--conf", metavar="FILE", help="Configuration file.  [flowerconfig.py]")(command)
    return click.option("--db", metavar="FOLDER", help="The store.  [as for serve: FLOWER_DB, the file, flower-data]")(
        command
    )


def query_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--utc", is_flag=True, help="Times are UTC, not local, both ways.")(command)
    command = click.option("--to", "end", metavar="TIME", help="Received until then.")(command)
    command = click.option(
        "--from", "start", metavar="TIME", help="Received since then: -1h, today, 2026-11-22, 2026-11-22T10:15."
    )(command)
    return click.argument("query", nargs=-1, type=click.UNPROCESSED)(command)


def format_options(command: Callable[..., None]) -> Callable[..., None]:
    sentences = {"csv": "For a spreadsheet.", "ndjson": "One JSON object a line.", "json": "One JSON document."}
    for form, sentence in sentences.items():
        command = click.option(f"--{form}", "forms", flag_value=form, multiple=True, help=sentence)(command)
    return command


def selected_format(forms: tuple[OutputFormat, ...]) -> OutputFormat | None:
    if len(set(forms)) > 1:
        raise InvalidRequest(f"--{forms[0]} and --{forms[1]} do not go together")
    return forms[0] if forms else None


def query_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command whose first argument is what was `Asked`."""

    def make(function: Callable[..., None]) -> click.Command:
        def run(ctx: click.Context, /, **given: Any) -> None:
            zone = UTC if given.pop("utc", False) else None
            window: Window = {"start": given.pop("start", None), "end": given.pop("end", None), "tz": zone}
            query = " ".join(given.pop("query", ()))
            with _open_store(ctx, given.pop("db"), given.pop("conf"), given.pop("time_limit")) as opened:
                function(CommandContext(opened.store, opened.ledger, query, window, zone), **given)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(name, cls=QueryCommand)(store_options(click.pass_context(run)))

    return make


def load_store_config(db: str | None, conf: str | None) -> Config:
    return load_config({key: value for key, value in (("db", db), ("conf", conf)) if value is not None}, os.environ)


def exit_if_empty(count: int) -> None:
    """Ends the command with `NOTHING` if there was nothing."""
    if not count:
        echo_stderr("Nothing was found.")
        raise click.exceptions.Exit(EXIT_EMPTY)


def exit_if_partial(partial: str | None) -> None:
    """Ends the command with `UNANSWERED`, saying why, if an answer is not whole."""
    if partial is not None:
        echo_stderr(f"Not all of it: {partial}")
        raise click.exceptions.Exit(EXIT_FAILED)


@contextmanager
def handle_errors(ctx: click.Context) -> Iterator[None]:
    """Ends as the list above says, with plain words on standard error."""
    # what a terminal or a pipe cannot encode shall be seen as an escape, not stop us
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
        # what is still buffered would fail again at the end of the interpreter, and say so
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(EXIT_PIPE_CLOSED) from None
    except FlowerError as error:
        _exit_with_error(error, EXIT_FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _exit_with_error(StoreError(f"{where}{error.strerror or error}"), EXIT_FAILED)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def _open_store(ctx: click.Context, db: str | None, conf: str | None, time_limit: float) -> Iterator[OpenStore]:
    opened = ctx.find_object(OpenStore)
    if opened is not None:
        yield opened
        return
    path = Path(load_store_config(db, conf).db)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        raise StoreError(f"There is no store in {path}", hint="name one with --db, or let flower record one")
    from flower.store.factory import open_ledger, open_reader  # noqa: PLC0415 - `--help` and mistakes need no database

    with closing(open_reader(path, time_limit=time_limit)) as reader, closing(open_ledger(path)) as ledger:
        yield OpenStore(reader, ledger)


def _exit_with_error(error: FlowerError, status: int) -> NoReturn:
    click.echo(f"Error: {escape_control(error.message)}", err=True)
    if error.hint:
        click.echo(f"Hint: {escape_control(error.hint)}", err=True)
    raise click.exceptions.Exit(status) from error


def _print_caret(query: str, error: SearchError) -> None:
    """The query, and a caret below the character that the error speaks of."""
    if error.position is None:
        return
    from rich.cells import cell_len  # noqa: PLC0415 - only an error needs it

    query = query.strip()
    click.echo(f"  {escape_control(query)}", err=True)
    click.echo(f"  {' ' * cell_len(escape_control(query[: error.position]))}^", err=True)


def _similar_options(name: str, known: list[str]) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415

    return get_close_matches(name, known)
