"""The condition of the worker that a record names."""

from msgspec.structs import replace

from flower.reconcile.cluster_view import ClusterView
from flower.reconcile.findings import WorkersAnswer
from flower.records import Task, Worker

NOW = 10_000.0
ALIVE = Worker("celery@one", pid=7, heartbeat=NOW - 1, timestamp=NOW - 1, freq=2.0)
TASK = Task("a", state="STARTED", hostname="celery@one", pid=7, received=NOW - 50, started=NOW - 40)


def condition(worker: Worker | None, task: Task = TASK, answer: WorkersAnswer | None = None) -> str:
    workers = {} if worker is None else {worker.hostname: worker}
    return ClusterView(NOW, workers, answer=answer).condition(task)


def answer(*answered: str, alive: tuple[str, ...] = ()) -> WorkersAnswer:
    return WorkersAnswer(NOW, frozenset(answered), frozenset((*answered, *alive)))


def test_a_worker_that_answered_has_what_it_lists() -> None:
    assert condition(ALIVE, answer=answer("celery@one")) == "answered"
    assert condition(replace(ALIVE, heartbeat=None), answer=answer("celery@one")) == "answered"


def test_a_worker_that_sends_no_heartbeats_is_alive_if_it_answers() -> None:
    quiet = replace(ALIVE, heartbeat=NOW - 500, answered_at=NOW - 1)
    assert condition(quiet) == "no_answer"
    assert condition(quiet, answer=answer(alive=("celery@one",))) == "no_answer"


def test_a_worker_without_a_sign_of_life_is_silent() -> None:
    assert condition(replace(ALIVE, heartbeat=NOW - 5), answer=answer()) == "silent"
    assert condition(replace(ALIVE, heartbeat=NOW - 5, freq=60.0), answer=answer()) == "no_answer"
    assert condition(None, answer=answer()) == "silent"


def test_a_worker_that_went_offline_or_was_replaced_is_gone() -> None:
    assert condition(replace(ALIVE, online=False), answer=answer()) == "gone"
    assert condition(replace(ALIVE, pid=8), answer=answer("celery@one")) == "gone"
    assert condition(replace(ALIVE, since=NOW - 10), answer=answer("celery@one")) == "gone"
    assert condition(replace(ALIVE, since=NOW - 60), answer=answer("celery@one")) == "answered"


def test_two_workers_with_one_name_prove_nothing_about_each_other() -> None:
    shared = replace(ALIVE, pid=8, duplicate_at=NOW - 10)
    assert condition(shared, answer=answer("celery@one")) == "no_answer"
    view = ClusterView(NOW, {"celery@one": shared}, answer=answer("celery@one"))
    assert view.unanswered() == {"celery@one"}


def test_a_waiting_task_is_with_no_worker() -> None:
    assert condition(ALIVE, replace(TASK, state="RETRY")) == "none"
    assert condition(ALIVE, Task("b")) == "none"


def test_workers_that_did_not_answer_may_have_any_task() -> None:
    workers = {name: replace(ALIVE, hostname=name) for name in ("a", "b", "c")}
    view = ClusterView(NOW, workers, answer=WorkersAnswer(NOW, frozenset({"a"}), frozenset({"a", "c", "d"})))
    assert view.unanswered() == {"b", "c", "d"}


def test_the_tolerance_of_clocks_is_the_largest_measured_offset() -> None:
    assert ClusterView(NOW, {"a": ALIVE}).clock_tolerance() == 5.0
    assert ClusterView(NOW, {"a": replace(ALIVE, clock_offset=-3600.0)}).clock_tolerance() == 3600.0
