"""`docs/cli.md` is true: its tables of options are printed from the commands, and its examples run. Run as a program,
this writes the tables anew."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flower.cli.base import EXIT_EMPTY, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_PIPE_CLOSED, EXIT_USAGE
from flower.cli.main import ACTION_COMMANDS, QUERY_COMMANDS, load_command
from flower.store.sqlite.reader import SqliteReader
from tests.helpers.paths import DOCS
from tests.helpers.sample_store import on_disk

PAGE = DOCS / "cli.md"
_TABLE = re.compile(r"(<!-- options: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
#: What a command asks of the store beside lists of tasks.
_VERBS = {"task": "family", "stats": "summaries", "failures": "failures", "tasks": "page"}


def table(name: str) -> str:
    command = load_command(name)
    ctx = click.Context(command, info_name=name)
    records = [parameter.get_help_record(ctx) for parameter in command.params if isinstance(parameter, click.Option)]
    rows = [f"| `{words.replace('|', chr(92) + '|')}` | {sentence} |" for words, sentence in filter(None, records)]
    return "\n".join(["| option | |", "| --- | --- |", *rows]) + "\n"


def with_tables(page: str) -> str:
    return _TABLE.sub(lambda found: found[1] + table(found[2]) + found[4], page)


def test_the_tables_are_those_of_the_commands() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), f"run: python -m {__name__}"
    assert [found[2] for found in _TABLE.finditer(page)] == [*QUERY_COMMANDS, *ACTION_COMMANDS]


def test_the_statuses_are_those_of_the_commands() -> None:
    rows = re.search(r"\| status \|.*?\n\n", PAGE.read_text("utf-8"), re.DOTALL)
    assert rows is not None
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", rows[0], re.MULTILINE)]
    assert told == [EXIT_OK, EXIT_EMPTY, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED]


def _examples() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    on_disk(folder / "flower-data")
    return folder


@pytest.mark.parametrize("line", _examples())
def test_the_examples_run(line: str, folder: Path) -> None:
    command, *words = line.removeprefix("flower ").split()
    verb = _VERBS.get(command) if "--all" not in words else None
    if command == "workers" and words:
        verb = "worker_history"
    if verb is not None and not hasattr(SqliteReader, verb):
        pytest.skip(f"the store on disk has no '{verb}' yet")
    program = line.replace("flower ", f"{sys.executable} -m flower ", 1).replace(
        "| flower", f"| {sys.executable} -m flower"
    )
    ended = subprocess.run(
        ["/bin/sh", "-c", program], capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Error" not in ended.stderr
    assert ended.stdout or command in ("export", "import")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
