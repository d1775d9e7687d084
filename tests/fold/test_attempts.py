"""Attempts, runs and double runs: redelivery, visibility timeout, `acks_late`, ids that are used again."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flower.fold import ClockOffsets, fold
from flower.fold.attempt_limit import MAX_ATTEMPTS
from flower.records import Event, Task
from tests.helpers.event_sequences import UUID, Fields, deliveries

A, B = "celery@a", "celery@b"


def event(kind: str, at: float, hostname: str = A, **fields: Any) -> Event:
    return Event(type=f"task-{kind}", timestamp=at, uuid=UUID, **{"hostname": hostname, "pid": 7, **fields})


def folded(*events: Event, task: Task | None = None) -> Task:
    for each in events:
        task = fold(task, each)
    assert task is not None
    return task


def ours(history: list[Fields]) -> Task:
    return folded(*(msgspec.convert(fields, Event) for fields in history))


@given(deliveries(), st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_change_the_record(history: list[Fields], rnd: random.Random) -> None:
    shuffled = history + rnd.choices(history, k=4)
    rnd.shuffle(shuffled)
    task, expected = ours(shuffled), ours(history)
    # The result of a run is not kept while events of a later run are thought to be of the same one.
    assert replace(task, result=None) == replace(expected, result=None)


@given(deliveries())
def test_events_that_are_published_again_change_nothing(history: list[Fields]) -> None:
    """Fault 12: once backwards, and twice in order."""
    task = ours(history)
    for fields in [*reversed(history), *history, *history]:
        assert fold(task, msgspec.convert(fields, Event)) is task


@given(deliveries())
def test_each_event_changes_the_record(history: list[Fields]) -> None:
    """Counting takes an event that changes nothing for a duplicate."""
    task = None
    for fields in history:
        after = fold(task, msgspec.convert(fields, Event))
        assert after is not task
        task = after


SENT = event("sent", 1, "gen1@web", name="add", args="(1,)", retries=0, queue="mail", pid=1)
RECEIVED = event("received", 2, name="add", args="(1,)", retries=0)
STARTED = event("started", 3)


def test_task_redelivered_to_another_worker_begins_a_new_attempt() -> None:
    """Fault 6: also with equal retries, after the visibility timeout or with `acks_late`."""
    task = folded(SENT, RECEIVED, STARTED, event("received", 20, B, retries=0))
    assert (task.state, task.hostname, task.started) == ("STARTED", A, 3)  # only received at B
    assert [(each.number, each.hostname) for each in task.attempts] == [(0, A), (1, B)]
    assert not task.is_double_run
    task = fold(task, event("started", 21, B))
    assert (task.state, task.hostname, task.started, task.is_double_run) == ("STARTED", B, 21, True)
    task = fold(task, event("succeeded", 25, B, result="1", runtime=4.0))
    assert (task.state, task.hostname) == ("STARTED", A)  # it still runs there
    task = fold(task, event("failed", 30, exception="E()", traceback="T"))
    assert (task.state, task.hostname, task.result, task.run) == ("SUCCESS", B, "1", None)
    assert [(each.state, each.runtime, each.exception) for each in task.attempts] == [
        ("FAILURE", 27, "E()"),
        ("SUCCESS", 4.0, None),
    ]
    assert (task.failed, task.succeeded, task.is_double_run) == (30, 25, True)


def test_task_that_only_the_second_worker_started_is_shown_there() -> None:
    """The first worker was killed with the prefetched message."""
    task = folded(SENT, RECEIVED, event("received", 20, B, retries=0))
    assert (task.state, task.hostname, task.received) == ("RECEIVED", B, 20)
    task = folded(SENT, RECEIVED, event("received", 20, B, retries=0), event("started", 21, B))
    assert (task.state, task.hostname, task.queue_wait) == ("STARTED", B, 20)


def test_task_redelivered_to_the_restarted_worker_begins_a_new_attempt() -> None:
    task = folded(SENT, RECEIVED, STARTED, event("received", 20, pid=8, retries=0), event("started", 21, pid=8))
    assert [(each.pid, each.started, each.lost) for each in task.attempts] == [(7, 3, "worker_offline"), (8, 21, None)]
    assert (task.state, task.pid, task.is_double_run) == ("STARTED", 8, False)
    task = fold(task, event("succeeded", 25, pid=8, runtime=4.0))
    assert task.state == "SUCCESS"


def test_worker_with_the_same_pid_after_its_restart_has_a_new_attempt() -> None:
    """In containers, every worker has pid 1."""
    clocks = ClockOffsets()
    online = Event(type="worker-online", timestamp=15, hostname=A, pid=7, clock=1, freq=2.0)
    clocks.observe_worker_event(online, 15.0)
    task = fold(folded(SENT, RECEIVED, STARTED), event("received", 20, retries=0), clocks)
    assert [each.lost for each in task.attempts] == ["worker_offline", None]
    assert (task.state, task.received) == ("RECEIVED", 20)


def test_task_delivered_twice_to_one_worker_runs_twice() -> None:
    """The visibility timeout ended while the only worker ran the task."""
    task = folded(
        SENT,
        RECEIVED,
        STARTED,
        event("received", 8, retries=0),
        event("started", 9),
        event("succeeded", 13, runtime=10.0, result="1"),
        event("succeeded", 19, runtime=10.0, result="2"),
    )
    assert [(each.started, each.ended) for each in task.attempts] == [(3, 13), (9, 19)]
    assert task.is_double_run
    assert (task.state, task.result) == ("SUCCESS", "2")


def test_id_that_is_used_again_is_a_new_run() -> None:
    """C18: fixed ids, the next day."""
    day = 86_400.0
    first = folded(SENT, RECEIVED, STARTED, event("succeeded", 5, result="1", runtime=2.0))
    second = [
        event("received", day + 2, name="boom", args="(2,)", retries=0),
        event("started", day + 3),
        event("failed", day + 5, exception="E()", traceback="T"),
    ]
    task = first
    for state, each in zip(("RECEIVED", "STARTED", "FAILURE"), second, strict=True):
        task = fold(task, each)
        assert (task.state, task.run, task.name, task.args, task.result) == (state, 1, "boom", "(2,)", None)
    assert (task.received, task.started, task.sent, task.succeeded) == (day + 2, day + 3, None, None)
    assert [(each.run, each.state, each.number) for each in task.attempts] == [(0, "SUCCESS", 0), (1, "FAILURE", 1)]
    assert not task.is_double_run
    for each in (SENT, RECEIVED, STARTED, *second):
        assert fold(task, each) is task


def test_id_that_is_sent_again_after_its_end_is_a_new_run() -> None:
    task = folded(SENT, RECEIVED, STARTED, event("succeeded", 5, result="1", runtime=2.0))
    again = event("sent", 100, "gen2@web", name="boom", retries=0, queue="other", pid=1)
    task = fold(task, again)
    assert (task.state, task.run, task.name, task.queue, task.sent) == ("PENDING", 1, "boom", "other", 100)
    assert (task.hostname, task.result, task.args, len(task.attempts)) == (None, None, None, 2)
    for each in (SENT, RECEIVED, STARTED, again):
        assert fold(task, each) is task
    task = folded(event("received", 101, B, name="boom", retries=0), task=task)
    assert (task.state, task.hostname, task.run, len(task.attempts)) == ("RECEIVED", B, 1, 2)


def test_task_sent_of_a_retry_begins_no_run() -> None:
    task = folded(SENT, RECEIVED, STARTED, event("failed", 5, exception="E()"))
    assert fold(task, event("sent", 100, "gen2@web", retries=1)).run is None


@pytest.mark.parametrize(("end", "runtime"), [("failed", 4), ("revoked", 4)])
def test_failed_and_terminated_tasks_have_a_derived_runtime(end: str, runtime: float) -> None:
    task = folded(SENT, RECEIVED, STARTED, event(end, 7))
    assert (task.runtime, task.runtime_is_derived) == (runtime, True)
    assert folded(SENT, RECEIVED, event(end, 7)).runtime is None


def test_second_failure_of_a_time_limit_is_the_same_failure() -> None:
    """Celery sends `task-failed` twice for a hard time limit."""
    task = folded(SENT, RECEIVED, STARTED, event("failed", 7, exception="TimeLimitExceeded(4)"))
    assert fold(task, event("failed", 7.2, exception="TimeLimitExceeded(4)")) is task


def test_revoked_task_that_ends_has_one_attempt() -> None:
    task = folded(SENT, RECEIVED, STARTED, event("revoked", 7, terminated=True), event("succeeded", 7.1, runtime=4.1))
    assert (task.state, len(task.attempts), task.revoked) == ("SUCCESS", 1, 7)


def test_queue_wait_is_the_time_to_the_first_start() -> None:
    """A retried task waited once; back-off is not in its wait."""
    retry = [event("retried", 4), event("received", 60, B, retries=1), event("started", 61, B)]
    task = folded(SENT, RECEIVED, STARTED, *retry)
    assert (task.wait, task.queue_wait, task.backoff) == (2, 2, 57)


def test_cancelled_task_is_delivered_again() -> None:
    """A worker that loses its connection to the broker cancels tasks with `acks_late`."""
    task = folded(SENT, RECEIVED, STARTED, event("cancelled", 7))
    assert task.state == "RETRY"
    task = folded(event("received", 9, retries=0), event("started", 10), task=task)
    assert ([each.state for each in task.attempts], task.state) == (["RETRY", None], "STARTED")


def executions(count: int) -> Iterator[Event]:
    """An id that is sent again every minute."""
    for number in range(count):
        at = 1000.0 + 60 * number
        yield event("received", at, name="daily", retries=0)
        yield event("started", at + 1)
        yield event("succeeded", at + 2, result=str(number), runtime=1.0)


def test_number_of_attempts_is_limited_and_the_newest_are_kept() -> None:
    task = folded(*executions(3 * MAX_ATTEMPTS))
    assert len(task.attempts) <= MAX_ATTEMPTS + 1
    assert [attempt.number for attempt in task.attempts] == list(range(len(task.attempts)))
    assert [attempt.run for attempt in task.attempts] == list(range(len(task.attempts)))
    assert (task.state, task.result, task.run) == ("SUCCESS", str(3 * MAX_ATTEMPTS - 1), len(task.attempts) - 1)
    assert task.attempts[0].received == 1000.0 + 60 * (3 * MAX_ATTEMPTS - len(task.attempts))
    again = folded(event("received", 1e6, name="daily", retries=0), task=task)
    assert (again.state, again.result, again.received) == ("RECEIVED", None, 1e6)
    assert again.attempts[-1].run == again.run
    assert again.attempts[-2].run == (again.run or 0) - 1


def test_removed_attempts_leave_what_the_events_of_the_others_give() -> None:
    """As if the removed attempts had never been."""
    histories = list(executions(MAX_ATTEMPTS + 20))
    task = folded(*histories)
    assert task == folded(*histories[-3 * len(task.attempts) :])


def test_number_of_retries_is_limited() -> None:
    task = folded(
        *(
            event(kind, 1000.0 + 10 * number + offset, retries=number if kind == "received" else None)
            for number in range(3 * MAX_ATTEMPTS)
            for offset, kind in enumerate(("received", "started", "retried"))
        )
    )
    assert len(task.attempts) <= MAX_ATTEMPTS + 1
    assert (task.state, task.retries, task.run) == ("RETRY", 3 * MAX_ATTEMPTS - 1, None)
    assert all(attempt.state == "RETRY" for attempt in task.attempts)
