"""How fast queues fill and empty: the rules, and what is known from a store and samples."""

import time
from pathlib import Path

import pytest

from flower.api.context import Context
from flower.api.queue_rates import (
    compute_queue_rates,
    compute_slope,
    estimate_time_to_empty,
    get_current_rates,
    get_recording_seconds,
)
from flower.records import Task
from flower.store.factory import open_ledger
from flower.store.ledger.queue_samples import QueueSample
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.web_server import no_app


def samples(*depths: int | None) -> list[QueueSample]:
    return [QueueSample("mail", 15.0 * place, depth) for place, depth in enumerate(depths)]


def test_a_slope_needs_some_samples() -> None:
    assert compute_slope([(0.0, 1), (60.0, 9)]) is None
    assert compute_slope([(0.0, 1), (15.0, 5), (30.0, 9)]) is None
    assert compute_slope([(0.0, 0), (15.0, 15), (30.0, 30), (45.0, 45)]) == pytest.approx(1.0)
    assert compute_slope([(0.0, 40), (15.0, 40), (45.0, 40)]) == 0.0


@pytest.mark.parametrize(
    ("depths", "coming", "going", "growing", "left"),
    [
        ((), None, None, None, None),
        ((5,), None, 3.0, None, None),
        ((0, 30, 60, 90), None, None, True, -1.0),
        ((90, 60, 30, 15), 9.0, 1.0, False, pytest.approx(15 / 1.7, rel=0.01)),
        ((100, 101, 100, 101), 1.0, 1.0, False, -1.0),
        ((1000, 1010, 1020, 1030), None, None, False, -1.0),  # 3 % of what it holds
        ((7, 3, 2, 0), None, None, False, 0.0),
        ((None, None, None, None), 5.0, 1.0, True, None),
        ((10,), 1.0, 3.0, False, 5.0),
        ((10,), 3.0, 1.0, True, -1.0),
    ],
)
def test_the_rules(
    depths: tuple[int | None, ...], coming: float | None, going: float | None, growing: bool | None, left: float | None
) -> None:
    found = compute_queue_rates(samples(*depths), coming, going)
    assert (found.growing, found.time_to_empty) == (growing, left)
    assert (found.arrivals_per_second, found.departures_per_second) == (coming, going)


def test_emptying_for_months_is_never() -> None:
    assert estimate_time_to_empty(10**9, -1.0, None, None) == -1.0
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
def test_rates_need_a_recorder_at_work(changed: dict[str, object], seconds: float) -> None:
    assert get_recording_seconds({**STATUS, **changed}, 1_001.0) == seconds


def test_what_is_not_known_is_none(tmp_path: Path) -> None:
    now = time.time()
    store = MemoryStore()
    writer, ledger = MemoryWriter(store), open_ledger(tmp_path)
    context = Context(MemoryReader(store), no_app, ledger)
    recent = [Task(str(n), queue="mail", sent=now - n, started=now - n, timestamp=now - n) for n in range(60)]
    waiting = [Task(f"w{n}", queue="mail", sent=now - n, timestamp=now - n) for n in range(60)]
    old = Task("old", queue="quiet", sent=now - 5_000, timestamp=now - 5_000)
    writer.write(Batch(new=[*recent, *waiting, old]))
    ledger.queue_samples.add([QueueSample("silent", now - 15 * n, 3) for n in range(6)])
    found = get_current_rates(context)
    assert (found["mail"].arrivals_per_second, found["quiet"].departures_per_second) == (None, None), "nobody records"
    writer.set_status({**STATUS, "at": now, "since": now - 1_000})
    found = get_current_rates(context)
    assert (found["mail"].arrivals_per_second, found["mail"].departures_per_second) == (
        pytest.approx(0.4),
        pytest.approx(0.2),
    )
    assert found["mail"].growing is True
    assert (found["quiet"].arrivals_per_second, found["quiet"].departures_per_second) == (0.0, 0.0)
    assert (found["silent"].arrivals_per_second, found["silent"].departures_per_second) == (None, None)
    assert (found["silent"].growing, found["silent"].time_to_empty) == (False, -1.0)
    ledger.close()
