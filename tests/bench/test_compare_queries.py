"""Every kind of question is put to the API over the reference store: are they taken, and do the facts hold?"""

import random
import time
from collections.abc import Iterator

import msgspec
import pytest

from bench.dataset import Population
from bench.event_stream import Workload
from bench.http_timing import ask, interview
from bench.paired_requests import lines
from bench.query_mix import rows
from bench.scenarios.compare_queries import tasks_in
from bench.visibility_check import View
from flower.fold import fold
from flower.records import Event, Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.web_server import Live

SMALL = Population(1_500, now=time.time())
WORKLOAD = Workload(1_500, pace=1, notes=True)


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    tasks: dict[str, Task | None] = {}
    for plan in WORKLOAD.plans():
        for _, event in plan.timeline:
            tasks[plan.uuid] = fold(tasks.get(plan.uuid), msgspec.convert(event, Event))
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=[task for task in tasks.values() if task is not None]))
    return store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")


@pytest.fixture
def population(opened: None) -> Iterator[View]:
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=tuple(SMALL.row(0, SMALL.tasks))))
    with Live(MemoryReader(store)) as server:
        view = View(server.port)
        yield view
        view.close()


@pytest.fixture
def workload(opened: None, store: MemoryStore) -> Iterator[View]:
    with Live(MemoryReader(store)) as server:
        view = View(server.port)
        yield view
        view.close()


def test_every_kind_of_question_is_answered(population: View) -> None:
    times = interview(population, rows(SMALL), random.Random(4), rounds=3)
    errors = {f"{row}: {kind}": asked.errors for row, kinds in times.items() for kind, asked in kinds.items()}
    assert {kind: words for kind, words in errors.items() if words} == {}
    assert all(len(asked.milliseconds) == 3 for kinds in times.values() for asked in kinds.values())


def test_questions_find_something(population: View) -> None:
    """A page of nothing is a quick one."""
    chance = random.Random(6)
    for row in rows(SMALL):
        if row.name.startswith(("first", "page", "offset", "rare", "common", "phrase")):
            for kind, make in row.kinds.items():
                found = [tasks_in(ask(population, make(chance)).body) for _ in range(12)]
                assert sum(map(bool, found)) >= (2 if "any of them" in kind else 6), (row.name, kind)


def test_questions_beside_flower_find_something(workload: View) -> None:
    chance = random.Random(8)
    for line in lines(WORKLOAD):
        for way, make in line.ways.items():
            answers = [ask(workload, make(chance).bellflower) for _ in range(12)]
            assert [answer.error for answer in answers] == [None] * 12
            assert sum(tasks_in(answer.body) > 0 for answer in answers) >= 4, (line.name, way)
