"""Tests of queue samples in the ledger: one per queue and interval, aggregated when they are old."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flower.errors import InvalidRequest
from flower.store.factory import open_ledger, open_writer
from flower.store.ledger import Ledger
from flower.store.ledger.queue_samples import (
    COARSE_SAMPLE_INTERVAL,
    MAX_HISTORY_BUCKETS,
    RAW_SAMPLE_RETENTION,
    SAMPLE_RETENTION,
    QueueBucket,
    QueueSample,
)

#: Start of a coarse interval.
START = 1_800_000_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "store")
    yield opened
    opened.close()


def test_latest_sample_of_each_queue(ledger: Ledger) -> None:
    ledger.queue_samples.add([QueueSample("mail", START, 5, 1, 2, 3.5), QueueSample("orders", START, 1)])
    ledger.queue_samples.add([QueueSample("mail", START + 31, 0, None, 2)])
    assert ledger.queue_samples.latest() == [
        QueueSample("mail", START + 30, 0, None, 2),
        QueueSample("orders", START, 1),
    ]
    assert ledger.queue_samples.list_since(START - 1) == [
        QueueSample("mail", START, 5, 1, 2, 3.5),
        QueueSample("mail", START + 30, 0, None, 2),
        QueueSample("orders", START, 1),
    ]
    assert [each.at for each in ledger.queue_samples.list_since(START)] == [START + 30]
    assert ledger.queue_samples.latest(START) == [QueueSample("mail", START + 30, 0, None, 2)]
    assert ledger.queue_samples.history("orders", START, START + 60, 60) == [
        QueueBucket(START, 1, 1, 1, None, None, None)
    ]


def test_samples_of_two_web_servers_are_one(ledger: Ledger, tmp_path: Path) -> None:
    other = open_ledger(tmp_path / "store")
    ledger.queue_samples.add([QueueSample("mail", START + 1, 4)])
    other.queue_samples.add([QueueSample("mail", START + 9, 6)])
    other.close()
    assert ledger.queue_samples.history("mail", START, START + 60, 60) == [
        QueueBucket(START, 1, 6, 6, None, None, None)
    ]


def test_average_ignores_unknown_values(ledger: Ledger) -> None:
    ready = (10, None, 0, 20)
    ledger.queue_samples.add(
        [QueueSample("mail", START + 15 * step, each, step, 3 - step, 1.0) for step, each in enumerate(ready)]
    )
    assert ledger.queue_samples.history("mail", START, START + 60, 60) == [QueueBucket(START, 4, 10, 20, 3, 0, 1.0)]
    halves = ledger.queue_samples.history("mail", START, START + 60, 30)
    assert [(half.start_at, half.ready_avg, half.ready_max) for half in halves] == [
        (START, 10, 10),
        (START + 30, 10, 20),
    ]
    assert ledger.queue_samples.history("nothing", START, START + 60, 60) == []


def test_unknown_values_remain_unknown(ledger: Ledger) -> None:
    ledger.queue_samples.add([QueueSample("mail", START)])
    assert ledger.queue_samples.latest() == [QueueSample("mail", START, None, None, None, None)]
    only = QueueBucket(START, 1, None, None, None, None, None)
    assert ledger.queue_samples.history("mail", START, START + 60, 60) == [only]


def test_old_samples_are_aggregated_and_then_removed(ledger: Ledger) -> None:
    steps = range(2 * COARSE_SAMPLE_INTERVAL // 15)
    ledger.queue_samples.add([QueueSample("mail", START + 15 * step, step, None, 1) for step in steps])
    before = ledger.queue_samples.history("mail", START, START + 2 * COARSE_SAMPLE_INTERVAL, COARSE_SAMPLE_INTERVAL)
    later = START + RAW_SAMPLE_RETENTION + 2 * COARSE_SAMPLE_INTERVAL
    ledger.queue_samples.add([QueueSample("mail", later, 7)])
    assert (
        ledger.queue_samples.history("mail", START, START + 2 * COARSE_SAMPLE_INTERVAL, COARSE_SAMPLE_INTERVAL)
        == before
    )
    assert len(ledger.queue_samples.history("mail", START, START + 2 * COARSE_SAMPLE_INTERVAL, 15)) == 2
    assert [each.samples for each in before] == [20, 20]
    ledger.queue_samples.add([QueueSample("mail", START + SAMPLE_RETENTION + 1, 8)])
    left = ledger.queue_samples.history("mail", START, START + 2 * COARSE_SAMPLE_INTERVAL, COARSE_SAMPLE_INTERVAL)
    assert [each.start_at for each in left] == [START + COARSE_SAMPLE_INTERVAL]


def test_too_many_buckets_are_rejected(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest, match=r"Too many buckets \(maximum 2000\)"):
        ledger.queue_samples.history("mail", START, START + 60 * MAX_HISTORY_BUCKETS + 61, 60)
    for width in (0, -1):
        with pytest.raises(InvalidRequest, match="width"):
            ledger.queue_samples.history("mail", START, START + 60, width)


def test_many_web_servers_create_one_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "store"

    def begin(number: int) -> None:
        opened = open_ledger(folder)
        opened.queue_samples.add([QueueSample(f"queue{number}", START, number)])
        opened.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(16)))
    opened = open_ledger(folder)
    assert sorted(each.ready or 0 for each in opened.queue_samples.latest()) == list(range(16))
    opened.close()
    assert [path.name for path in folder.iterdir() if path.name.count(".") > 1] == []


def test_incomplete_ledger_is_not_a_foreign_directory(tmp_path: Path) -> None:
    (tmp_path / "ledger.db.0123.new").touch()
    open_writer(tmp_path).close()
    open_ledger(tmp_path).close()
