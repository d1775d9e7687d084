"""Rows that were read for a term are not read again unless they have changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flower.records import Task
from flower.search.parser import parse_search
from flower.search.tree import Node
from flower.store.factory import open_writer
from flower.store.protocols import Batch, Query, Reader, TaskChange, Writer
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.query import evaluate
from flower.store.sqlite.query.context import SegmentView
from flower.store.sqlite.query.evaluate import verify_rows
from flower.store.sqlite.query.limits import QueryLimits
from flower.store.sqlite.reader import SqliteReader
from tests.helpers.task_factory import make, uuid_of

COUNT = 60


#: with these, the few rows of a test are cached
LIMITS = QueryLimits(uncached_rows=0, undecided_rows=5)


@pytest.fixture
def read_counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of each call that reads rows."""
    counts: list[int] = []

    def count_and_verify(view: SegmentView, node: Node, slots: Any) -> Any:
        counts.append(len(slots))
        return verify_rows(view, node, slots)

    monkeypatch.setattr(evaluate, "verify_rows", count_and_verify)
    return counts


def open_reader(path: Path) -> Reader:
    return SqliteReader(StoreDirectory(path), limits=LIMITS)


def task(number: int, word: str = "common") -> Task:
    return make(number, kwargs=f"{{'note': '{word} {number}'}}")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    # one segment that never becomes full, so it continues to change
    writer = open_writer(tmp_path / "store", segment_tasks=1000, text_index=False)
    writer.write(Batch(new=[task(number) for number in range(COUNT)]))
    yield writer
    writer.close()


@pytest.fixture
def reader(writer: Writer, tmp_path: Path) -> Iterator[Reader]:
    reader = open_reader(tmp_path / "store")
    yield reader
    reader.close()


def change(writer: Writer, number: int, word: str) -> None:
    stored = writer.load([uuid_of(number)])[uuid_of(number)]
    after = msgspec.structs.replace(stored.task, kwargs=task(number, word).kwargs)
    writer.write(Batch(changed=[TaskChange(stored.key or 0, stored.task, after)]))


def test_all_queries_share_the_result_of_a_term(reader: Reader, read_counts: list[int]) -> None:
    assert reader.count(parse_search("common")) == COUNT
    assert read_counts == [COUNT]
    assert reader.count(parse_search("common name:mail")) == reader.count(parse_search("name:mail"))
    assert reader.count(parse_search("-common")) == 0
    assert (
        sum(value.count for value in reader.facets(parse_search("common"), ["state"]).facets["state"].values) == COUNT
    )
    assert len(reader.task_page(Query(parse_search("common")), limit=COUNT).tasks) == COUNT
    assert read_counts == [COUNT]


def test_only_changed_rows_are_read_again(reader: Reader, writer: Writer, read_counts: list[int]) -> None:
    assert reader.count(parse_search("kwargs:common")) == COUNT
    writer.write(Batch(new=[task(COUNT), task(COUNT + 1, "other")]))
    change(writer, 3, "rare")
    change(writer, 4, "common")
    read_counts.clear()
    assert reader.count(parse_search("kwargs:common")) == COUNT
    assert sum(read_counts) == 4
    uuids = {task.uuid for task in reader.tasks(Query(parse_search("kwargs:common")))}
    assert uuid_of(3) not in uuids
    assert uuid_of(4) in uuids
    assert uuid_of(COUNT) in uuids


def test_rebuilt_columns_invalidate_the_result(tmp_path: Path, read_counts: list[int]) -> None:
    """The versions of their rows start again, so the same version may have another text."""
    path = tmp_path / "store"
    first = open_writer(path, segment_tasks=1000, text_index=False)
    first.write(Batch(new=[task(number) for number in range(COUNT)]))
    reader = open_reader(path)
    change(first, 3, "common")  # version 2
    assert reader.count(parse_search("kwargs:common")) == COUNT
    first.close()
    for file in path.glob("*.cols"):
        file.unlink()
    again = open_writer(path, segment_tasks=1000, text_index=False)
    while again.maintain():
        pass
    change(again, 3, "rare")  # version 2 again
    assert reader.count(parse_search("kwargs:common")) == COUNT - 1
    reader.close()
    again.close()
