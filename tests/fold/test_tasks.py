"""Tests of the fold, in part by comparison with Celery."""

import random
from typing import Any

import msgspec
import pytest
from celery.events.state import State
from hypothesis import given
from hypothesis import strategies as st

from flower.fold import fold
from flower.records import Event, Task
from tests.helpers.event_sequences import HOSTS, UUID, Fields, orderly


def event(kind: str, at: float, **fields: Any) -> Event:
    return Event(type=f"task-{kind}", timestamp=at, uuid=UUID, **{"hostname": HOSTS[0], **fields})


def folded(*events: Event) -> Task:
    task = None
    for each in events:
        task = fold(task, each)
    assert task is not None
    return task


def ours(history: list[Fields]) -> Task:
    return folded(*(msgspec.convert(fields, Event) for fields in history))


def celerys(history: list[Fields]) -> Any:
    state = State()
    for fields in history:
        state.event({**fields, "local_received": fields["timestamp"]})
    return state.tasks[UUID]


SAME = (
    "name", "state", "timestamp", "clock", "sent", "received", "succeeded", "failed", "retried", "revoked",
    "retries", "queue", "exchange", "routing_key", "root_id", "args", "kwargs", "result",
)  # fmt: skip


@given(orderly())
def test_agrees_with_celery_for_events_in_order(history: list[Fields]) -> None:
    mine, theirs = ours(history), celerys(history)
    for field in SAME:
        assert getattr(mine, field) == getattr(theirs, field, None), field
    assert mine.hostname == (theirs.worker.hostname if theirs.worker else None)
    assert theirs.runtime == (None if mine.runtime_is_derived else mine.runtime)


@given(orderly())
def test_fields_of_an_attempt_differ_from_celery(history: list[Fields]) -> None:
    """Celery keeps the start and the exception of a finished attempt while the next one waits, and the exception even
    after success. The fold moves them to the attempt that they belong to."""
    mine, theirs = ours(history), celerys(history)
    attempts = mine.attempts
    starts = [attempt.started for attempt in attempts if attempt.started]
    assert theirs.started == (starts[-1] if starts else None)
    exceptions = [attempt.exception for attempt in attempts if attempt.exception]
    assert theirs.exception == (exceptions[-1] if exceptions else None)
    assert mine.started == attempts[-1].started


@given(orderly())
def test_every_attempt_is_recorded(history: list[Fields]) -> None:
    task = ours(history)
    retried = [fields for fields in history if fields["type"] == "task-retried"]
    assert len(task.earlier) == len(retried)
    for attempt, fields in zip(task.earlier, retried, strict=True):
        assert (attempt.state, attempt.ended, attempt.exception) == ("RETRY", fields["timestamp"], fields["exception"])
        assert attempt.hostname == fields["hostname"]
        assert attempt.started is not None
        assert attempt.received is not None


@given(orderly())
def test_fold_is_idempotent(history: list[Fields]) -> None:
    once = ours(history)
    # the last event twice: the most common duplicate, a redelivery by the broker
    assert ours([*history, history[-1]]) == once


FINAL = {"task-succeeded": "SUCCESS", "task-failed": "FAILURE", "task-revoked": "REVOKED"}


@given(orderly(), st.randoms(use_true_random=False))
def test_event_order_does_not_lose_fields(history: list[Fields], rnd: random.Random) -> None:
    shuffled = history + rnd.choices(history, k=3)
    rnd.shuffle(shuffled)
    task = ours(shuffled)
    if (end := FINAL.get(history[-1]["type"])) is not None:
        assert task.state == end
    assert task.timestamp == max(fields["timestamp"] for fields in history)
    straight = ours(history)
    for field in ("name", "args", "kwargs", "root_id", "sent", "result", "queue", "client"):
        assert getattr(task, field) == getattr(straight, field), field
    sent_exceptions = {fields.get("exception") for fields in history} - {None}
    kept = {attempt.exception for attempt in task.attempts} - {None}
    assert kept == sent_exceptions


values = st.none() | st.text(max_size=5)
times = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.builds(
            Event,
            type=st.sampled_from(
                [
                    "sent",
                    "received",
                    "started",
                    "succeeded",
                    "failed",
                    "retried",
                    "revoked",
                    "rejected",
                    "progress",
                    "",
                    "-",
                    "x" * 500,
                ]
            ).map("task-".__add__),
            timestamp=times,
            uuid=st.just(UUID),
            hostname=values,
            clock=st.none() | st.integers(),
            retries=st.none() | st.integers(),
            name=values,
            exception=values,
            data=st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        ),
        min_size=1,
    )
)
def test_fold_never_raises_or_loses_a_field(events: list[Event]) -> None:
    task: Task | None = None
    for each in events:
        before = task
        task = fold(task, each)
        assert task.attempts
        if before is not None and before.run == task.run:
            for field in ("name", "args", "result", "timestamp"):
                assert getattr(before, field) is None or getattr(task, field) is not None
    assert task is not None
    assert len(task.state) <= 64
    assert task.timestamp == max(each.timestamp for each in events)


def test_late_events_fill_missing_fields() -> None:
    """Celery moves `timestamp` and `clock` back here (observed: 10 → 1, 5 → 2)."""
    task = folded(
        event("succeeded", 10, clock=5, result="3", runtime=4.0),
        event("started", 6, clock=2, pid=9),
        event("received", 1, clock=1, name="add", args="(1, 2)", retries=0),
    )
    assert (task.state, task.timestamp, task.clock) == ("SUCCESS", 10, 5)
    assert (task.started, task.received, task.name, task.args, task.pid) == (6, 1, "add", "(1, 2)", 9)


def test_retried_event_after_the_next_attempt_succeeded() -> None:
    """Celery leaves such a task in RETRY forever."""
    task = folded(
        event("received", 1, retries=0),
        event("started", 2),
        event("received", 3, retries=1, hostname=HOSTS[1]),
        event("started", 4, hostname=HOSTS[1]),
        event("succeeded", 5, result="1", runtime=1.0, hostname=HOSTS[1]),
        event("retried", 6, exception="OSError()", traceback="T"),
    )
    assert task.state == "SUCCESS"
    assert task.retried == 6
    first, second = task.attempts
    assert (first.state, first.started, first.exception, first.hostname) == ("RETRY", 2, "OSError()", HOSTS[0])
    assert (second.state, second.started, second.exception, second.hostname) == ("SUCCESS", 4, None, HOSTS[1])


def test_retried_event_while_the_next_attempt_runs() -> None:
    task = folded(
        event("received", 1, retries=0),
        event("started", 2),
        event("received", 3, retries=1),
        event("started", 4),
        event("retried", 5, exception="OSError()"),
    )
    assert task.state == "STARTED"
    assert [attempt.state for attempt in task.attempts] == ["RETRY", None]


def test_started_event_after_the_retry() -> None:
    task = folded(event("received", 1, retries=0), event("retried", 5, exception="E()"), event("started", 2))
    assert (task.state, task.started) == ("RETRY", 2)
    assert len(task.attempts) == 1


def test_terminated_task_with_a_custom_state_is_revoked() -> None:
    """Celery ranks custom states above REVOKED and would show PROGRESS forever."""
    task = folded(event("started", 1), event("progress", 2, data={"current": 1}), event("revoked", 3))
    assert task.state == "REVOKED"
    assert folded(event("revoked", 3), event("progress", 2)).state == "REVOKED"


def test_redelivery_after_rejection() -> None:
    """Celery ranks REJECTED below STARTED and would show the task as running forever."""
    task = folded(event("received", 1, retries=0), event("started", 2), event("rejected", 3))
    assert task.state == "REJECTED"
    task = fold(task, event("received", 4, retries=0, hostname=HOSTS[1]))
    assert (task.state, len(task.earlier), task.started) == ("RECEIVED", 1, None)


def test_second_delivery_keeps_both_attempts() -> None:
    task = folded(
        event("started", 1),
        event("failed", 2, exception="WorkerLostError()", traceback="T"),
        event("succeeded", 9, result="1", runtime=7.5, hostname=HOSTS[1]),
    )
    assert [attempt.state for attempt in task.attempts] == ["FAILURE", "SUCCESS"]
    assert task.attempts[0].exception == "WorkerLostError()"
    assert (task.exception, task.failed) == (None, 2)


def test_retried_task_is_not_its_own_parent() -> None:
    task = folded(event("received", 1, parent_id="p", retries=0), event("received", 2, parent_id=UUID, retries=1))
    assert task.parent_id == "p"


def test_custom_data_is_merged() -> None:
    task = folded(
        event("received", 1, data={"tenant": "a"}),
        event("started", 2),
        event("progress", 3, data={"current": 1, "total": 5}),
        event("progress", 4, data={"current": 2}),
    )
    assert task.state == "PROGRESS"
    assert task.data == {"task-received": {"tenant": "a"}, "task-progress": {"current": 2, "total": 5}}


@pytest.mark.parametrize("hostname", HOSTS)
def test_pool_process_does_not_change_the_pid(hostname: str) -> None:
    task = folded(event("started", 1, pid=10, hostname=hostname), event("progress", 2, pid=11, hostname=hostname))
    assert task.pid == 10


def test_types_and_fields_of_custom_events_of_one_task_are_limited() -> None:
    task: Task | None = None
    for number in range(300):
        task = fold(
            task,
            Event(type=f"task-step{number}", timestamp=1.0 + number, uuid=UUID, hostname="w", data={f"f{number}": 1}),
        )
    assert task is not None
    assert task.data is not None
    assert len(task.data) == len(task.event_times or {}) == 101
    assert task.data["__other__"]["f299"] == 1
    assert task.state == "STEP299"
    for start in range(0, 30_000, 5_000):
        fields = {f"g{number}": number for number in range(start, start + 5_000)}
        task = fold(task, Event(type="task-step0", timestamp=1_000.0 + start, uuid=UUID, hostname="w", data=fields))
    assert task.data is not None
    assert len(task.data["task-step0"]) == 10_000
    assert "g29999" in task.data["task-step0"]
