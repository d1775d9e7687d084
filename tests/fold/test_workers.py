"""Events and answers of workers become worker records. Times of signs of life are those of the recorder's clock."""

from typing import Any

from flower.fold import fold_worker, fold_worker_answer, fold_worker_sign
from flower.records import Event, Worker, WorkerAnswer

NAME = "celery@w1"
T = 1_800_000_000.0


def event(kind: str, at: float, **fields: Any) -> Event:
    return Event(type=kind if "-" in kind else f"worker-{kind}", timestamp=at, hostname=NAME, **fields)


def heartbeat(at: float, pid: int = 10, **fields: Any) -> Event:
    return event("heartbeat", at, pid=pid, **{"freq": 2.0, "active": 0, "processed": 5, **fields})


def started(at: float, pid: int = 10) -> Event:
    return event("task-started", at, uuid="a", pid=pid)


def sign(worker: Worker | None, of: Event, received: float, earliest: float | None = None) -> Worker:
    folded = fold_worker_sign(worker, of, received, earliest)
    assert folded is not None
    return folded


def test_worker_events() -> None:
    """`heartbeat` is by the recorder's clock (Celery swaps the two times and records the sender's)."""
    worker = fold_worker(None, event("online", 100, freq=2.0, sw_ver="5.7.0"), 205.0)
    assert (worker.online, worker.heartbeat, worker.since, worker.sends_heartbeats) == (True, 205.0, 100, True)
    worker = fold_worker(worker, event("heartbeat", 102, active=3, processed=8), 207.0)
    assert (worker.active, worker.processed, worker.sw_ver, worker.heartbeat) == (3, 8, "5.7.0", 207.0)
    late = fold_worker(worker, event("heartbeat", 101, active=9), 208.0)
    assert (late.active, late.heartbeat) == (3, 208.0)
    gone = fold_worker(worker, event("offline", 110), 215.0)
    assert (gone.online, gone.heartbeat, gone.seen_at) == (False, 207.0, 215.0)
    assert fold_worker(gone, event("online", 100), 216.0).online


def test_task_events_are_signs_of_life() -> None:
    worker = fold_worker(None, heartbeat(T), T)
    worker = sign(worker, event("task-succeeded", T + 9, uuid="a", pid=10), T + 9)
    assert (worker.heartbeat, worker.seen_at) == (T, T + 9)
    worker = sign(None, event("task-received", T, uuid="a", pid=10), T)
    assert (worker.online, worker.seen_at, worker.pid) == (True, T, 10)


def test_an_event_of_a_pool_process_alone_does_not_create_a_worker() -> None:
    """`task-progress` can have any sender."""
    assert fold_worker_sign(None, event("task-progress", T, uuid="a"), T) is None


def test_the_last_event_shows_whether_a_task_was_started() -> None:
    worker = sign(fold_worker(None, heartbeat(T), T), started(T + 1), T + 1)
    assert worker.started_at == T + 1
    assert fold_worker(worker, heartbeat(T + 2), T + 2).started_at is None


def test_a_requested_heartbeat_does_not_show_that_a_worker_sends_heartbeats() -> None:
    reply = event("heartbeat", T, pid=10, freq=5.0)
    worker = fold_worker(None, reply, T)
    assert (worker.sends_heartbeats, worker.heartbeat) == (None, T)
    assert sign(worker, started(T + 6), T + 6).sends_heartbeats is None
    assert sign(worker, started(T + 7), T + 7).sends_heartbeats is False
    periodic = fold_worker(worker, heartbeat(T + 1), T + 1)
    assert (periodic.sends_heartbeats, periodic.freq) == (True, 2.0)
    assert fold_worker(periodic, event("heartbeat", T + 2, pid=10, freq=5.0), T + 2).freq == 2.0


def test_a_worker_that_only_answers_does_not_send_heartbeats() -> None:
    worker = fold_worker_answer(None, WorkerAnswer(NAME, T, pid=10, pool="prefork"))
    assert (worker.pool, worker.answered_at, worker.sends_heartbeats) == ("prefork", T, None)
    assert fold_worker_answer(worker, WorkerAnswer(NAME, T + 30)).sends_heartbeats is False
    with_heartbeats = fold_worker(worker, heartbeat(T + 29), T + 29)
    assert fold_worker_answer(with_heartbeats, WorkerAnswer(NAME, T + 30)).sends_heartbeats is True


def test_a_worker_that_stopped_to_send_heartbeats_and_answers_twice_does_not_send_them() -> None:
    worker = fold_worker(None, heartbeat(T), T)
    once = fold_worker_answer(worker, WorkerAnswer(NAME, T + 60))
    assert once.sends_heartbeats is True, "a solo worker answers after a task, before its next heartbeat"
    assert fold_worker_answer(once, WorkerAnswer(NAME, T + 70)).sends_heartbeats is False


def test_a_worker_of_which_only_task_events_arrive_does_not_send_heartbeats() -> None:
    worker = sign(None, started(T), T)
    for n in range(1, 7):
        worker = sign(worker, started(T + n), T + n)
    assert worker.sends_heartbeats is None
    assert sign(worker, started(T + 7), T + 7).sends_heartbeats is False


def test_an_answer_shows_that_a_worker_that_shut_down_runs_again() -> None:
    worker = fold_worker(fold_worker(None, heartbeat(T), T), event("offline", T + 1, pid=10), T + 1)
    assert not fold_worker_answer(worker, WorkerAnswer(NAME, T + 2, pid=10)).online
    assert fold_worker_answer(worker, WorkerAnswer(NAME, T + 9, pid=11)).online


def test_a_task_that_ends_after_the_shutdown_does_not_put_the_worker_online() -> None:
    worker = fold_worker(fold_worker(None, heartbeat(T), T), event("offline", T + 1, pid=10), T + 1)
    assert not sign(worker, event("task-succeeded", T + 2, uuid="a", pid=10), T + 2).online
    assert sign(worker, event("task-received", T + 9, uuid="b", pid=11), T + 9).online


def test_two_processes_that_alternate_share_a_name() -> None:
    worker = None
    for n, pid in enumerate([10, 20, 10]):
        assert worker is None or worker.duplicate_at is None
        worker = fold_worker(worker, heartbeat(T + n, pid), T + n)
    assert worker is not None
    assert (worker.duplicate_at, worker.pid, worker.pids) == (T + 2, 10, ((20, T + 1),))


def test_the_shutdown_of_one_of_two_workers_with_one_name_does_not_put_the_other_offline() -> None:
    worker = fold_worker(fold_worker(None, heartbeat(T, 10), T), heartbeat(T + 1, 20), T + 1)
    assert fold_worker(worker, event("offline", T + 1.5, pid=10), T + 1.5).online
    assert not fold_worker(worker, event("offline", T + 1.5, pid=20), T + 1.5).online


def test_a_restart_is_not_a_second_worker() -> None:
    worker = fold_worker(None, heartbeat(T, 10), T)
    worker = fold_worker_answer(worker, WorkerAnswer(NAME, T, pid=10, pool="solo"))
    for n in range(1, 9):
        worker = fold_worker(worker, heartbeat(T + n, 20), T + n)
    assert (worker.duplicate_at, worker.pid, worker.pool, worker.sends_heartbeats) == (None, 20, None, True)


def test_a_clock_that_is_set_back_does_not_hide_new_heartbeats() -> None:
    worker = fold_worker(None, heartbeat(T, clock=7), T)
    newer = fold_worker(worker, heartbeat(T - 3_600, clock=8, active=4), T + 2)
    assert (newer.active, newer.heartbeat) == (4, T + 2)
    older = fold_worker(worker, heartbeat(T - 3_600, clock=6, active=4), T + 2)
    assert older.active == 0


def test_an_event_that_waited_at_the_broker_is_a_sign_of_life_of_its_own_time() -> None:
    """After an interruption the broker delivers what was sent during it."""
    assert fold_worker(None, heartbeat(T - 30), T, earliest=T - 60).heartbeat == T - 30
    # while recording, an event was sent a moment ago, whatever the clock of the worker
    assert fold_worker(None, heartbeat(T - 3_600), T, earliest=T - 1).heartbeat == T - 1
    ahead = Worker(NAME, clock_offset=3_600.0)
    assert fold_worker(ahead, heartbeat(T + 3_570), T, earliest=T - 60).heartbeat == T - 30
