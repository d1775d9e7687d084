"""Rates of queues: the rules, and rates from a store and samples."""

import time
from pathlib import Path

import pytest

from flower.api.context import Context
from flower.api.queues import (
    compute_queue_rates,
    compute_slope,
    estimate_time_to_empty,
    get_current_rates,
    get_recording_seconds,
)
from flower.recorder_status import RecorderStatus
from flower.records import Task
from flower.store.factory import open_ledger
from flower.store.ledger.queue_samples import QueueSample
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.web_server import no_application


def samples(*depths: int | None) -> list[QueueSample]:
    return [QueueSample("mail", 15.0 * index, depth) for index, depth in enumerate(depths)]


def test_a_slope_needs_several_samples() -> None:
    assert compute_slope([(0.0, 1), (60.0, 9)]) is None
    assert compute_slope([(0.0, 1), (15.0, 5), (30.0, 9)]) is None
    assert compute_slope([(0.0, 0), (15.0, 15), (30.0, 30), (45.0, 45)]) == pytest.approx(1.0)
    assert compute_slope([(0.0, 40), (15.0, 40), (45.0, 40)]) == 0.0


@pytest.mark.parametrize(
    ("depths", "arrivals", "departures", "growing", "time_to_empty"),
    [
        ((), None, None, None, None),
        ((5,), None, 3.0, None, None),
        ((0, 30, 60, 90), None, None, True, None),
        ((90, 60, 30, 15), 9.0, 1.0, False, pytest.approx(15 / 1.7, rel=0.01)),
        ((100, 101, 100, 101), 1.0, 1.0, False, None),
        ((1000, 1010, 1020, 1030), None, None, False, None),  # 3 % of its depth
        ((7, 3, 2, 0), None, None, False, 0.0),
        ((None, None, None, None), 5.0, 1.0, True, None),
        ((10,), 1.0, 3.0, False, 5.0),
        ((10,), 3.0, 1.0, True, None),
    ],
)
def test_the_rules(
    depths: tuple[int | None, ...],
    arrivals: float | None,
    departures: float | None,
    growing: bool | None,
    time_to_empty: float | None,
) -> None:
    rates = compute_queue_rates(samples(*depths), arrivals, departures)
    assert (rates.growing, rates.time_to_empty) == (growing, time_to_empty)
    assert (rates.arrivals_per_second, rates.departures_per_second) == (arrivals, departures)


def test_a_queue_that_needs_months_is_not_draining() -> None:
    assert estimate_time_to_empty(10**9, -1.0, None, None) is None
    assert estimate_time_to_empty(100, -1.0, None, None) == 100.0
    assert estimate_time_to_empty(None, -1.0, 1.0, 2.0) is None


STATUS = {"at": 1_000.0, "since": 900.0, "running": True, "trouble": None, "capture": {"connected": True}}


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ({}, 101.0),
        ({"since": 1.0}, 300.0),
        ({"since": 2_000.0}, 0.0),
        ({"at": 980.0}, 0.0),
        ({"running": False}, 0.0),
        ({"trouble": "full"}, 0.0),
        ({"capture": {"connected": False}}, 0.0),
        ({"capture": None}, 0.0),
        ({"since": "x"}, 0.0),
    ],
)
def test_rates_need_a_recording_recorder(changed: dict[str, object], seconds: float) -> None:
    assert get_recording_seconds(RecorderStatus.from_dict({**STATUS, **changed}), 1_001.0) == seconds


def test_unknown_rates_are_none(tmp_path: Path) -> None:
    now = time.time()
    store = MemoryStore()
    writer, ledger = MemoryWriter(store), open_ledger(tmp_path)
    context = Context(MemoryReader(store), no_application, ledger)
    recent = [Task(str(n), queue="mail", sent=now - n, started=now - n, timestamp=now - n) for n in range(60)]
    waiting = [Task(f"w{n}", queue="mail", sent=now - n, timestamp=now - n) for n in range(60)]
    old = Task("old", queue="quiet", sent=now - 5_000, timestamp=now - 5_000)
    writer.write(Batch(new=[*recent, *waiting, old]))
    ledger.queue_samples.add([QueueSample("silent", now - 15 * n, 3) for n in range(6)])
    rates = get_current_rates(context)
    assert (rates["mail"].arrivals_per_second, rates["quiet"].departures_per_second) == (None, None), "no recorder"
    writer.set_status({**STATUS, "at": now, "since": now - 1_000})
    rates = get_current_rates(context)
    assert (rates["mail"].arrivals_per_second, rates["mail"].departures_per_second) == (
        pytest.approx(0.4),
        pytest.approx(0.2),
    )
    assert rates["mail"].growing is True
    assert (rates["quiet"].arrivals_per_second, rates["quiet"].departures_per_second) == (0.0, 0.0)
    assert (rates["silent"].arrivals_per_second, rates["silent"].departures_per_second) == (None, None)
    assert (rates["silent"].growing, rates["silent"].time_to_empty) == (False, None)
    ledger.close()
