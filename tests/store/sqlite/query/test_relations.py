"""Children and members of a workflow are found in segments that still change, without a copy of their columns."""

from contextlib import closing
from pathlib import Path

import pytest

from flower.records import Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from flower.store.sqlite.query import column_cache
from tests.helpers.task_factory import make, uuid_of


def child(number: int, parent: int, root: int) -> Task:
    return make(number, parent_id=uuid_of(parent), root_id=uuid_of(root))


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the segments whose columns were copied."""
    numbers: list[int] = []
    copy_columns = column_cache._copy_columns

    def copy(file: object, segment: object) -> object:
        numbers.append(segment.number)  # type: ignore[attr-defined]
        return copy_columns(file, segment)  # type: ignore[arg-type]

    monkeypatch.setattr(column_cache, "_copy_columns", copy)
    return numbers


def test_relations_after_each_write(path: Path, copies: list[int]) -> None:
    with closing(open_writer(path, segment_tasks=10, text_index=False)) as writer, closing(open_reader(path)) as reader:
        writer.write(Batch(new=[make(0), child(1, 0, 0)]))
        for number in range(2, 25):
            writer.write(Batch(new=[child(number, number % 2, 0)]))
            children = reader.children([uuid_of(0), uuid_of(1), uuid_of(7)])
            assert children.get(uuid_of(0)) == [uuid_of(each) for each in (1, *range(2, number + 1, 2))]
            assert children.get(uuid_of(1), []) == [uuid_of(each) for each in range(3, number + 1, 2)]
            family = reader.family(uuid_of(number), limit=100)
            assert family is not None
            assert {task.uuid for task in family.tasks} == {uuid_of(each) for each in range(number + 1)}
    assert not copies


def test_relations_without_a_column_file(path: Path, copies: list[int]) -> None:
    with closing(open_writer(path, text_index=False)) as writer:
        writer.write(Batch(new=[make(0), child(1, 0, 0)]))
    for file in path.glob("*.cols"):
        file.unlink()
    with closing(open_reader(path)) as reader:
        assert reader.children([uuid_of(0)]) == {uuid_of(0): [uuid_of(1)]}
    assert not copies
