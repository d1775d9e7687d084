"""The columns of a segment, as the writer of the store changes them."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from flower.store.factory import open_writer
from flower.store.protocols import Batch, TaskChange
from tests.helpers.task_factory import make


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sorted_columns_are_not_kept_in_memory(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "data", segment_tasks=5_000, text_index=False)) as writer:
        writer.write(Batch(new=[make(number) for number in range(15_000)]))
        assert resident_kilobytes("seg-000001.cols") > 500
        writer.finish_maintenance()  # type: ignore[attr-defined]
        assert resident_kilobytes("seg-000001.cols") < 100


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_columns_of_a_full_segment_are_not_kept_in_memory_after_a_change(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "data", segment_tasks=5_000, text_index=False)) as writer:
        tasks = [make(number) for number in range(15_000)]
        keys = writer.write(Batch(new=tasks))
        writer.finish_maintenance()  # type: ignore[attr-defined]
        changes = [
            TaskChange(keys[number], tasks[number], replace(tasks[number], retries=number))
            for number in range(0, 5_000, 9)
        ]
        writer.write(Batch(changed=changes))
        assert resident_kilobytes("seg-000001.cols") < 100
        stored = writer.load([tasks[4_500].uuid])[tasks[4_500].uuid]
        assert stored.task.retries == 4_500


def resident_kilobytes(file: str) -> int:
    """The resident memory of this process in which the file is mapped."""
    resident, is_file = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name = line.split()[0]
        if not name.endswith(":"):
            is_file = line.endswith(file)
        elif name == "Rss:" and is_file:
            resident += int(line.split()[1])
    return resident
