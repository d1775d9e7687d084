"""Segments are read only if their first row may be the next one, also for keys that the catalog has no bounds of."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flower.search.tree import EVERYTHING
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Sort, Writer
from flower.store.sqlite.query import merge
from flower.store.sqlite.query.segment_scan import SegmentScan
from tests.helpers.task_factory import make

#: tasks in each of the four segments
SIZE = 20
ALL = 4 * SIZE


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    tasks = [
        make(number, sent=float(number), succeeded=1_000.0 + number, started=500.0, runtime=float(ALL - number))
        for number in range(ALL)
    ]
    with closing(open_writer(tmp_path / "data", segment_tasks=SIZE, text_index=False)) as opened:
        opened.write(Batch(new=tasks))
        opened.finish_maintenance()  # type: ignore[attr-defined]
        yield opened


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the segments that are read in order."""
    numbers: list[int] = []

    class CountedScan(SegmentScan):
        def __init__(self, view, *arguments, **options) -> None:  # type: ignore[no-untyped-def]
            numbers.append(view.segment.number)
            super().__init__(view, *arguments, **options)

    monkeypatch.setattr(merge, "SegmentScan", CountedScan)
    return numbers


@pytest.mark.parametrize("key", ["sent", "ended", "wait", "runtime"])
@pytest.mark.parametrize("descending", [False, True])
def test_only_segments_with_the_first_rows_are_read(
    writer: Writer, tmp_path: Path, scanned: list[int], key: str, *, descending: bool
) -> None:
    with closing(open_reader(tmp_path / "data")) as reader:
        expected = [task.uuid for task in reader.tasks(Query(EVERYTHING, (Sort(key, descending=descending),)))]
        scanned.clear()
        page = reader.task_page(Query(EVERYTHING, (Sort(key, descending=descending),)), limit=5)
        assert [task.uuid for task in page.tasks] == expected[:5]
        assert len(scanned) == 1


def test_bounds_follow_changes(writer: Writer, tmp_path: Path) -> None:
    by_end = Query(EVERYTHING, (Sort("ended", descending=True),))
    with closing(open_reader(tmp_path / "data")) as reader:
        first = reader.task_page(by_end, limit=1).tasks[0]
        writer.write(Batch(new=[make(ALL, succeeded=5_000.0)]))
        newest = reader.task_page(by_end, limit=2).tasks
        assert newest[0].succeeded == 5_000.0
        assert newest[1] == first
