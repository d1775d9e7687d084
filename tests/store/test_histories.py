"""Random histories and random queries: the store on disk answers as the reference does."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flower.records import Task
from flower.search.tree import EVERYTHING, Node
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.opening import open_reader, open_writer
from flower.store.port import Batch, Changed, Query, Reader, Writer
from flower.store.sqlite import order, rank, reader
from flower.store.sqlite import where as where_module
from store.tasks import ids, nodes, queries, some_tasks

#: many small stores are made: memory, if the system has it as a folder, spares the disk
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

histories = st.lists(st.lists(some_tasks(), max_size=12, unique_by=lambda task: task.uuid), min_size=1, max_size=6)


def offer(writer: Writer, tasks: list[Task]) -> None:
    """As the recorder does: load, tell new from known, write."""
    known = writer.load([task.uuid for task in tasks])
    writer.write(
        Batch(
            new=[task for task in tasks if task.uuid not in known],
            changed=[
                Changed(known[task.uuid].key or 0, known[task.uuid].task, task) for task in tasks if task.uuid in known
            ],
        )
    )


def assert_same(ours: Reader, reference: Reader, query: Query, offset: int, limit: int | None) -> None:
    assert list(ours.tasks(query, limit=limit, offset=offset)) == list(
        reference.tasks(query, limit=limit, offset=offset)
    )
    assert ours.count(query.where) == reference.count(query.where)


@settings(report_multiple_bugs=False, max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=histories,
    asked=st.lists(st.tuples(queries, st.integers(0, 20), st.none() | st.integers(-1, 15)), min_size=1, max_size=6),
    family=st.lists(ids, max_size=3),
    where=nodes,
    tiny=st.booleans(),
)
def test_disk_agrees_with_the_reference(
    history: list[list[Task]], asked: list[tuple[Query, int, int | None]], family: list[str], where: Node, tiny: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if tiny:
            # so that a handful of tasks takes the ways that a hundred thousand take
            for module, name, value in (
                (order, "_SELECTIVE", 1), (order, "_FEW", 0), (order, "LARGEST_PAGE", 3), (rank, "NEAR", 1),
                (rank, "_STRIDE", 1), (reader, "_ROWS", 2), (where_module, "_IN_LINE", 1),
            ):  # fmt: skip
                patch.setattr(module, name, value)
        run(history, asked, family, where)


def run(history: list[list[Task]], asked: list[tuple[Query, int, int | None]], family: list[str], where: Node) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bellflower-store-", dir=FAST))
    shared = MemoryStore()
    reference_writer, reference = MemoryWriter(shared), MemoryReader(shared)
    writer, ours = open_writer(folder / "data", segment_tasks=7), open_reader(folder / "data")
    try:
        for tasks in history:
            offer(reference_writer, tasks)
            offer(writer, tasks)
            assert_same(ours, reference, Query(where), 0, None)
        for query, offset, limit in asked:
            assert_same(ours, reference, query, offset, limit)
        assert ours.names() == reference.names()
        assert ours.children(family) == reference.children(family)
        news, expected = ours.changes(0), reference.changes(0)
        assert (news.sequence, set(news.uuids), news.complete) == (
            expected.sequence,
            set(expected.uuids),
            expected.complete,
        )
        for uuid in family:
            assert ours.task(uuid) == reference.task(uuid)
        writer.close()
        writer = open_writer(folder / "data", segment_tasks=7)
        assert_same(ours, reference, Query(EVERYTHING, ()), 0, None)
    finally:
        writer.close()
        ours.close()
        shutil.rmtree(folder)
