"""Tasks in flight, in both stores."""

import random
from typing import Any

import pytest

from flower.counters import InFlight, WorkerIncarnation
from flower.records import Lost, Task
from flower.store.memory.aggregates import aggregate_in_flight
from flower.store.protocols import Batch
from tests.helpers.stores import Store
from tests.helpers.task_factory import uuid_of


def in_order(found: Any) -> list[InFlight]:
    return sorted(found, key=lambda each: (each.worker, each.task))


def test_in_flight(store: Store) -> None:
    def task(number: int, state: str, **fields: Any) -> Task:
        return Task(uuid_of(number), **{"name": "add", "state": state, "hostname": "w1", "pid": 5, **fields})

    tasks = [
        task(1, "RECEIVED", received=10.0),
        task(2, "RECEIVED", received=11.0, name="mul"),
        task(3, "RECEIVED", received=12.0, eta="2030-01-01"),
        task(4, "RECEIVED", received=13.0, hostname="dead"),
        task(5, "RECEIVED", received=4.0),  # before the worker came online again
        task(6, "RECEIVED", received=14.0, pid=4),  # of the previous process
        task(7, "STARTED", received=10.0, started=12.5),
        task(8, "STARTED", received=10.0, started=12.0),
        task(9, "STARTED", started=99.0),  # without a `task-received` event
        task(10, "SUCCESS", received=10.0, started=100.0),
        task(11, "RECEIVED", received=15.0, name=None, pid=None),
        task(12, "STARTED", received=17.0, started=16.0, name="skewed"),
        task(13, "RECEIVED", received=15.0, hostname=None),
        task(14, "RECEIVED", received=15.0, lost=Lost(16.0, "worker_offline", "The worker stopped.")),
        task(15, "STARTED", received=10.0, started=13.0, lost=Lost(16.0, "worker_offline", "The worker stopped.")),
    ]
    store.writer.write(Batch(new=tasks))
    living = {"w1": WorkerIncarnation(since=5.0, pid=5), "idle": WorkerIncarnation()}
    assert in_order(store.reader.in_flight(living)) == [
        InFlight("w1", "", 1, None),
        InFlight("w1", "add", 1, 2.5),
        InFlight("w1", "mul", 1, None),
        InFlight("w1", "skewed", 0, 0.0),
    ]
    assert in_order(store.reader.in_flight({"w1": WorkerIncarnation()}))[1] == InFlight("w1", "add", 3, 2.5)
    assert store.reader.in_flight({}) == []


@pytest.mark.parametrize("seed", range(5))
def test_in_flight_of_random_tasks(store: Store, seed: int) -> None:
    chance = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.1 else value

    tasks = [
        Task(
            uuid_of(number), maybe(f"t{chance.randrange(4)}"), chance.choice(["RECEIVED", "STARTED", "SUCCESS", "OWN"]),
            maybe(f"w{chance.randrange(4)}"), maybe(chance.randrange(3)), received=maybe(float(chance.randrange(9))),
            started=maybe(float(chance.randrange(9))), eta=None if chance.random() < 0.8 else "x",
        )
        for number in range(300)
    ]  # fmt: skip
    for start in range(0, 300, 70):
        store.writer.write(Batch(new=tasks[start : start + 70]))
    living = {
        f"w{n}": WorkerIncarnation(maybe(float(chance.randrange(5))), maybe(chance.randrange(3))) for n in range(3)
    }
    assert in_order(store.reader.in_flight(living)) == in_order(aggregate_in_flight(tasks, living))
