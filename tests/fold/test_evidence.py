"""Evidence: states that other sources than the events prove."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flower.fold import fold, fold_evidence
from flower.records import Event, Evidence, Lost, LostReason, Task, TaskSource
from tests.helpers.event_sequences import UUID, Fields, deliveries

A, B = "celery@a", "celery@b"
LOST = Lost(200.0, "worker_offline", "Its worker stopped.", ("workers",))


def event(kind: str, at: float, hostname: str = A, **fields: Any) -> Event:
    return Event(type=f"task-{kind}", timestamp=at, uuid=UUID, **{"hostname": hostname, "pid": 7, **fields})


def folded(*events: Event, task: Task | None = None) -> Task:
    for each in events:
        task = fold(task, each)
    assert task is not None
    return task


def evidence_of(task: Task | None, state: str | None, source: TaskSource = "worker", **fields: Any) -> Evidence:
    basis = None if task is None else (task.state, task.timestamp)
    return Evidence(UUID, source, 200.0, state, basis, **fields)


def proven(task: Task | None, state: str | None, source: TaskSource = "worker", **fields: Any) -> Task:
    after = fold_evidence(task, evidence_of(task, state, source, **fields))
    assert after is not None
    return after


SENT = event("sent", 1, "gen1@web", name="add", args="(1,)", retries=0, queue="mail")
RECEIVED = event("received", 2, name="add", retries=0)
STARTED = event("started", 3)
FAILED = event("failed", 5, exception="E()", traceback="T")
RUNNING = folded(SENT, RECEIVED, STARTED)


@pytest.mark.parametrize("end", ["SUCCESS", "FAILURE", "REVOKED"])
def test_an_end_that_was_missed_is_proven_by_the_result_backend(end: str) -> None:
    task = proven(RUNNING, end, "result_backend", ended=9.0, result="3", exception="E()")
    assert (task.state, task.source, task.lost, task.timestamp) == (end, "result_backend", None, 9.0)
    assert (task.hostname, task.started, task.attempts[-1].ended) == (A, 3, 9.0)
    assert len(task.attempts) == 1


def test_an_unknown_task_is_created_from_evidence() -> None:
    task = proven(None, "SUCCESS", "result_backend", ended=9.0, name="add", args="(1,)", result="3", hostname=B)
    assert (task.state, task.name, task.args, task.result) == ("SUCCESS", "add", "(1,)", "3")
    assert (task.succeeded, task.timestamp, task.hostname, task.source) == (9.0, 9.0, B, "result_backend")
    running = proven(None, "STARTED", hostname=B, started=8.0, name="add")
    assert (running.state, running.hostname, running.started, running.source) == ("STARTED", B, 8.0, "worker")
    waiting = proven(None, "PENDING", "broker", name="add", queue="mail")
    assert (waiting.state, waiting.hostname, waiting.queue, waiting.timestamp) == ("PENDING", None, "mail", 200.0)


def test_evidence_about_a_record_that_has_changed_is_ignored() -> None:
    old = evidence_of(RUNNING, None, lost=LOST)
    assert fold_evidence(folded(FAILED, task=RUNNING), old) is None
    assert fold_evidence(RUNNING, evidence_of(None, "SUCCESS", "result_backend")) is None
    assert fold_evidence(None, old) is None


@pytest.mark.parametrize("state", ["PENDING", "RECEIVED", "STARTED", "RETRY", "SUCCESS", "FAILURE", None])
def test_an_end_is_never_replaced(state: str | None) -> None:
    task = folded(FAILED, task=RUNNING)
    assert fold_evidence(task, evidence_of(task, state, "result_backend", lost=LOST)) is None


def test_a_task_of_a_dead_worker_is_marked_as_lost() -> None:
    task = proven(RUNNING, None, lost=LOST)
    assert (task.state, task.lost, task.hostname) == ("STARTED", LOST, A)
    assert task.attempts[-1].lost == "worker_offline"
    assert fold_evidence(task, evidence_of(task, None, lost=LOST)) is None


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (folded(SENT), "not_in_queue"),
        (folded(SENT), "not_received"),
        (folded(SENT, RECEIVED), "message_unacknowledged"),
        (folded(SENT, RECEIVED, STARTED, event("retried", 4)), "not_in_queue"),
        (RUNNING, "end_not_observed"),
    ],
)
def test_a_task_that_no_source_has_keeps_its_state(task: Task, reason: LostReason) -> None:
    lost = Lost(200.0, reason, "It is not found.")
    after = proven(task, None, lost=lost)
    assert after == replace(task, lost=lost)


def test_a_lost_attempt_does_not_hide_the_end_of_another() -> None:
    """Killed in mid-task; the redelivered message was executed by another worker."""
    task = folded(event("received", 10, B), event("started", 11, B), task=RUNNING)
    task = folded(event("succeeded", 12, B, result="3", runtime=1.0), task=task)
    assert (task.state, task.hostname) == ("STARTED", A)
    task = proven(task, None, lost=LOST)
    assert (task.state, task.hostname, task.lost, task.result) == ("SUCCESS", B, None, "3")
    assert [(attempt.state, attempt.lost) for attempt in task.attempts] == [(None, "worker_offline"), ("SUCCESS", None)]


def test_an_event_of_a_lost_task_removes_the_mark() -> None:
    """The worker was stopped and went on."""
    lost = proven(RUNNING, None, lost=LOST)
    assert fold(lost, RECEIVED) is lost
    task = folded(event("succeeded", 300, result="1", runtime=297.0), task=lost)
    assert (task.state, task.lost, len(task.attempts)) == ("SUCCESS", None, 1)
    again = folded(event("received", 300, B, retries=0), task=lost)
    assert (again.state, again.hostname, again.lost) == ("RECEIVED", B, None)
    assert [attempt.lost for attempt in again.attempts] == ["worker_offline", None]


def test_a_worker_that_answers_removes_the_mark() -> None:
    task = proven(proven(RUNNING, None, lost=LOST), "STARTED", hostname=A, pid=7)
    assert (task.state, task.lost, task.source, task.started) == ("STARTED", None, "worker", 3)
    assert len(task.attempts) == 1


def test_a_message_that_is_back_in_its_queue_waits() -> None:
    """Faults 7: handed back at a warm shutdown, or restored after the worker died."""
    task = proven(folded(SENT, RECEIVED), "PENDING", "broker")
    assert (task.state, task.source, task.hostname, task.received, task.started) == (
        "PENDING",
        "broker",
        None,
        None,
        None,
    )
    assert [(attempt.hostname, attempt.lost) for attempt in task.attempts] == [(A, "returned_to_queue"), (None, None)]
    task = folded(event("received", 20, B, retries=0), task=task)
    assert (task.state, task.hostname, task.source) == ("RECEIVED", B, None)
    assert [attempt.number for attempt in task.attempts] == [0, 1]
    lost = proven(proven(RUNNING, None, lost=LOST), "PENDING", "broker")
    assert (lost.state, lost.lost, lost.attempts[0].lost) == ("PENDING", None, "worker_offline")


@pytest.mark.parametrize("state", ["PENDING", "RETRY"])
def test_a_retry_that_is_back_in_its_queue_waits_as_a_retry(state: str) -> None:
    task = folded(event("retried", 4), event("received", 6, B, retries=1), task=RUNNING)
    task = proven(task, state, "broker")
    assert (task.state, task.hostname, task.lost) == ("RETRY", None, None)
    assert [attempt.state for attempt in task.attempts] == ["RETRY", None, None]
    waiting = folded(event("retried", 4), task=RUNNING)
    assert proven(waiting, state, "broker") == replace(waiting, source="broker")


def test_a_task_that_another_worker_holds_is_shown_there() -> None:
    task = proven(proven(RUNNING, None, lost=LOST), "RECEIVED", hostname=B, pid=9)
    assert (task.state, task.hostname, task.pid, task.lost, task.source) == ("RECEIVED", B, 9, None, "worker")
    task = folded(event("received", 20, B, pid=9, retries=0), event("started", 21, B, pid=9), task=task)
    assert (task.state, task.received, task.source, len(task.attempts)) == ("STARTED", 20, None, 2)


@pytest.mark.parametrize("hostname", [A, None])
def test_the_event_of_an_end_replaces_its_evidence(hostname: str | None) -> None:
    """It was delayed: in the spill queue, or in the queue at RabbitMQ."""
    for before in (RUNNING, folded(SENT)):
        task = proven(before, "FAILURE", "result_backend", ended=5.01, exception="E", hostname=hostname)
        task = folded(FAILED, task=task)
        assert (task.state, task.failed, task.exception, task.source) == ("FAILURE", 5, "E()", None)
        assert len(task.attempts) == 1
        assert fold(task, FAILED) is task


@pytest.mark.parametrize("hostname", [A, None])
def test_late_events_complete_a_task_that_evidence_ended(hostname: str | None) -> None:
    task = proven(folded(SENT), "SUCCESS", "result_backend", ended=5.0, result="3", hostname=hostname)
    task = folded(RECEIVED, STARTED, task=task)
    assert (task.state, task.started, task.received, task.hostname) == ("SUCCESS", 3, 2, A)
    assert (task.succeeded, task.source, task.result, len(task.attempts)) == (5.0, "result_backend", "3", 1)


def test_a_start_that_evidence_gave_approximately_is_replaced_by_the_event() -> None:
    task = proven(folded(SENT), "STARTED", hostname=A, pid=7, started=3.02)
    task = folded(RECEIVED, STARTED, task=task)
    assert (task.state, task.received, task.started, len(task.attempts)) == ("STARTED", 2, 3, 1)


def test_the_result_of_an_earlier_use_of_the_id_is_ignored() -> None:
    task = folded(SENT, RECEIVED, STARTED, FAILED)
    task = folded(event("sent", 1000, "gen1@web", name="add", retries=0), task=task)
    assert fold_evidence(task, evidence_of(task, "FAILURE", "result_backend", ended=5.0)) is None
    assert fold_evidence(folded(replace(SENT, timestamp=900.0)), evidence_of(task, "SUCCESS", ended=5.0)) is None
    task = proven(task, "SUCCESS", "result_backend", ended=1001.0)
    assert (task.state, task.run, task.attempts[0].state) == ("SUCCESS", 1, "FAILURE")


def test_an_expired_message_that_the_broker_dropped_is_revoked() -> None:
    task = proven(folded(SENT), "REVOKED", "broker", ended=60.0)
    assert (task.state, task.revoked, task.source, task.hostname) == ("REVOKED", 60.0, "broker", None)


STATES = ["PENDING", "RECEIVED", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED", None]
REASONS = ["worker_offline", "message_unacknowledged", "not_in_queue", "end_not_observed", "not_received"]


@given(
    deliveries(),
    st.lists(
        st.tuples(
            st.integers(0, 30),
            st.sampled_from(STATES),
            st.sampled_from(["worker", "result_backend", "broker"]),
            st.sampled_from([A, B, "celery@c", None]),
            st.sampled_from(REASONS),
            st.none() | st.floats(-100, 100),
        ),
        max_size=6,
    ),
)
def test_evidence_between_events_keeps_the_rules(history: list[Fields], found: list[Any]) -> None:
    task: Task | None = None
    events = [msgspec.convert(fields, Event) for fields in history]
    for index, each in enumerate(events):
        task = fold(task, each)
        for at, state, source, hostname, reason, ended in found:
            if at != index:
                continue
            lost = Lost(each.timestamp, reason, "It is not found.")
            end = None if ended is None else each.timestamp + ended
            evidence = evidence_of(task, state, source, hostname=hostname, lost=lost, ended=end, started=end)
            after = fold_evidence(task, evidence)
            if after is None:
                continue
            assert task.state not in ("SUCCESS", "FAILURE", "REVOKED")
            assert after != task
            assert state is not None or after.source == task.source
            task = after
        numbers = [attempt.number for attempt in task.attempts]
        assert numbers == list(range(len(numbers)))
        assert task.lost is None or task.state not in ("SUCCESS", "FAILURE", "REVOKED")
    before = task
    for each in events:
        # evidence and earlier duplicates never make an event count twice
        task = fold(task, each)
    assert [fold(task, each) for each in events] == [task] * len(events)
    assert before is not None


def test_long_names_of_evidence_are_shortened() -> None:
    task = proven(None, "STARTED", name="x" * 5_000, queue="q" * 5_000)
    assert task.name is not None
    assert task.queue is not None
    assert (len(task.name), len(task.queue)) == (512, 512)
