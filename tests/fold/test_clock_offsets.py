"""Estimates of the clocks of workers and clients."""

from typing import Any

import pytest

from flower.fold import ClockOffsets, fold
from flower.records import Event, Task
from tests.helpers.event_sequences import UUID

A, B, CLIENT = "celery@a", "celery@b", "gen1@web"
#: when the first event arrives, by the recorder's clock
NOW = 1_700_000_000.0
HOUR = 3600.0


def event(kind: str, at: float, hostname: str = A, **fields: Any) -> Event:
    return Event(type=f"task-{kind}", timestamp=at, uuid=UUID, **{"hostname": hostname, "pid": 7, **fields})


class Worker:
    """A worker whose clock is wrong by `offset` seconds."""

    def __init__(self, clocks: ClockOffsets, offset: float = 0.0, hostname: str = A, pid: int = 7) -> None:
        self.clocks, self.offset, self.hostname, self.pid = clocks, offset, hostname, pid
        self.clock = 100

    def send_heartbeat(self, sent: float, delay: float = 0.01, kind: str = "heartbeat") -> None:
        self.clock += 1
        self.clocks.observe_worker_event(
            Event(
                type=f"worker-{kind}",
                timestamp=sent + self.offset,
                hostname=self.hostname,
                pid=self.pid,
                clock=self.clock,
                freq=2.0,
            ),
            sent + delay,
        )

    def send_task_event(self, kind: str, sent: float, delay: float = 0.01, **fields: Any) -> Event:
        self.clock += 1
        sent_event = event(kind, sent + self.offset, self.hostname, pid=self.pid, clock=self.clock, **fields)
        self.clocks.observe({self.hostname: sent_event}, sent + delay)
        return sent_event


def test_a_clock_that_is_ahead_is_known_from_one_event() -> None:
    clocks = ClockOffsets()
    clocks.observe({CLIENT: event("sent", NOW + HOUR, CLIENT)}, NOW + 5)
    assert clocks.offset(CLIENT) == HOUR - 5
    Worker(clocks, HOUR).send_task_event("started", NOW)
    assert clocks.offset(A) == pytest.approx(HOUR, abs=0.1)


def test_a_clock_that_is_behind_is_known_from_heartbeats() -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks, -HOUR)
    for number in range(10):
        worker.send_heartbeat(NOW + 2 * number)
    assert clocks.offset(A) == pytest.approx(-HOUR, abs=0.1)


def test_a_backlog_is_not_taken_for_a_slow_clock() -> None:
    """RabbitMQ or the spill queue deliver the events of an hour within a second."""
    clocks = ClockOffsets()
    worker = Worker(clocks)
    for number in range(1000):
        sent = NOW + 2 * number
        worker.send_heartbeat(sent, delay=HOUR - 2 * number + number / 1000)
        worker.send_task_event("started", sent, delay=HOUR - 2 * number + number / 1000)
    assert clocks.offset(A) is None
    assert not clocks.was_set_back(A)


@pytest.mark.parametrize("offset", [1.9, -1.9, 0.0])
def test_small_offsets_are_ignored(offset: float) -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks, offset)
    for number in range(10):
        worker.send_heartbeat(NOW + 2 * number)
    assert clocks.offset(A) is None
    assert not clocks.offsets


@pytest.mark.parametrize("offset", [HOUR, -HOUR])
def test_a_clock_that_is_set_right_has_no_offset(offset: float) -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks, offset)
    for number in range(5):
        worker.send_heartbeat(NOW + 2 * number)
    worker.offset = 0.0
    for number in range(5, 70):
        worker.send_heartbeat(NOW + 2 * number)
    assert clocks.offset(A) is None


def test_a_clock_that_is_set_back_is_known_from_the_next_event() -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks)
    for number in range(5):
        worker.send_heartbeat(NOW + 2 * number)
    worker.offset = -HOUR
    worker.send_task_event("received", NOW + 10)
    assert clocks.offset(A) == pytest.approx(-HOUR, abs=0.1)
    assert clocks.was_set_back(A)


def test_events_that_are_published_again_do_not_set_a_clock_back() -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks)
    old = [worker.send_task_event("started", NOW + number) for number in range(5)]
    for each in reversed(old):
        clocks.observe({A: each}, NOW + HOUR)
    assert not clocks.was_set_back(A)
    assert clocks.offset(A) is None


def test_a_restarted_worker_is_estimated_again() -> None:
    clocks = ClockOffsets()
    Worker(clocks, HOUR).send_heartbeat(NOW)
    assert clocks.offset(A) is not None
    restarted = Worker(clocks, 0.0, pid=8)
    restarted.send_heartbeat(NOW + 20, kind="online")
    assert clocks.offset(A) is None
    assert clocks.started_at(A) == NOW + 20


def test_offsets_of_the_previous_recorder_are_used() -> None:
    clocks = ClockOffsets()
    clocks.restore({A: -HOUR, B: None})
    assert (clocks.offset(A), clocks.offset(B)) == (-HOUR, None)


def folded(clocks: ClockOffsets, *events: Event) -> Task:
    task = None
    for each in events:
        task = fold(task, each, clocks)
    assert task is not None
    return task


def test_waits_are_corrected_by_the_offsets_of_worker_and_client() -> None:
    """Fault 5: waits of ±3600 s were shown for a worker with a wrong clock. The raw times are kept."""
    clocks = ClockOffsets()
    worker = Worker(clocks, HOUR)
    sent = event("sent", NOW - 3, CLIENT, name="add", retries=0)
    task = folded(clocks, sent)
    for kind, at in (("received", NOW), ("started", NOW + 1), ("succeeded", NOW + 3)):
        task = fold(task, worker.send_task_event(kind, at, delay=0.0), clocks)
    assert (task.state, task.received, task.started) == ("SUCCESS", NOW + HOUR, NOW + HOUR + 1)
    assert (task.clock_offset, task.client_offset) == (HOUR, None)
    assert task.wait == 4
    ahead = event("sent", NOW + HOUR, CLIENT, name="add", retries=0)
    clocks.observe({CLIENT: ahead}, NOW)
    task = folded(clocks, ahead, event("received", NOW + 1, B), event("started", NOW + 2, B))
    assert (task.sent, task.client_offset, task.wait) == (NOW + HOUR, HOUR, 2)
    late = folded(clocks, event("received", NOW + 1, B), event("started", NOW + 2, B), ahead)
    assert late.wait == 2


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_events_from_before_a_change_of_the_clock_that_arrive_after_it_have_the_former_offset(step: float) -> None:
    """Celery sends task events in batches, and heartbeats at once."""
    clocks = ClockOffsets()
    worker = Worker(clocks)
    for number in range(5):
        worker.send_heartbeat(NOW + 2 * number)
    worker.offset = step
    worker.send_heartbeat(NOW + 10)
    assert clocks.offset(A) == pytest.approx(step, abs=0.1)
    received = event("received", NOW + 9.5, pid=7, clock=worker.clock)
    clocks.observe({A: received}, NOW + 10.1)
    assert clocks.offset_of(received) is None
    started = event("started", NOW + 10.05 + step, pid=7, clock=worker.clock + 1)
    assert clocks.offset_of(started) == pytest.approx(step, abs=0.1)
    # Later, such a time is that of an old event.
    worker.clock += 1
    for number in range(40):
        worker.send_heartbeat(NOW + 12 + 2 * number)
    assert clocks.offset_of(started) == pytest.approx(step, abs=0.1)
    assert clocks.offset_of(received) == pytest.approx(step, abs=0.1)


def test_a_wait_across_a_change_of_the_clock_is_right() -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks)
    for number in range(5):
        worker.send_heartbeat(NOW + 2 * number)
    sent = event("sent", NOW + 9.4, CLIENT)
    received = event("received", NOW + 9.5)
    worker.offset = -HOUR
    worker.send_heartbeat(NOW + 10)
    started = worker.send_task_event("started", NOW + 12)
    task: Task | None = None
    for each in (sent, received, started):
        task = fold(task, each, clocks)
    assert task is not None
    assert task.queue_wait == pytest.approx(2.6, abs=0.1)


def test_events_after_the_clock_was_set_back_are_not_late() -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks)
    for number in range(5):
        worker.send_heartbeat(NOW - 10 + 2 * number)
    task = None
    for at, kind in enumerate(("received", "started", "retried")):
        task = fold(task, worker.send_task_event(kind, NOW + at, retries=0 if kind == "received" else None), clocks)
    worker.offset = -HOUR
    states = []
    for at, kind in enumerate(("received", "started", "succeeded"), 10):
        task = fold(task, worker.send_task_event(kind, NOW + at, retries=1 if kind == "received" else None), clocks)
        states.append(task.state)
    assert states == ["RECEIVED", "STARTED", "SUCCESS"]
    assert task is not None
    assert [attempt.state for attempt in task.attempts] == ["RETRY", "SUCCESS"]
    assert task.attempts[1].clock_offset == pytest.approx(-HOUR, abs=0.1)


def test_a_clock_that_is_set_back_within_an_attempt_ends_that_attempt() -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks)
    worker.send_heartbeat(NOW - 1)
    task = folded(clocks, worker.send_task_event("received", NOW), worker.send_task_event("started", NOW + 1))
    worker.offset = -HOUR
    task = fold(task, worker.send_task_event("failed", NOW + 5, exception="E()"), clocks)
    assert (task.state, len(task.attempts)) == ("FAILURE", 1)
    assert task.runtime is None or task.runtime >= 0


@pytest.mark.parametrize("steps", [(-HOUR, -HOUR), (-HOUR, HOUR / 2), (0.0, HOUR), (0.0, -HOUR), (HOUR, 0.0)])
def test_a_clock_that_changes_between_the_events_of_an_attempt_does_not_change_the_wait(
    steps: tuple[float, float],
) -> None:
    clocks = ClockOffsets()
    worker = Worker(clocks)
    worker.send_heartbeat(NOW - 1)
    task = folded(clocks, event("sent", NOW, CLIENT, name="add", retries=0))
    for kind, at, offset in (("received", NOW + 1, steps[0]), ("started", NOW + 3, steps[1])):
        worker.offset = offset
        task = fold(task, worker.send_task_event(kind, at, retries=0 if kind == "received" else None), clocks)
    assert (task.state, len(task.attempts)) == ("STARTED", 1)
    assert task.wait == pytest.approx(3, abs=0.1)
    task = fold(task, worker.send_task_event("failed", NOW + 5, exception="E()"), clocks)
    assert (task.state, len(task.attempts)) == ("FAILURE", 1)
    assert task.wait == pytest.approx(3, abs=0.1)


def test_attempts_of_workers_whose_clocks_disagree_are_in_their_real_order() -> None:
    clocks = ClockOffsets()
    first, second = Worker(clocks, HOUR), Worker(clocks, -HOUR, B, pid=9)
    for number in range(5):
        first.send_heartbeat(NOW - 10 + 2 * number)
        second.send_heartbeat(NOW - 10 + 2 * number)
    events = [
        first.send_task_event("received", NOW, retries=0),
        first.send_task_event("started", NOW + 1),
        second.send_task_event("received", NOW + 30, retries=0),
        second.send_task_event("started", NOW + 31),
        second.send_task_event("succeeded", NOW + 40, runtime=9.0, result="1"),
        first.send_task_event("succeeded", NOW + 60, runtime=59.0, result="2"),
    ]
    task = folded(clocks, *events)
    assert [(attempt.hostname, attempt.state) for attempt in task.attempts] == [(A, "SUCCESS"), (B, "SUCCESS")]
    assert task.is_double_run
    assert (task.hostname, task.result, task.run) == (A, "2", None)
    for each in [*reversed(events), *events]:
        assert fold(task, each, clocks) is task
