"""Every kind of request to the API on the in-memory store: it is accepted, and returns tasks."""

import random
import time
from collections.abc import Iterator

import msgspec
import pytest

from bench.dataset import Dataset
from bench.event_stream import Workload
from bench.http_timing import time_request, time_requests
from bench.paired_requests import table_lines
from bench.query_mix import query_rows
from bench.scenarios.compare_queries import count_tasks
from bench.visibility_check import HttpClient
from flower.fold import fold
from flower.records import Event, Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.web_server import WebServer

SMALL = Dataset(1_500, now=time.time())
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
def dataset(opened: None) -> Iterator[HttpClient]:
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=tuple(SMALL.row(0, SMALL.tasks))))
    with WebServer(MemoryReader(store)) as server:
        client = HttpClient(server.port)
        yield client
        client.close()


@pytest.fixture
def workload(opened: None, store: MemoryStore) -> Iterator[HttpClient]:
    with WebServer(MemoryReader(store)) as server:
        client = HttpClient(server.port)
        yield client
        client.close()


def test_every_kind_of_request_succeeds(dataset: HttpClient) -> None:
    times = time_requests(dataset, query_rows(SMALL), random.Random(4), rounds=3)
    errors = {
        f"{row}: {kind}": request_times.errors for row, kinds in times.items() for kind, request_times in kinds.items()
    }
    assert {kind: messages for kind, messages in errors.items() if messages} == {}
    assert all(len(request_times.milliseconds) == 3 for kinds in times.values() for request_times in kinds.values())


def test_requests_find_tasks(dataset: HttpClient) -> None:
    """An empty page would be fast."""
    rng = random.Random(6)
    for row in query_rows(SMALL):
        if row.name.startswith(("first", "page", "offset", "rare", "common", "phrase")):
            for kind, make in row.kinds.items():
                counts = [count_tasks(time_request(dataset, make(rng)).body) for _ in range(12)]
                assert sum(map(bool, counts)) >= (2 if "any of them" in kind else 6), (row.name, kind)


def test_paired_requests_find_tasks(workload: HttpClient) -> None:
    rng = random.Random(8)
    for row in table_lines(WORKLOAD):
        for api, make in row.apis.items():
            responses = [time_request(workload, make(rng).bellflower) for _ in range(12)]
            assert [response.error for response in responses] == [None] * 12
            assert sum(count_tasks(response.body) > 0 for response in responses) >= 4, (row.name, api)
