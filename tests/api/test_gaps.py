"""Which gaps affect a task, and lists of gaps."""

import pytest

from flower.api.gaps import affects_task, load_gap_page, load_gaps
from flower.errors import InvalidRequest
from flower.records import RECEIVED, STARTED, SUCCESS, Attempt, Gap, Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch

GAP = Gap(100.0, 200.0, "not connected", "broker_unreachable")


@pytest.mark.parametrize(
    ("task", "is_affected"),
    [
        (Task("ended before", state=SUCCESS, received=50.0, started=60.0, timestamp=99.0), False),
        (Task("received after", state=SUCCESS, received=201.0, started=202.0, timestamp=203.0), False),
        (Task("received before, ended after", state=SUCCESS, received=50.0, started=60.0, timestamp=300.0), True),
        (Task("sent before", state=SUCCESS, sent=90.0, received=250.0, started=251.0, timestamp=252.0), True),
        (Task("unfinished", state=STARTED, received=50.0, started=60.0, timestamp=60.0), True),
        (Task("within", state=RECEIVED, received=150.0, timestamp=150.0), True),
        (Task("unfinished, later", state=STARTED, received=250.0, started=260.0, timestamp=260.0), False),
    ],
    ids=lambda value: value.uuid if isinstance(value, Task) else "",
)
def test_gap_affects_the_tasks_whose_life_it_overlaps(task: Task, is_affected: bool) -> None:
    assert affects_task(GAP, task) is is_affected


def test_gap_of_a_worker_affects_only_tasks_of_this_worker() -> None:
    gap = Gap(100.0, None, "task events were disabled", "worker_events_disabled", "w1@shop")
    task = Task("t", state=STARTED, received=50.0, timestamp=60.0, hostname="w2@shop")
    assert not affects_task(gap, task)
    assert affects_task(gap, Task("t", state=STARTED, received=50.0, timestamp=60.0, hostname="w1@shop"))
    redelivered = Task(
        "t", state=STARTED, received=50.0, timestamp=60.0, hostname="w2@shop", earlier=(Attempt(0, hostname="w1@shop"),)
    )
    assert affects_task(gap, redelivered)


@pytest.fixture
def reader() -> MemoryReader:
    store = MemoryStore()
    gaps = [Gap(float(start), start + 5.0, "x", "recorder_crashed") for start in range(0, 100, 10)]
    MemoryWriter(store).write(Batch(gaps=[*gaps, Gap(95.5, None, "y", "worker_events_disabled", "w1@shop")]))
    return MemoryReader(store)


def test_gaps_are_filtered_by_window_and_worker(reader: MemoryReader) -> None:
    assert [row.started_at for row in load_gaps(reader, None, start=32.0, end=50.0)] == [30.0, 40.0, 50.0]
    assert load_gaps(reader, None, start=1000.0)[0].worker == "w1@shop"
    assert len(load_gaps(reader, None, worker="w2@shop")) == 10
    assert len(load_gaps(reader, None, worker="w1@shop")) == 11


def test_pages_of_gaps_are_latest_first_and_complete(reader: MemoryReader) -> None:
    rows = load_gaps(reader, None)
    seen, cursor = [], ""
    while True:
        page = load_gap_page(rows, limit=4, cursor=cursor)
        seen += [row.id for row in page.gaps]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == [row.id for row in reversed(rows)]
    with pytest.raises(InvalidRequest):
        load_gap_page(rows, limit=4, cursor="unknown")
