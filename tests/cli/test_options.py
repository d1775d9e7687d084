"""Parsing of server options: Flower's spellings, unknown options, unexpected arguments."""

import subprocess
import sys

import click
import pytest

from flower.cli.main import commands
from flower.cli.options import OptionsCommand, config_options
from tests.helpers.cli_runner import create_runner


@pytest.fixture
def parse() -> OptionsCommand:
    """A command that prints the given options, and the unknown ones to standard error."""

    def show(ctx: click.Context, /, **options: str | None) -> None:
        click.echo({name: value for name, value in options.items() if value is not None})
        click.echo(ctx.meta["flower.unknown_options"], err=True)

    return click.command(cls=OptionsCommand)(config_options(click.pass_context(show)))


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["--max-tasks=3"], {"max_tasks": "3"}),
        (["-max_tasks", "3"], {"max_tasks": "3"}),
        (["--debug", "--port", "7"], {"debug": "true", "port": "7"}),
        (["--debug", "off"], {"debug": "off"}),
    ],
)
def test_spellings_of_flower(parse: OptionsCommand, args: list[str], options: dict[str, str]) -> None:
    result = create_runner().invoke(parse, args)
    assert (result.exit_code, result.stdout.strip()) == (0, str(options))


def test_unknown_option_is_ignored_with_its_value(parse: OptionsCommand) -> None:
    result = create_runner().invoke(parse, ["--prot", "8080", "-A=proj", "--port=7", "--fast"])
    assert (result.exit_code, result.stdout.strip()) == (0, "{'port': '7'}")
    assert result.stderr.strip() == "['--prot', '--app', '--fast']"


@pytest.mark.parametrize("args", [["serve", "doctor"], ["web", "--port=7", "doctor"]])
def test_unexpected_argument_is_an_error(args: list[str]) -> None:
    result = create_runner().invoke(commands, args)
    assert result.exit_code == 2
    assert "Error: unexpected argument 'doctor'" in result.stderr


def test_missing_workdir_is_an_error() -> None:
    result = create_runner().invoke(commands, ["record", "--workdir=/no/such/directory"])
    assert result.exit_code == 1
    assert "--workdir: cannot change to /no/such/directory: No such file or directory" in result.stderr


def test_unexpected_url_is_not_printed() -> None:
    result = create_runner().invoke(commands, ["serve", "amqp://ann:hush@host//"])
    assert result.exit_code == 2
    assert "unexpected argument 'amqp://…'" in result.stderr
    assert "hush" not in result.stderr


def test_unexpected_argument_of_celery_flower() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "celery", "flower", "doctor"], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 2
    assert "Error: unexpected argument 'doctor'" in finished.stderr
