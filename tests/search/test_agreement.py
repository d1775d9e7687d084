"""The matcher, the store in memory and the store on disk agree on random queries, for records and for dicts."""

import math
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flower.api.task_dict import to_task_info
from flower.errors import SearchError
from flower.records import Task
from flower.search.flower_terms import parse_search_terms, satisfies_search_terms
from flower.search.matcher import matches, needs_slow_thresholds
from flower.search.parser import parse_search
from flower.search.tree import Node
from flower.store.factory import open_reader, open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Query, Reader
from flower.store.sqlite.catalog import BOUNDED_KEYS
from tests.helpers.search_strategies import hostile, tasks, trees

FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

_PARTS = [
    "name:", "state:", "uuid:", "worker:", "args.0:", "kwargs.id:", "kwargs.order_id:", "kwargs:id=", "result.id:",
    "data.progress.percent:", "has:", "is:", "runtime:", "retries:", "wait:", "attempts:", "received:", "sent:",
    "traceback", "failed", "slow", "retried", "child", "unfinished", "kwargs", "data", "shop.", "*", "?", "=", ",",
    ">", ">=", "<", "<=", "..", "1", "5", "1.5s", "-1h", "now", "today", "2023", "-", "(", ")", " OR ", " ", " ", '"',
    "FAILURE", "SUCCESS", "x",
]  # fmt: skip
query_texts = st.lists(st.sampled_from(_PARTS) | hostile, max_size=10).map("".join)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_sql_matcher_and_columns_agree(data: st.DataObject) -> None:
    drawn = data.draw(st.lists(tasks(), min_size=1, max_size=8, unique_by=lambda task: task.uuid))
    folder = Path(tempfile.mkdtemp(prefix="bellflower-search-", dir=FAST))
    writer, disk = open_writer(folder / "data", segment_tasks=5, text_index=False), open_reader(folder / "data")
    shared = MemoryStore()
    try:
        writer.write(Batch(new=list(map(with_finite_bounds, drawn))))
        # as stored on disk: without lone surrogates and NaN
        stored = list(disk.tasks(Query(sort=())))
        assert len(stored) == len(drawn)
        MemoryWriter(shared).write(Batch(new=stored))
        for _ in range(6):
            assert_same(data.draw(trees(data.draw(st.sampled_from(stored)))), stored, disk, MemoryReader(shared))
            query = data.draw(query_texts)
            try:
                tree = parse_search(query, now=1.7e9)
            except SearchError:
                continue
            assert_same(tree, stored, disk, MemoryReader(shared))
            if "now" not in query and "-1h" not in query and "today" not in query:
                terms = parse_search_terms(query)
                assert [satisfies_search_terms(task, terms) for task in stored] == [
                    matches(tree, task) for task in stored
                ]
    finally:
        writer.close()
        disk.close()
        shutil.rmtree(folder)


def with_finite_bounds(task: Task) -> Task:
    """Segments store bounds as JSON, which has no infinity."""
    found = {name: getattr(task, name) for name in {*BOUNDED_KEYS, "sent"} - {"time"}}
    return replace(task, **{name: None for name, value in found.items() if value is None or not math.isfinite(value)})


def assert_same(node: Node, stored: list[Task], *readers: Reader) -> None:
    expected = [task.uuid for task in stored if matches(node, task)]
    infos = [to_task_info(task, worker=None, children=()) for task in stored]
    assert [info["uuid"] for info in infos if matches(node, info)] == expected
    if needs_slow_thresholds(node):
        return  # the stores compute the slow thresholds
    for reader in readers:
        assert [task.uuid for task in reader.tasks(Query(node, ()))] == expected
        assert reader.count(node) == len(expected)
