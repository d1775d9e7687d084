"""Abbreviated task ids, and actions on them without a broker."""

import json
import re
import uuid
from pathlib import Path

import pytest

from flower.cli.task_ids import find_task, is_query, shorten_ids
from flower.errors import InvalidRequest, NoSuchTask
from flower.records import Task
from flower.store.factory import open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Reader
from tests.helpers.pseudo_terminal import run_on_terminal
from tests.helpers.sample_store import NOW, run

FIRST = "2b8726da-0000-4000-8000-000000000001"
SECOND = "2b8726da-0000-4000-8000-000000000002"
OTHER = "77777777-0000-4000-8000-000000000003"
STARS = "star*star*"

#: Escape sequences that rich writes.
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def make_task(task_id: str) -> Task:
    return Task(
        uuid=task_id, name="shop.order", state="FAILURE", received=NOW - 60, failed=NOW - 50, timestamp=NOW - 50,
        args="(1,)", kwargs="{}", hostname="celery@w1", exception="ValueError('no')",
    )  # fmt: skip


TASKS = [make_task(each) for each in (FIRST, SECOND, OTHER, STARS, "order:7")]


@pytest.fixture
def store() -> Reader:
    memory = MemoryStore()
    MemoryWriter(memory).write(Batch(new=TASKS))
    return MemoryReader(memory)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = open_writer(tmp_path / "flower-data")
    writer.write(Batch(new=TASKS))
    writer.close()
    return tmp_path


def test_a_unique_beginning_of_8_characters_is_sufficient(store: Reader) -> None:
    assert find_task(store, "77777777").uuid == OTHER
    assert find_task(store, "77777777-0").uuid == OTHER
    assert find_task(store, "order:7").uuid == "order:7"
    with pytest.raises(NoSuchTask) as too_short:
        find_task(store, "7777777")
    assert too_short.value.hint == f"similar ids: {OTHER}"
    with pytest.raises(NoSuchTask):
        find_task(store, "********")


def test_an_ambiguous_beginning_is_an_error_with_the_candidates(store: Reader) -> None:
    with pytest.raises(InvalidRequest) as error:
        find_task(store, "2b8726da")
    assert error.value.message == "'2b8726da' is not unique"
    assert {FIRST, SECOND} == set(error.value.hint.removeprefix("tasks: ").split(", "))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["2b8726da", OTHER], False),
        (["order:7"], False),
        (["order:8"], True),
        (["state:FAILURE", "2b8726da"], True),
        (["-name"], True),
        (["two words"], True),
        (["a", "OR", "b"], True),
    ],
)
def test_a_query_is_distinguished_from_ids(store: Reader, words: list[str], expected: bool) -> None:
    assert is_query(store, words) is expected


def test_only_unique_uuids_are_shortened() -> None:
    assert shorten_ids([FIRST, SECOND, OTHER, "order:7", None]) == {OTHER: "77777777"}


def test_a_terminal_shows_8_characters_where_they_are_unique(folder: Path) -> None:
    text = run_on_terminal("tasks", folder=folder, NO_COLOR="1")
    assert OTHER not in text
    assert "77777777" in text
    assert FIRST in text
    shown = {line.split()[-1] for line in _STYLE.sub("", text).splitlines()[1:]}
    assert shown == {FIRST, SECOND, "77777777", STARS, "order:7"}
    assert OTHER in run_on_terminal("tasks", "--columns", "uuid", folder=folder, NO_COLOR="1")
    assert OTHER in run("tasks", folder=folder).stdout


def test_task_accepts_a_beginning(folder: Path) -> None:
    assert run("task", "77777777", folder=folder).stdout.splitlines()[1] == OTHER
    ambiguous = run("task", "2b8726da", folder=folder)
    assert (ambiguous.returncode, FIRST in ambiguous.stderr) == (2, True)


@pytest.mark.parametrize("action", ["rerun", "revoke", "terminate", "abort"])
def test_dry_run_of_a_query_prints_a_plan(action: str, folder: Path) -> None:
    words = (action, "state:FAILURE", "name:shop.order", "--since", "1h", "--dry-run")
    plan = json.loads(run(*words, folder=folder).stdout)
    assert (plan["action"], plan["count"]) == (action, len(TASKS))
    text = run_on_terminal(*words, folder=folder, NO_COLOR="1")
    assert f"{len(TASKS)} tasks: state:FAILURE name:shop.order" in text
    assert "77777777  FAILURE" in text
    assert "Dry run: nothing was changed." in text
    assert json.loads(run_on_terminal(*words, "--json", folder=folder))["count"] == len(TASKS)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("rerun",), 2, "QUERY or an ID is required"),
        (("rerun", "nonsense", "--dry-run"), 1, "Unknown task 'nonsense'"),
        (("revoke", "nonsense"), 1, "Unknown task 'nonsense'"),
        (("rerun", "2b8726da"), 2, "'2b8726da' is not unique"),
        (("rerun", "77777777", "--since", "1h"), 2, "--since and --until require a query"),
        (("rerun", "state:FAILURE"), 2, "Re-run of 5 tasks requires a confirmation"),
        (("rerun", "state:FAILURE", "--queue", "x", "--yes"), 2, "require exactly one ID"),
        (("rerun", "state:SUCCESS", "--yes"), 1, "No tasks match"),
        (("rerun", "state:", "--dry-run"), 2, "Search qualifier requires a value"),
        (("jobs", "--start", "rerun", "state:FAILURE"), 2, "is replaced by: flower rerun|revoke|terminate|abort QUERY"),
        (("jobs", "start", "rerun", "state:FAILURE"), 2, "is replaced by: flower rerun|revoke|terminate|abort QUERY"),
        (("jobs", "--show", "5f0c"), 2, "is replaced by: flower jobs show JOB"),
        (("jobs", "show", "5f0c"), 1, "Unknown job '5f0c'"),
        (("jobs",), 1, "No results."),
    ],
)
def test_mistakes_are_reported_before_anything_is_sent(
    words: tuple[str, ...], status: int, message: str, folder: Path
) -> None:
    finished = run(*words, folder=folder)
    assert (finished.returncode, finished.stdout) == (status, "")
    assert message in finished.stderr


def test_sample_ids_are_canonical() -> None:
    assert str(uuid.UUID(FIRST)) == FIRST
