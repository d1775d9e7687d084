"""Tests that queries on a store with very many task names and workers observe the time limit in each stage."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flower.errors import DeadlineExceeded
from flower.search.parser import parse_search
from flower.search.tree import EVERYTHING
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Reader, Sort
from flower.store.query_results import BucketSpan
from flower.store.sqlite.connection_pool import Deadline
from tests.helpers.task_factory import make

NAMES = 24_000
SPAN = BucketSpan(1000.0, 3_000.0, 10)
SLOW = parse_search("is:slow")
QUERIES: dict[str, Callable[[Reader], Any]] = {
    "summaries": lambda reader: reader.summaries(EVERYTHING, by="name", limit=50),
    "facets": lambda reader: reader.facets(EVERYTHING, ["name", "worker"]),
    "page": lambda reader: reader.task_page(Query(EVERYTHING, (Sort("name"),)), limit=50),
    "descending page": lambda reader: reader.task_page(Query(EVERYTHING, (Sort("worker", descending=True),)), limit=50),
    "page by two keys": lambda reader: reader.task_page(Query(EVERYTHING, (Sort("name"), Sort("received"))), limit=50),
    "offset": lambda reader: next(reader.tasks(Query(EVERYTHING, (Sort("name"),)), limit=1, offset=NAMES // 2)),
    "search": lambda reader: reader.count(parse_search("name:*77*")),
    "slow": lambda reader: reader.count(SLOW),
    "thresholds": lambda reader: reader.slow_thresholds(),
    "failures": lambda reader: reader.failures(EVERYTHING, span=SPAN),
    "timeline": lambda reader: reader.timeline(EVERYTHING, SPAN),
}


@pytest.fixture(scope="module")
def many_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("names") / "data"
    writer = open_writer(path, segment_tasks=NAMES // 2, text_index=False)
    tasks = [
        make(
            number, name=f"app.tasks.name_{number * 7919 % NAMES}", hostname=f"celery@worker-{number}", runtime=1.0,
            state="FAILURE", exception="ValueError('broken')",
        )
        for number in range(NAMES)
    ]  # fmt: skip
    for place in range(0, NAMES, 2_000):
        writer.write(Batch(new=tasks[place : place + 2_000]))
    writer.finish_maintenance()  # type: ignore[attr-defined]
    writer.close()
    return path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The processor time at each check of a time limit."""
    times: list[float] = []
    is_expired = Deadline.is_expired

    def check(deadline: Deadline) -> bool:
        times.append(time.thread_time())
        return is_expired(deadline)

    monkeypatch.setattr(Deadline, "is_expired", check)
    gc.disable()  # it takes as long as the objects of other tests require
    yield times
    gc.enable()


@pytest.mark.parametrize("name", QUERIES)
def test_no_stage_runs_long_without_a_check(many_names: Path, checks: list[float], name: str) -> None:
    reader = open_reader(many_names)
    reader.status()
    begin = time.thread_time()
    QUERIES[name](reader)
    end = time.thread_time()
    reader.close()
    longest = max(after - before for before, after in zip([begin, *checks], [*checks, end], strict=True))
    # sorting and ranking the names are single steps of C
    assert longest < 0.02 + 0.2 * (end - begin)


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("limit", [0.0, 0.03, 0.1])
def test_time_limit_ends_a_query(many_names: Path, name: str, limit: float) -> None:
    reader = open_reader(many_names, time_limit=limit)
    begin = time.thread_time()
    with suppress(DeadlineExceeded, StopIteration):
        QUERIES[name](reader)
    assert time.thread_time() - begin < limit + 0.1
    reader.close()
