"""Which unfinished tasks are due."""

import time

import pytest
from msgspec.structs import replace

from flower.reconcile.candidates import (
    CONFIRMATION_DELAY,
    MIN_INTERVAL,
    PERIOD_ALIGNMENT,
    PERIODIC_INTERVAL,
    Schedule,
    Signs,
    find_reason,
    parse_time,
)
from flower.reconcile.cluster_view import ClusterView, TaskOptions, WorkerProfile
from flower.records import Lost, Task, Worker

NOW = time.time()
WORKER = "celery@one"
ALIVE = Worker(WORKER, pid=7, heartbeat=NOW, timestamp=NOW)
SENT = Task("a", name="shop.mail", state="PENDING", sent=NOW - 30, timestamp=NOW - 30, queue="mail")
HELD = replace(SENT, state="RECEIVED", hostname=WORKER, pid=7, received=NOW - 29)
RUNNING = replace(HELD, state="STARTED", started=NOW - 20)


def signs(worker: Worker = ALIVE, profile: WorkerProfile | None = None, **fields: object) -> Signs:
    profiles = {} if profile is None else {WORKER: profile}
    return Signs(ClusterView(NOW, {WORKER: worker}, profiles), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", [SENT, HELD, RUNNING])
def test_a_task_in_order_is_examined_in_the_periodic_pass(task: Task) -> None:
    assert find_reason(task, signs()) == "periodic"
    assert find_reason(task, signs(is_forced=True)) == "forced"


@pytest.mark.parametrize(
    "worker",
    [
        replace(ALIVE, online=False),
        replace(ALIVE, heartbeat=NOW - 60),
        replace(ALIVE, pid=8),
        replace(ALIVE, since=NOW - 1),
    ],
    ids=["offline", "silent", "new process", "restarted with the same pid"],
)
def test_tasks_of_a_worker_that_stopped_are_examined(worker: Worker) -> None:
    assert find_reason(HELD, signs(worker)) == "worker"
    assert find_reason(RUNNING, signs(worker)) == "worker"
    assert find_reason(SENT, signs(worker)) == "periodic"


def test_a_task_that_runs_for_too_long_is_examined() -> None:
    assert find_reason(RUNNING, signs(slow_thresholds={"shop.mail": 1.9})) == "overdue"
    assert find_reason(RUNNING, signs(slow_thresholds={"shop.mail": 2.1})) == "periodic"
    limited = WorkerProfile(WORKER, NOW, tasks={"shop.mail": TaskOptions(time_limit=10.0)})
    assert find_reason(RUNNING, signs(profile=limited)) == "overdue"
    wrong_clock = replace(RUNNING, started=NOW - 3620, clock_offset=-3600.0)
    assert find_reason(wrong_clock, signs(slow_thresholds={"shop.mail": 2.1})) == "periodic"


def test_a_task_whose_younger_neighbour_was_taken_is_examined() -> None:
    assert find_reason(SENT, signs(youngest_taken={"mail": NOW - 20})) == "passed"
    assert find_reason(SENT, signs(youngest_taken={"mail": NOW - 40})) == "periodic"
    assert find_reason(SENT, signs(youngest_taken={"other": NOW})) == "periodic"


def test_a_waiting_task_that_expired_is_examined() -> None:
    expired = replace(SENT, expires="2020-01-01T00:00:00+00:00")
    assert find_reason(expired, signs()) == "expired"
    assert parse_time("2020-01-01T00:00:00") == parse_time("2020-01-01T01:00:00+01:00")
    assert parse_time("tomorrow") is None


def test_a_marked_task_is_examined_slowly() -> None:
    marked = replace(RUNNING, lost=Lost(NOW, "worker_offline", "Its worker stopped"))
    assert find_reason(marked, signs(replace(ALIVE, online=False))) == "marked"
    assert find_reason(marked, signs()) == "returned", "its worker continues"
    unacknowledged = replace(marked, lost=Lost(NOW, "message_unacknowledged", "Its worker is silent"))
    assert find_reason(unacknowledged, signs(replace(ALIVE, pid=8))) == "worker", "its worker was replaced"


def test_examinations_without_a_result_become_rarer() -> None:
    now = [1000.0]
    schedule = Schedule(lambda: now[0])
    waits = []
    for _ in range(6):
        assert schedule.is_due(HELD, "worker")
        schedule.set_examined(HELD, "worker", is_unconfirmed=False)
        start = now[0]
        while not schedule.is_due(HELD, "worker"):
            now[0] += 1.0
        waits.append(now[0] - start)
    assert waits == [MIN_INTERVAL, 10.0, 20.0, 40.0, PERIODIC_INTERVAL, PERIODIC_INTERVAL]


def test_a_new_reason_makes_a_task_due_at_once() -> None:
    now = [1000.0]
    schedule = Schedule(lambda: now[0])
    assert not schedule.is_due(HELD, "periodic")
    now[0] += PERIODIC_INTERVAL + PERIOD_ALIGNMENT
    assert schedule.is_due(HELD, "periodic")
    schedule.set_examined(HELD, "periodic", is_unconfirmed=False)
    assert not schedule.is_due(HELD, "periodic")
    assert schedule.is_due(HELD, "worker")


def test_a_finding_is_confirmed_after_a_delay() -> None:
    now = [1000.0]
    schedule = Schedule(lambda: now[0])
    assert schedule.is_due(HELD, "worker")
    schedule.set_examined(HELD, "worker", is_unconfirmed=True)
    assert not schedule.is_due(HELD, "confirmation")
    now[0] += CONFIRMATION_DELAY
    assert schedule.is_due(HELD, "confirmation")


def test_a_changed_record_starts_a_new_period() -> None:
    now = [1000.0]
    schedule = Schedule(lambda: now[0])
    assert schedule.is_due(HELD, "worker")
    schedule.set_examined(HELD, "worker", is_unconfirmed=True)
    assert schedule.awaits_confirmation("a")
    changed = replace(HELD, timestamp=NOW)
    assert not schedule.is_due(changed, "periodic")
    assert not schedule.awaits_confirmation("a")
    schedule.retain([])
    assert schedule.next_confirmation is None
