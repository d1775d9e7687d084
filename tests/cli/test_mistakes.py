"""Mistyped options and names are errors that say what was probably meant."""

from pathlib import Path

import pytest

from flower.api.actions.stop import parse_signal
from flower.errors import InvalidRequest
from tests.helpers.sample_store import on_disk, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mistakes")
    on_disk(path / "flower-data")
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tasks", "-z"), "No such option '-z'. To exclude tasks with this word: -- -z."),
        (("tasks", "-limit", "5"), "Did you mean '--limit'?"),
        (("stats", "-by", "name"), "Did you mean '--by'?"),
        (("tasks", "--limt", "5"), "'--limit'"),
    ],
)
def test_a_mistyped_option_is_not_searched_for(words: tuple[str, ...], message: str, folder: Path) -> None:
    finished = run(*words, folder=folder)
    assert finished.returncode == 2
    assert message in finished.stderr


@pytest.mark.parametrize("words", [("-name:shop.order",), ("--", "-z"), ("-urgent",)])
def test_a_negated_word_is_still_a_query(words: tuple[str, ...], folder: Path) -> None:
    finished = run("tasks", "--exit-zero", *words, folder=folder)
    assert finished.returncode == 0, finished.stderr


def test_an_unknown_queue_is_an_error(folder: Path) -> None:
    finished = run("queues", "nowhere", folder=folder)
    assert (finished.returncode, finished.stderr) == (1, "Error: Unknown queue 'nowhere'\n")


def test_a_missing_file_of_an_export_is_explained(folder: Path) -> None:
    finished = run("export", "state:FAILURE", folder=folder)
    assert finished.returncode == 2
    assert "Hint: the last word is the file" in finished.stderr


def test_the_directory_without_data_is_named_completely(tmp_path: Path) -> None:
    finished = run("tasks", folder=tmp_path)
    assert finished.returncode == 3
    assert f"No data in {tmp_path / 'flower-data'}" in finished.stderr


@pytest.mark.parametrize("name", ["token", "session", "jobs", "redaction"])
def test_the_help_of_a_group_is_complete(name: str, tmp_path: Path) -> None:
    assert "...\n" not in run(name, "--help", folder=tmp_path).stdout.replace("[ARGS]...\n", "")


def test_the_version_names_the_package(tmp_path: Path) -> None:
    assert run("--version", folder=tmp_path).stdout.startswith("Bellflower, version 0.")


def test_a_signal_is_a_name_or_a_number() -> None:
    assert [parse_signal(each) for each in ("9", "kill", "SIGKILL", "15")] == [
        "SIGKILL",
        "SIGKILL",
        "SIGKILL",
        "SIGTERM",
    ]
    for invalid in ("999", "FOO", ""):
        with pytest.raises(InvalidRequest):
            parse_signal(invalid)
