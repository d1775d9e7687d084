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

from flower.api.asking import Window
from flower.cli.safe import visible
from flower.cli.sheet import Form, say
from flower.config import Config, load
from flower.errors import FlowerError, Invalid, NotFound, SearchError, StoreError
from flower.store.ledger import Ledger
from flower.store.port import Reader

FOUND, NOTHING, USAGE, UNANSWERED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141

#: Seconds that one part of an answer may take.
TIME_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that is open, and what people did in it. As the object of the click context it takes the place of the
    one on disk."""

    store: Reader
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Asked:
    """The store and what all commands are told. `query` is in the search language; `zone` None is the local one."""

    store: Reader
    ledger: Ledger
    query: str
    window: Window
    zone: tzinfo | None


class AskingCommand(click.Command):
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
                raise click.NoSuchOption(name, possibilities=_close(name, known), ctx=ctx)
        return super().parse_args(ctx, ["--help" if arg == "-h" else arg for arg in ours] + args[len(ours) :])

    def invoke(self, ctx: click.Context) -> Any:
        with answering(ctx):
            return super().invoke(ctx)


def with_store(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option(
        "--time-limit", type=click.FloatRange(min=0, min_open=True), default=TIME_LIMIT, metavar="SECONDS",
        help="How long one part of an answer may take.", show_default=True,
    )(command)  # fmt: skip
    command = click.option("--conf", metavar="FILE", help="Configuration file.  [flowerconfig.py]")(command)
    return click.option("--db", metavar="FOLDER", help="The store.  [as for serve: FLOWER_DB, the file, flower-data]")(
        command
    )


def with_query(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--utc", is_flag=True, help="Times are UTC, not local, both ways.")(command)
    command = click.option("--to", "end", metavar="TIME", help="Received until then.")(command)
    command = click.option(
        "--from", "start", metavar="TIME", help="Received since then: -1h, today, 2026-11-22, 2026-11-22T10:15."
    )(command)
    return click.argument("query", nargs=-1, type=click.UNPROCESSED)(command)


def with_forms(command: Callable[..., None]) -> Callable[..., None]:
    sentences = {"csv": "For a spreadsheet.", "ndjson": "One JSON object a line.", "json": "One JSON document."}
    for form, sentence in sentences.items():
        command = click.option(f"--{form}", "forms", flag_value=form, multiple=True, help=sentence)(command)
    return command


def form_of(forms: tuple[Form, ...]) -> Form | None:
    if len(set(forms)) > 1:
        raise Invalid(f"--{forms[0]} and --{forms[1]} do not go together")
    return forms[0] if forms else None


def asking(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command whose first argument is what was `Asked`."""

    def make(function: Callable[..., None]) -> click.Command:
        def run(ctx: click.Context, /, **given: Any) -> None:
            zone = UTC if given.pop("utc", False) else None
            window: Window = {"start": given.pop("start", None), "end": given.pop("end", None), "tz": zone}
            query = " ".join(given.pop("query", ()))
            with _store(ctx, given.pop("db"), given.pop("conf"), given.pop("time_limit")) as opened:
                function(Asked(opened.store, opened.ledger, query, window, zone), **given)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(name, cls=AskingCommand)(with_store(click.pass_context(run)))

    return make


def config_of(db: str | None, conf: str | None) -> Config:
    return load({key: value for key, value in (("db", db), ("conf", conf)) if value is not None}, os.environ)


def found(count: int) -> None:
    """Ends the command with `NOTHING` if there was nothing."""
    if not count:
        say("Nothing was found.")
        raise click.exceptions.Exit(NOTHING)


def whole(partial: str | None) -> None:
    """Ends the command with `UNANSWERED`, saying why, if an answer is not whole."""
    if partial is not None:
        say(f"Not all of it: {partial}")
        raise click.exceptions.Exit(UNANSWERED)


@contextmanager
def answering(ctx: click.Context) -> Iterator[None]:
    """Ends as the list above says, with plain words on standard error."""
    # what a terminal or a pipe cannot encode shall be seen as an escape, not stop us
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except SearchError as error:
        _point_at(" ".join(ctx.params.get("query") or ()), error)
        _end(error, USAGE)
    except Invalid as error:
        _end(error, USAGE)
    except NotFound as error:
        _end(error, NOTHING)
    except BrokenPipeError:
        # what is still buffered would fail again at the end of the interpreter, and say so
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(PIPE_CLOSED) from None
    except FlowerError as error:
        _end(error, UNANSWERED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(StoreError(f"{where}{error.strerror or error}"), UNANSWERED)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None


@contextmanager
def _store(ctx: click.Context, db: str | None, conf: str | None, time_limit: float) -> Iterator[Opened]:
    opened = ctx.find_object(Opened)
    if opened is not None:
        yield opened
        return
    path = Path(config_of(db, conf).db)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        raise StoreError(f"There is no store in {path}", hint="name one with --db, or let flower record one")
    from flower.store.opening import open_ledger, open_reader  # noqa: PLC0415 - `--help` and mistakes need no database

    with closing(open_reader(path, time_limit=time_limit)) as reader, closing(open_ledger(path)) as ledger:
        yield Opened(reader, ledger)


def _end(error: FlowerError, status: int) -> NoReturn:
    click.echo(f"Error: {visible(error.message)}", err=True)
    if error.hint:
        click.echo(f"Hint: {visible(error.hint)}", err=True)
    raise click.exceptions.Exit(status) from error


def _point_at(query: str, error: SearchError) -> None:
    """The query, and a caret below the character that the error speaks of."""
    if error.position is None:
        return
    from rich.cells import cell_len  # noqa: PLC0415 - only an error needs it

    query = query.strip()
    click.echo(f"  {visible(query)}", err=True)
    click.echo(f"  {' ' * cell_len(visible(query[: error.position]))}^", err=True)


def _close(name: str, known: list[str]) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415

    return get_close_matches(name, known)
