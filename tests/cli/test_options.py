"""Parsing of server options: Flower's spellings, unknown options, unexpected arguments."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from flower.cli.main import commands
from flower.cli.options import OptionsCommand, config_options
from flower.config import OPTION_GROUPS, OPTION_NAMES, option_flag
from tests.helpers.cli_runner import create_runner
from tests.helpers.sample_store import on_disk, run


class TolerantCommand(OptionsCommand):
    is_tolerant = True


def make_command(cls: type[OptionsCommand]) -> OptionsCommand:
    """A command that prints the given options, and the unknown ones to standard error."""

    def show(ctx: click.Context, /, **options: str | None) -> None:
        click.echo({name: value for name, value in options.items() if value is not None})
        click.echo((ctx.meta["flower.unknown_options"], ctx.meta["flower.unexpected_words"]), err=True)

    return click.command(cls=cls)(config_options(click.pass_context(show)))


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["--max-tasks=3"], {"max_tasks": "3"}),
        (["-max_tasks", "3"], {"max_tasks": "3"}),
        (["--debug", "--port", "7"], {"debug": "true", "port": "7"}),
        (["--debug", "off"], {"debug": "off"}),
    ],
)
@pytest.mark.parametrize("cls", [OptionsCommand, TolerantCommand])
def test_spellings_of_flower(cls: type[OptionsCommand], args: list[str], options: dict[str, str]) -> None:
    result = create_runner().invoke(make_command(cls), args)
    assert (result.exit_code, result.stdout.strip()) == (0, str(options))


def test_a_tolerant_command_ignores_an_unknown_option_with_its_value_and_a_stray_word() -> None:
    words = ["--prot", "8080", "-A=proj", "--port=7", "word", "--fast"]
    result = create_runner().invoke(make_command(TolerantCommand), words)
    assert (result.exit_code, result.stdout.strip()) == (0, "{'port': '7'}")
    assert result.stderr.strip() == "(['--prot', '--fast'], ['word'])"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["doctr"], "Unknown command 'doctr'"),
        (["reruns"], "Unknown command 'reruns'. Did you mean 'rerun'?"),
        (["-A", "proj", "taks", "state:FAILURE"], "Unknown command 'taks'. Did you mean 'tasks'?"),
        (["state:FAILURE"], "To search for tasks: flower tasks 'state:FAILURE'"),
        (["--prot=7"], "No such option '--prot'. (Did you mean one of: '--port'"),
        (["serve", "--prot", "7"], "No such option '--prot'"),
        (["serve", "doctor"], "Unexpected argument 'doctor'"),
        (["web", "--port=7", "doctor"], "Unexpected argument 'doctor'"),
        (["--port=7", "tasks"], "a command comes first"),
        (["tasks", "--lmit", "3"], "No such option '--lmit'. (Did you mean one of: '--limit'"),
        (["task", "-x"], "No such option '-x'"),
        (["tasks", "-n"], "Option '-n' requires an argument"),
        (["--db"], "--db requires a value: --db=VALUE"),
        (["token", "lst"], "Did you mean 'list'?"),
    ],
)
def test_an_unknown_word_or_option_is_an_error_with_the_nearest_one(args: list[str], message: str) -> None:
    result = create_runner().invoke(commands, args)
    assert result.exit_code == 2
    assert message in result.stderr.replace("No such option: ", "No such option ")


@pytest.mark.parametrize(
    "args",
    [
        ["--db", "{store}", "tasks"],
        ["-A", "proj", "--db={store}", "-q", "tasks"],
        ["tasks", "--db", "{store}", "-A", "proj", "-b", "redis://host", "--result-backend=x", "--no-color"],
        ["--workdir", "{folder}", "tasks"],
        ["tasks", "--workdir={folder}", "-C"],
        ["-db={store}", "token", "list", "--exit-zero"],
        ["token", "list", "--db", "{store}", "--exit-zero"],
    ],
)
def test_global_options_are_accepted_before_and_after_the_command(args: list[str], tmp_path: Path) -> None:
    store = on_disk(tmp_path / "flower-data")
    finished = run(*(word.format(store=store, folder=tmp_path) for word in args), folder=Path("/"))
    assert finished.returncode == 0, finished.stderr


def test_the_option_after_the_command_overrides_the_one_before(tmp_path: Path) -> None:
    store = on_disk(tmp_path / "flower-data")
    assert run("--db", "/nowhere", "tasks", "--db", str(store), folder=tmp_path).returncode == 0


def test_help_lists_the_options_that_have_an_effect() -> None:
    for name, shown, hidden in (
        ("record", "--max-tasks", "--port"),
        ("record", "--redact-patterns", "--basic-auth"),
        ("web", "--basic-auth", "--event-queue-length"),
    ):
        text = create_runner().invoke(commands, [name, "--help"]).stdout
        assert f"{shown} " in text
        assert f"{hidden} " not in text
    text = create_runner().invoke(commands, ["serve", "--help"]).stdout
    assert [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        "Application:",
        *(f"{title}:" for title in OPTION_GROUPS.values() if not title.startswith("Path of")),
        "Other:",
    ]
    assert all(f"{option_flag(name)} " in text for name in OPTION_NAMES)


def test_missing_workdir_is_an_error() -> None:
    result = create_runner().invoke(commands, ["record", "--workdir=/no/such/directory"])
    assert result.exit_code == 1
    assert "--workdir: cannot change to /no/such/directory: No such file or directory" in result.stderr


def test_unexpected_url_is_not_printed() -> None:
    result = create_runner().invoke(commands, ["serve", "amqp://ann:hush@host//"])
    assert result.exit_code == 2
    assert "Unexpected argument 'amqp://…'" in result.stderr
    assert "hush" not in result.stderr


def test_mistyped_command_of_celery_flower_is_an_error() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "celery", "flower", "taks"], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 2
    assert "Error: Unknown command 'taks'. Did you mean 'tasks'?" in finished.stderr
