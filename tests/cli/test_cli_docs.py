"""`docs/cli.md`: its tables of options equal the commands' options, and its examples run. Run as a program, this module
writes the tables."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flower.cli.base import EXIT_EMPTY, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_PIPE_CLOSED, EXIT_USAGE
from flower.cli.main import ACTION_COMMANDS, QUERY_COMMANDS, load_command
from tests.helpers.paths import DOCS
from tests.helpers.sample_store import on_disk

PAGE = DOCS / "cli.md"
_TABLE = re.compile(r"(<!-- options: ([\w ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def command_names() -> list[str]:
    """The names of the commands with a table; subcommands of groups have one each."""
    return [each for name in (*QUERY_COMMANDS, *ACTION_COMMANDS) for each in _subcommand_names(name)]


def _subcommand_names(name: str) -> list[str]:
    command = load_command(name)
    return [f"{name} {each}" for each in command.commands] if isinstance(command, click.Group) else [name]


def options_table(name: str) -> str:
    name, _, subcommand = name.partition(" ")
    command = load_command(name)
    if subcommand:
        assert isinstance(command, click.Group)
        command = command.commands[subcommand]
    ctx = click.Context(command, info_name=name)
    records = [parameter.get_help_record(ctx) for parameter in command.params if isinstance(parameter, click.Option)]
    rows = [f"| `{option.replace('|', chr(92) + '|')}` | {text} |" for option, text in filter(None, records)]
    return "\n".join(["| option | |", "| --- | --- |", *rows]) + "\n"


def with_tables(page: str) -> str:
    return _TABLE.sub(lambda match: match[1] + options_table(match[2]) + match[4], page)


def test_tables_equal_the_options_of_the_commands() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), f"run: python -m {__name__}"
    assert [match[2] for match in _TABLE.finditer(page)] == command_names()


def test_exit_statuses_are_complete() -> None:
    rows = re.search(r"\| status \|.*?\n\n", PAGE.read_text("utf-8"), re.DOTALL)
    assert rows is not None
    documented = [int(number) for number in re.findall(r"^\| (\d+) \|", rows[0], re.MULTILINE)]
    assert documented == [EXIT_OK, EXIT_EMPTY, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED]


def _examples() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    on_disk(folder / "flower-data")
    return folder


@pytest.mark.parametrize("line", _examples())
def test_examples_run(line: str, folder: Path) -> None:
    command = line.removeprefix("flower ").split()[0]
    program = line.replace("flower ", f"{sys.executable} -m flower ", 1).replace(
        "| flower", f"| {sys.executable} -m flower"
    )
    finished = subprocess.run(
        ["/bin/sh", "-c", program], capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "Error" not in finished.stderr
    assert finished.stdout or command in ("export", "import")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
