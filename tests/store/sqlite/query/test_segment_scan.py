"""Rows of one segment in order, from the stored order or sorted."""

from contextlib import closing
from pathlib import Path

import pytest

from flower.search.tree import EVERYTHING
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import SORT_KEYS, Batch, Query, Sort
from tests.helpers.task_factory import make


@pytest.mark.parametrize("key", SORT_KEYS)
def test_full_segments_are_sorted_by_every_key(tmp_path: Path, key: str) -> None:
    """A full segment stores the orders of some keys only: not of `ended`, for example."""
    tasks = [make(number, succeeded=1_000.0 + number * 7 % 31) for number in range(60)]
    with closing(open_writer(tmp_path / "data", segment_tasks=20, text_index=False)) as writer:
        writer.write(Batch(new=tasks))
        in_memory = _sorted_uuids(tmp_path / "data", key)
        writer.finish_maintenance()  # type: ignore[attr-defined]
        assert _sorted_uuids(tmp_path / "data", key) == in_memory
    assert sorted(in_memory) == sorted(task.uuid for task in tasks)


def _sorted_uuids(path: Path, key: str) -> list[str]:
    with closing(open_reader(path)) as reader:
        return [task.uuid for task in reader.tasks(Query(EVERYTHING, (Sort(key, descending=True),)))]
