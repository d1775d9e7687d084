"""`flower completion`: candidates, and real shells on a pseudo-terminal."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flower.cli.completion import complete
from flower.cli.main import COMMANDS
from flower.cli.shell_line import TypedLine, split_line
from flower.store.sqlite.words import read_words
from tests.helpers.interactive_shell import InteractiveShell
from tests.helpers.sample_store import on_disk, run

#: The default value of the variable in bash.
WORD_BREAKS = " \t\n\"'@><=;|&(:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    on_disk(folder / "flower-data")
    return folder


@pytest.fixture
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FLOWER_DB", raising=False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flower ", TypedLine(("flower",), "", "")),
        ("flower tas", TypedLine(("flower",), "tas", "")),
        ("flower tasks 'a b", TypedLine(("flower", "tasks"), "a b", "'")),
        ('flower tasks "a \\" b', TypedLine(("flower", "tasks"), 'a " b', '"')),
        ("flower 'a b' c\\ d", TypedLine(("flower", "a b"), "c d", "")),
        ("flower '' ", TypedLine(("flower", ""), "", "")),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, expected: TypedLine) -> None:
    assert split_line(line) == expected


def candidates(line: str) -> list[str]:
    return [value for value, _ in complete(split_line(line))]


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flower ", list(COMMANDS)),
        ("flower -A proj --db x ta", ["tasks", "task", "tail"]),
        ("flower --work", ["--workdir"]),
        ("flower --max-ta", []),
        ("flower serve --max-ta", ["--max-tasks"]),
        ("flower jobs s", ["show", "stop"]),
        ("flower jobs list --exi", ["--exit-zero"]),
        ("flower tasks --so", ["--sort"]),
        ("flower tasks -o ", ["json", "ndjson", "csv"]),
        ("flower tasks --columns uuid,runt", ["uuid,runtime", "uuid,runtime_derived"]),
        ("flower stats --by na", ["name"]),
        ("flower completion ", ["bash", "zsh", "fish"]),
        ("flower tasks sta", ["state:", "started:"]),
        ("flower tasks state:FA", ["state:FAILURE"]),
        ("flower tasks -state:fa", ["-state:FAILURE"]),
        ("flower tasks name:sh", ["name:shop.order"]),
        ("flower rerun -A proj name:sh", ["name:shop.order"]),
        ("flower tasks name:x OR worker:", ["worker:celery@w1", "worker:celery@w2", "worker:="]),
        ("flower tasks queue:", ["queue:celery", "queue:="]),
        ("flower tasks is:fa", ["is:failed"]),
        ("flower tasks 'state:FAILURE wor", ["state:FAILURE worker:"]),
        ("flower workers celery@w", ["celery@w1", "celery@w2"]),
        ("flower --db /nowhere tasks name:sh", []),
        ("flower tasks --db ", ["@files"]),
        ("flower import ", ["@files"]),
        ("flower nonsense ", []),
    ],
)
def test_candidates(line: str, expected: list[str]) -> None:
    assert candidates(line) == expected


@pytest.mark.usefixtures("in_folder")
def test_fields_and_operators_have_descriptions() -> None:
    assert ("runtime:>", ">, or later") in complete(split_line("flower tasks runtime:"))
    assert ("state:", "exact state") in complete(split_line("flower tasks "))


def test_bash_receives_only_the_part_after_its_word_break(folder: Path) -> None:
    def request(line: str, shell: str = "bash") -> list[str]:
        words = ("completion", shell, "--line", line, "--word-breaks", WORD_BREAKS)
        return [each.partition("\t")[0] for each in run(*words, folder=folder).stdout.splitlines()]

    assert request("flower tasks state:FA") == ["FAILURE"]
    assert request("flower tasks 'state:FA") == ["state:FAILURE"]
    assert request("flower tasks state:FA", "zsh") == ["state:FAILURE"]
    assert request("flower tasks worker:celery@") == ["w1", "w2"]
    assert r"runtime:\>" in request("flower tasks runtime:", "zsh")


def test_words_are_read_without_the_query_engine(folder: Path) -> None:
    program = (
        "import sys; from flower.cli.completion import complete; from flower.cli.shell_line import split_line;"
        "print(complete(split_line('flower tasks name:sh')), {'numpy', 'tantivy', 'celery'} & {*sys.modules})"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=True)
    assert finished.stdout.strip() == "[('name:shop.order', '')] set()"


#: Modules that take longer to import than a completion may take.
SLOW_MODULES = {"celery", "kombu", "numpy", "pyarrow", "redis", "rich", "starlette", "tantivy"}
#: These share functions of the HTTP API at the level of modules.
ASYNCIO_COMMANDS = {"status", "health", "queues", "tail", "watch"}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_the_options_of_a_command_are_completed_without_slow_modules(name: str, tmp_path: Path) -> None:
    slow = SLOW_MODULES if name in ASYNCIO_COMMANDS else SLOW_MODULES | {"anyio", "asyncio"}
    program = (
        "import sys; from flower.cli.completion import complete; from flower.cli.shell_line import split_line;"
        f"complete(split_line('flower {name} --')); print(sorted({slow!r} & {{*sys.modules}}))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert finished.stdout.strip() == "[]"


def test_the_configuration_file_is_not_run_by_a_completion(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("open('ran', 'w').close()")
    run("completion", "bash", "--line", "flower tasks name:", folder=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_completion_takes_little_processor_time(folder: Path) -> None:
    """The time on an idle machine is about 0.15 s; the limit allows for a busy one."""
    run("completion", "bash", "--line", "flower tasks name:sh", folder=folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("completion", "bash", "--line", "flower tasks name:sh", folder=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.6


def test_a_missing_or_damaged_store_has_no_words(tmp_path: Path) -> None:
    assert read_words(tmp_path, "name", "") == []
    (tmp_path / "seg-000001.db").write_bytes(os.urandom(8192))
    assert read_words(tmp_path, "name", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(shell: str, folder: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    with InteractiveShell(shell, folder) as interactive:
        assert interactive.complete("flower fai") == ["flower", "failures"]
        assert interactive.complete("flower tasks state:FAI") == ["flower", "tasks", "state:FAILURE"]
        assert interactive.complete("flower tasks 'state:FAI") == ["flower", "tasks", "state:FAILURE"]
        assert interactive.complete("flower tasks name:billing.ch") == ["flower", "tasks", "name:billing.charge"]
        assert interactive.complete("flower tasks --exi") == ["flower", "tasks", "--exit-zero"]
