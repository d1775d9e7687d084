"""Random tasks and random queries: the store on disk returns the results of the reference store."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flower.records import Task
from flower.search.tree import EVERYTHING, Node
from flower.store.factory import open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Query, Reader, TaskChange, Writer
from flower.store.sqlite import segment_set, sql_where
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.query.limits import DEFAULT_LIMITS, QueryLimits
from flower.store.sqlite.reader import SqliteReader
from flower.store.sqlite.text import TextWriter, template_builder
from flower.store.sqlite.text.backlog import IndexBacklog
from tests.helpers.task_factory import ids, nodes, queries, some_tasks

#: many small stores are created: a file system in memory, if there is one, spares the disk
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

#: with these, a few tasks exercise the strategies that otherwise a hundred thousand tasks do
LOW_LIMITS = QueryLimits(
    fetched_rows=2,
    verified_rows=2,
    uncached_rows=0,
    undecided_rows=0,
    compared_values=0,
    sample_stride=2,
    tried_slots=2,
    slots_per_match=1,
    scan_block=1,
    min_chunk=1,
    max_chunk=3,
    index_candidates=1,
    broad_ratio=1000,
    unindexed_rows=0,
    rare_candidates=1,
)

DERIVED_CHANGES = ("columns", "order", "index", "templates", "no columns", "no index")

histories = st.lists(st.lists(some_tasks(), max_size=12, unique_by=lambda task: task.uuid), min_size=1, max_size=6)


def write_like_the_recorder(writer: Writer, tasks: list[Task]) -> None:
    """Write as the recorder does: load, separate new from stored tasks, write."""
    known = writer.load([task.uuid for task in tasks])
    writer.write(
        Batch(
            new=[task for task in tasks if task.uuid not in known],
            changed=[
                TaskChange(known[task.uuid].key or 0, known[task.uuid].task, task)
                for task in tasks
                if task.uuid in known
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
    paged_queries=st.lists(
        st.tuples(queries, st.integers(0, 20), st.none() | st.integers(-1, 15)), min_size=1, max_size=6
    ),
    family=st.lists(ids, max_size=3),
    where=nodes,
    tiny=st.booleans(),
    derived_changes=st.lists(st.sampled_from(DERIVED_CHANGES), max_size=4),
)
def test_store_on_disk_agrees_with_the_reference(
    history: list[list[Task]],
    paged_queries: list[tuple[Query, int, int | None]],
    family: list[str],
    where: Node,
    tiny: bool,
    derived_changes: list[str],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if tiny:
            patch.setattr(sql_where, "_MAX_INLINE_IDS", 1)
        patch.setattr(segment_set, "MAINTENANCE_DELAY", -1.0)
        patch.setattr(template_builder, "MIN_CHANGED_ROWS", 1)
        compare(history, paged_queries, family, where, derived_changes, LOW_LIMITS if tiny else DEFAULT_LIMITS)


def index_all_texts(folder: Path, *, templates_only: bool = False) -> None:
    """Index all texts at once, as the thread of the writer does."""
    source, index = IndexBacklog(StoreDirectory(folder)), TextWriter(folder / "text")
    try:
        source.set_blocks(index.generation, index.blocks)
        while source.build_templates():
            pass
        while not templates_only and (rows := source.list_pending(5)):
            for row in rows:
                index.add(row.key, row.text)
            block = index.commit()
            source.mark_indexed([(row.key, row.version) for row in rows], block)
            source.set_blocks(index.generation, index.blocks)
    finally:
        index.close()
        source.close()


def change_derived_files(folder: Path, writer: Writer, change: str) -> Writer:
    """Build or delete columns and text index, as may happen during the life of a store."""
    if change == "no columns":
        writer.close()
        for file in folder.glob("*.cols"):
            file.unlink()
        return open_writer(folder, segment_tasks=7, text_index=False)
    if change == "no index":
        shutil.rmtree(folder / "text", ignore_errors=True)
    elif change == "index":
        index_all_texts(folder)
    elif change == "templates":
        index_all_texts(folder, templates_only=True)
    else:
        while writer.maintain() and change == "order":
            pass
    return writer


def read_pages(store: Reader, query: Query, size: int) -> list[Task]:
    """All tasks, page by page."""
    found: list[Task] = []
    cursor: str | None = None
    while True:
        page = store.task_page(query, limit=size, cursor=cursor)
        assert page.partial is None
        found += page.tasks
        cursor = page.cursor
        if cursor is None:
            return found


def compare(
    history: list[list[Task]],
    paged_queries: list[tuple[Query, int, int | None]],
    family: list[str],
    where: Node,
    derived_changes: list[str],
    limits: QueryLimits,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bellflower-store-", dir=FAST))
    shared = MemoryStore()
    reference_writer, reference = MemoryWriter(shared), MemoryReader(shared)
    writer = open_writer(folder / "data", segment_tasks=7, text_index=False)
    ours = SqliteReader(StoreDirectory(folder / "data"), limits=limits)
    try:
        for tasks in history:
            write_like_the_recorder(reference_writer, tasks)
            write_like_the_recorder(writer, tasks)
            if derived_changes:
                writer = change_derived_files(folder / "data", writer, derived_changes.pop())
            assert_same(ours, reference, Query(where), 0, None)
        for query, offset, limit in paged_queries:
            assert_same(ours, reference, query, offset, limit)
            assert read_pages(ours, query, max(1, offset)) == read_pages(reference, query, max(1, offset))
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
        writer = open_writer(folder / "data", segment_tasks=7, text_index=False)
        assert_same(ours, reference, Query(EVERYTHING, ()), 0, None)
    finally:
        writer.close()
        ours.close()
        shutil.rmtree(folder)
