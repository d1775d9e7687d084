"""The dataset has the properties that the requests of the benchmark rely on."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.dataset import DAY, Dataset
from bench.event_stream import NAMES, WORKERS
from bench.failure_fixtures import FAILURE_FIXTURES, LINES, PHRASE, FailureFixture, random_phrase
from bench.fill import fill, read_dataset
from bench.install import ROOT
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.search.tree import Term
from flower.store.factory import open_reader
from flower.store.protocols import Query, Reader
from flower.store.sqlite.writer import SqliteWriter

SMALL = Dataset(3_000, now=1_790_000_000.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = str(tmp_path_factory.mktemp("dataset") / "store")
    fill(folder, SMALL, 0, 2_000)
    fill(folder, SMALL, 2_000, 1_000)
    assert read_dataset(folder) == SMALL
    reader = open_reader(folder)
    yield reader
    reader.close()


def search(store: Reader, term: Term) -> list[str]:
    return [task.uuid for task in store.tasks(Query(term))]


def test_each_task_is_generated_independently(store: Reader) -> None:
    for number in (0, 777, 1_999, 2_000, 2_999):
        assert store.task(SMALL.uuid(number)) == SMALL.task(number)


def test_order_number_occurs_in_one_task(store: Reader) -> None:
    orders = {SMALL.order(number) for number in range(SMALL.tasks)}
    assert len(orders) == SMALL.tasks
    for number in (0, 1_234, 2_999):
        assert search(store, Term("", "contains", SMALL.order(number))) == [SMALL.uuid(number)]


def test_phrase_occurs_in_the_tracebacks_of_one_group(store: Reader) -> None:
    rng = random.Random(1)
    for _ in range(20):
        phrase = random_phrase(rng)
        assert len(phrase) == PHRASE
        fixtures = {d for d in FAILURE_FIXTURES if phrase in d.traceback(1)}
        assert fixtures
        for uuid in search(store, Term("traceback", "contains", phrase)):
            exception = getattr(store.task(uuid), "exception", None) or ""
            assert exception.partition("(")[0] in {failure.name for failure in fixtures}
    all_matches = search(store, Term("traceback", "contains", LINES[0]))
    assert 0.001 < len(all_matches) / SMALL.tasks < 0.1


def test_workflow_has_the_members_that_the_store_finds(store: Reader) -> None:
    # seven in each cycle of 1,009 tasks; the third cycle is almost complete
    assert SMALL.workflow_count() == 21
    members = 0
    for index in range(SMALL.workflow_count()):
        root = SMALL.workflow_root(index)
        family = SMALL.family(root)
        uuids = {SMALL.uuid(number) for number in family}
        assert uuids == set(search(store, Term("root_id", "equals", SMALL.uuid(root))))
        assert all(SMALL.family(number) == family for number in family)
        parents = {getattr(store.task(uuid), "parent_id", None) for uuid in uuids}
        assert parents <= uuids | {None}
        members += len(family)
    assert 0.08 < members / SMALL.tasks < 0.12
    assert SMALL.family(5) == [5]


def test_mixture_is_realistic() -> None:
    tasks = list(SMALL.row(0, SMALL.tasks))
    states = Counter(task.state for task in tasks)
    assert 0.90 < states["SUCCESS"] / len(tasks) < 0.94
    assert 0.04 < states["FAILURE"] / len(tasks) < 0.07
    assert states["STARTED"]
    assert states["RETRY"]
    assert {task.hostname for task in tasks} == {*WORKERS, None}
    names = Counter(task.name for task in tasks)
    assert names[NAMES[0]] > 3 * names[NAMES[10]] > 0
    assert len({task.queue for task in tasks}) == 7  # six queues and None
    assert any(task.earlier for task in tasks)
    assert 250 < sum(map(searchable, tasks)) / len(tasks) < 400


def searchable(task: Task) -> int:
    texts = (task.uuid, task.name, task.state, task.hostname, task.args, task.kwargs)
    return sum(len((text or "").encode()) for text in (*texts, task.result, task.exception, task.traceback))


def test_times_end_now_and_one_day_has_a_million_tasks() -> None:
    tasks = list(SMALL.row(0, SMALL.tasks))
    received = [task.received for task in tasks if task.received is not None]
    assert SMALL.now - 5 < max(received) <= SMALL.now
    assert all(task.timestamp is not None and task.timestamp <= SMALL.now for task in tasks)
    assert SMALL.now - SMALL.tasks / 1_000_000 * DAY - 5 <= min(received)
    assert received != sorted(received)
    ten_million_tasks = Dataset(10_000_000, now=SMALL.now)
    assert ten_million_tasks.now - ten_million_tasks.scheduled_at(9_000_000) == pytest.approx(DAY, rel=1e-5)


def test_equal_datasets_have_equal_tasks() -> None:
    assert list(SMALL.row(100, 50)) == list(Dataset(3_000, now=SMALL.now).row(100, 50))
    later = Dataset(3_000, now=SMALL.now + 1).task(7)
    assert replace(later, received=None, sent=None, started=None, succeeded=None, timestamp=None) == replace(
        SMALL.task(7), received=None, sent=None, started=None, succeeded=None, timestamp=None
    )


@pytest.mark.parametrize("failure", FAILURE_FIXTURES, ids=lambda failure: failure.name)
def test_group_of_failures_has_one_fingerprint(failure: FailureFixture) -> None:
    texts = [(failure.repr(n), failure.traceback(n)) for n in (3, 77, 9_999)]
    filled = [[text.replace("{order}", SMALL.order(n)) for text in pair] for n, pair in enumerate(texts)]
    assert len({compute_fingerprint(*pair) for pair in filled}) == 1


def test_fill_command_writes_tasks(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.fill",
        str(tmp_path / "store"),
        "10",
        "500",
        "--of",
        "600",
        "--now",
        "1.79e9",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    reader = open_reader(tmp_path / "store")
    assert reader.count() == 500
    assert reader.task(Dataset(600, 1.79e9).uuid(509)) == Dataset(600, 1.79e9).task(509)
    reader.close()


def test_filling_waits_for_columns_and_text_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the benchmark would measure a store that is still being indexed."""
    finished = []

    def finish_maintenance(writer: SqliteWriter) -> None:
        finished.append(writer)

    monkeypatch.setattr(SqliteWriter, "finish_maintenance", finish_maintenance)
    fill(str(tmp_path / "store"), SMALL, 0, 10)
    assert len(finished) == 1
