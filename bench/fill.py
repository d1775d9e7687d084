"""`python -m bench.fill FOLDER FIRST COUNT`: put COUNT finished tasks into a store, through its own writer.

For the measures that need millions: they go the way that every record goes, but without a broker and
without being folded from events each. Their text is that of the workload, their ids and times are their own.
"""

import random
import sys
from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from bench.workload import TASKS_PER_SECOND, Workload
from flower.fold import fold
from flower.records import Event, Task
from flower.store.opening import open_writer
from flower.store.port import Batch

PATTERNS = 50_000
BATCH = 20_000
TIMES = ("timestamp", "sent", "received", "started", "succeeded", "failed", "retried", "revoked")


def patterns() -> list[Task]:
    """What becomes of the tasks of a workload."""
    made = []
    for plan in Workload(PATTERNS, seed=11).plans():
        task: Task | None = None
        for _, event in plan.timeline:
            task = fold(task, Event(**event))
        assert task is not None
        made.append(task)
    return made


def copies(first: int, count: int) -> Iterator[Task]:
    """Tasks number `first` to `first + count - 1` of an endless row, each with an id of its own."""
    known = patterns()
    chance = random.Random(first)
    for number in range(first, first + count):
        pattern = known[number % PATTERNS]
        digits = f"{chance.getrandbits(128):032x}"
        uuid = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-b{digits[17:20]}-{digits[20:]}"
        later = number // PATTERNS * (PATTERNS / TASKS_PER_SECOND)
        times = {name: moment + later for name in TIMES if (moment := getattr(pattern, name)) is not None}
        yield replace(pattern, uuid=uuid, root_id=uuid, parent_id=None, **times)


def fill(folder: str, first: int, count: int) -> None:
    writer = open_writer(folder)
    try:
        tasks = copies(first, count)
        while batch := tuple(islice(tasks, BATCH)):
            writer.write(Batch(new=batch))
    finally:
        writer.close()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
