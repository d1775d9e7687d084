"""Aggregations over a large number of groups: the same results as with few, in bounded memory."""

from pathlib import Path

import pytest

from flower.quantile_sketch import BUCKET_COUNT
from flower.search.tree import EVERYTHING, Term
from flower.store.protocols import Batch
from flower.store.query_results import Facet
from flower.store.sqlite.query import aggregations
from tests.helpers.stores import opened
from tests.helpers.task_factory import make

TASKS = [
    make(
        number,
        name=f"shop.t{number % 37}",
        hostname=None if number % 5 == 0 else f"w{number % 11}",
        state="FAILURE" if number % 3 == 0 else "SUCCESS",
        exception=f"Error{number % 7}('x')" if number % 3 == 0 else None,
    )
    for number in range(400)
]


@pytest.mark.parametrize("by", ["name", "worker", "state", "exception", "failure"])
@pytest.mark.parametrize("limit", [0, 3, 100])
def test_summaries_of_many_groups_are_those_of_the_reference_store(
    by: Facet, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("memory", tmp_path) as memory, opened("sqlite", tmp_path) as sqlite:
        for store in (memory, sqlite):
            store.writer.write(Batch(new=TASKS))
        for where in (EVERYTHING, Term("state", "equals", "SUCCESS")):
            expected = memory.reader.summaries(where, by=by, limit=limit)
            assert sqlite.reader.summaries(where, by=by, limit=limit) == expected
            monkeypatch.setattr(aggregations, "MAX_GROUPS", 2)
            found = sqlite.reader.summaries(where, by=by, limit=limit)
            assert found.total == expected.total
            assert len(found.groups) + found.more == len(expected.groups) + expected.more
            counts = {group.group: group for group in memory.reader.summaries(where, by=by, limit=1000).groups}
            assert all(group == counts[group.group] for group in found.groups)
            assert [group.count for group in found.groups] == [group.count for group in expected.groups[:2]]
            monkeypatch.undo()


@pytest.mark.parametrize("pending_cells", [0, 100_000])
def test_slow_thresholds_are_those_of_the_reference_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pending_cells: int
) -> None:
    monkeypatch.setattr(aggregations, "_MAX_PENDING_CELLS", pending_cells)
    monkeypatch.setattr(aggregations, "MAX_GROUPS", 5)
    with opened("memory", tmp_path) as memory, opened("sqlite", tmp_path) as sqlite:
        assert sqlite.reader.slow_thresholds() == {}
        for store in (memory, sqlite):
            store.writer.write(Batch(new=TASKS))
        assert sqlite.reader.slow_thresholds() == memory.reader.slow_thresholds() != {}


def test_memory_of_sketches_is_limited() -> None:
    """Two grids of 64-bit counts."""
    assert aggregations.MAX_GROUPS * BUCKET_COUNT * 8 * 2 < 64 << 20
