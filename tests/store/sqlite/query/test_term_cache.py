"""What was read of a word is not read again, and is never believed when the row has changed since."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from flower.records import Task
from flower.search.parser import parse_search
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Reader, TaskChange, Writer
from flower.store.sqlite.query import evaluate
from tests.helpers.task_factory import make, uuid_of

COUNT = 60


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each reading of rows looked at."""
    looked: list[int] = []
    verified = evaluate.verify_rows

    def counting(look, node, slots):  # type: ignore[no-untyped-def]
        looked.append(len(slots))
        return verified(look, node, slots)

    monkeypatch.setattr(evaluate, "verified", counting)
    monkeypatch.setattr(evaluate, "_MAX_UNCERTAIN_ROWS", 5)
    monkeypatch.setattr(evaluate, "_SMALL", 0)
    return looked


def task(number: int, word: str = "common") -> Task:
    return make(number, kwargs=f"{{'note': '{word} {number}'}}")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    # one segment that never fills: it goes on changing
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


def test_a_word_is_read_once_for_all_queries(reader: Reader, read: list[int]) -> None:
    assert reader.count(parse_search("common")) == COUNT
    assert read == [COUNT]
    assert reader.count(parse_search("common name:mail")) == reader.count(parse_search("name:mail"))
    assert reader.count(parse_search("-common")) == 0
    assert (
        sum(value.count for value in reader.facets(parse_search("common"), ["state"]).facets["state"].values) == COUNT
    )
    assert len(reader.task_page(Query(parse_search("common")), limit=COUNT).tasks) == COUNT
    assert read == [COUNT]


def test_only_what_changed_is_read_again(reader: Reader, writer: Writer, read: list[int]) -> None:
    assert reader.count(parse_search("kwargs:common")) == COUNT
    writer.write(Batch(new=[task(COUNT), task(COUNT + 1, "other")]))
    change(writer, 3, "rare")
    change(writer, 4, "common")
    read.clear()
    assert reader.count(parse_search("kwargs:common")) == COUNT
    assert sum(read) == 4
    found = {found.uuid for found in reader.tasks(Query(parse_search("kwargs:common")))}
    assert uuid_of(3) not in found
    assert uuid_of(4) in found
    assert uuid_of(COUNT) in found


def test_columns_made_anew_are_read_anew(tmp_path: Path, read: list[int]) -> None:
    """Their versions begin again, so that the same version may be another text."""
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
