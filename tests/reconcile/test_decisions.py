"""The decision about a task, for every combination of what the sources can answer."""

from functools import cache
from itertools import product
from typing import get_args

import pytest
from msgspec.structs import replace

from flower.reconcile.decisions import Verdict, decide
from flower.reconcile.findings import (
    BackendCondition,
    Findings,
    HeldTask,
    QueuePosition,
    StoredResult,
    WorkerCondition,
    WorkerList,
)
from flower.records import (
    FAILURE,
    FINAL_STATES,
    PENDING,
    RECEIVED,
    RETRY,
    REVOKED,
    STARTED,
    SUCCESS,
    Attempt,
    Evidence,
    Lost,
    Task,
)

NOW = 1_000.0
WORKER = "celery@one"
OTHER = "celery@two"

LOST = Lost(900.0, "worker_offline", "Its worker is silent", ("workers",))
SENT = Task("a", state=PENDING, sent=100.0, timestamp=100.0, queue="mail")
HELD = replace(SENT, state=RECEIVED, hostname=WORKER, pid=7, received=101.0, timestamp=101.0)
RUNNING = replace(HELD, state=STARTED, started=102.0, timestamp=102.0)
PROGRESS = replace(RUNNING, state="PROGRESS", timestamp=103.0)
RETRIED = replace(RUNNING, state=RETRY, retried=104.0, timestamp=104.0)
SECOND = replace(HELD, earlier=(Attempt(0, WORKER, 7, 90.0, 91.0, 92.0, RETRY),), retries=1)
TASKS = [
    marked for task in (SENT, HELD, RUNNING, PROGRESS, RETRIED, SECOND) for marked in (task, replace(task, lost=LOST))
]

RESULT = StoredResult("a", SUCCESS, NOW, ended=150.0, result="'ok'")
HELD_BY = [
    None,
    *(
        HeldTask("a", host, name, NOW, started=102.0 if name == "active" else None)
        for host in (WORKER, OTHER)
        for name in get_args(WorkerList)
    ),
]
CONDITIONS = get_args(WorkerCondition)
POSITIONS = get_args(QueuePosition)
BACKENDS = get_args(BackendCondition)


def findings(**values: object) -> Findings:
    return Findings(**{"position_at": NOW, "queried": ("workers", "queue"), **values})  # type: ignore[arg-type]


def evidence(task: Task, **values: object) -> Evidence | None:
    verdict = decide(task, findings(**values), NOW)
    return verdict and verdict.evidence


@cache
def every_combination() -> list[tuple[Task, Findings]]:
    """Made by the first test that needs it, not when the tests are collected."""
    return [
        (task, findings(worker=worker, held=held, position=position, backend=backend, result=result,
                        unanswered=unanswered, may_be_unlisted=unlisted, has_expired=expired))
        for task, worker, held, position, backend, result, unanswered, unlisted, expired in product(
            TASKS, CONDITIONS, HELD_BY, POSITIONS, BACKENDS, (None, RESULT), ((), (OTHER,)), (False, True),
            (False, True),
        )
    ]  # fmt: skip


@cache
def every_verdict() -> list[tuple[Task, Findings, Verdict]]:
    verdicts = ((task, found, decide(task, found, NOW)) for task, found in every_combination())
    return [(task, found, verdict) for task, found, verdict in verdicts if verdict is not None]


def test_no_combination_gives_an_end_that_no_source_proves() -> None:
    for _, found, verdict in every_verdict():
        state = verdict.evidence.state
        if state in FINAL_STATES:
            assert (state == SUCCESS and found.result is not None) or (
                state == REVOKED and found.has_expired and found.position == "absent"
            )


def test_a_task_is_marked_only_if_no_source_has_it() -> None:
    for _, found, verdict in every_verdict():
        lost = verdict.evidence.lost
        if lost is None:
            assert verdict.evidence.state is not None
            continue
        assert verdict.evidence.state is None
        assert verdict.needs_confirmation
        assert found.held is None
        assert found.result is None
        assert found.position not in ("waiting", "unknown")
        assert (found.position == "unacknowledged") == (lost.reason == "message_unacknowledged")
        if found.position != "unacknowledged":
            assert found.backend != "failed"
        if lost.reason in ("not_in_queue", "end_not_observed"):
            assert not found.unanswered, "a worker that did not answer may have it"
        assert lost.queried == ("workers", "queue")
        assert lost.detail[0].isupper()


def test_a_verdict_always_changes_the_record() -> None:
    for task, _, verdict in every_verdict():
        found = verdict.evidence
        assert found.basis == (task.state, task.timestamp)
        if found.lost is not None:
            assert task.lost is None or task.lost.reason != found.lost.reason
        elif found.state in (PENDING, RETRY):
            assert task.lost is not None or task.state != found.state
        elif found.state not in FINAL_STATES and task.lost is None:
            assert (task.state, task.hostname) != (found.state, found.hostname)


def test_the_mark_is_removed_when_any_source_has_the_task() -> None:
    for task, found in every_combination():
        if task.lost is None or found.worker == "silent":
            continue
        if found.held is not None or found.result is not None or found.position == "waiting":
            verdict = decide(task, found, NOW)
            assert verdict is not None
            assert verdict.evidence.lost is None


@pytest.mark.parametrize("task", [SENT, HELD, RUNNING, RETRIED])
def test_a_task_that_ended_unobserved_gets_the_end_of_the_result_backend(task: Task) -> None:
    failure = StoredResult(
        "a", FAILURE, NOW, ended=150.0, exception="ValueError('no')", traceback="Traceback", hostname=WORKER
    )
    found = evidence(task, worker="answered", position="absent", backend="answered", result=failure)
    assert found is not None
    assert (found.source, found.state, found.ended) == ("result_backend", FAILURE, 150.0)
    assert (found.exception, found.traceback, found.hostname) == ("ValueError('no')", "Traceback", WORKER)


def test_a_running_task_is_started_at_its_worker() -> None:
    held = HeldTask("a", OTHER, "active", NOW, name="shop.mail", started=200.0)
    found = evidence(HELD, worker="gone", held=held)
    assert found is not None
    assert (found.source, found.state, found.hostname, found.started) == ("worker", STARTED, OTHER, 200.0)


def test_a_second_run_at_the_same_worker_is_a_new_start() -> None:
    again = HeldTask("a", WORKER, "active", NOW, started=200.0)
    found = evidence(RUNNING, worker="answered", held=again)
    assert found is not None
    assert found.started == 200.0
    same = HeldTask("a", WORKER, "active", NOW, started=102.4)
    assert evidence(RUNNING, worker="answered", held=same) is None
    assert evidence(PROGRESS, worker="answered", held=same) is None


def test_an_end_before_the_running_attempt_does_not_end_the_task() -> None:
    held = HeldTask("a", OTHER, "active", NOW, started=200.0)
    found = evidence(HELD, worker="gone", held=held, result=RESULT)
    assert found is not None
    assert found.state == STARTED


def test_a_prefetched_task_is_received_at_its_worker() -> None:
    for name in ("reserved", "scheduled"):
        held = HeldTask("a", OTHER, name, NOW)
        found = evidence(SENT, held=held)
        assert found is not None
        assert (found.state, found.hostname) == (RECEIVED, OTHER)
        assert evidence(HELD, worker="answered", held=HeldTask("a", WORKER, name, NOW)) is None


@pytest.mark.parametrize("worker", ["gone", "answered", "silent", "no_answer"])
def test_a_task_that_was_returned_to_its_queue_waits_there(worker: WorkerCondition) -> None:
    found = evidence(HELD, worker=worker, position="waiting")
    assert found is not None
    assert (found.source, found.state, found.hostname) == ("broker", PENDING, None)
    retried = evidence(SECOND, worker=worker, position="waiting")
    assert retried is not None
    assert retried.state == RETRY


def test_a_task_in_its_queue_is_in_order() -> None:
    assert evidence(SENT, position="waiting") is None
    assert evidence(RETRIED, position="waiting") is None


def test_an_unacknowledged_message_of_a_worker_that_is_gone_waits_for_its_redelivery() -> None:
    found = evidence(HELD, worker="gone", position="unacknowledged")
    assert found is not None
    assert (found.source, found.state, found.hostname) == ("broker", PENDING, None)


def test_an_unacknowledged_message_of_a_silent_worker_is_marked() -> None:
    for task in (HELD, RUNNING):
        found = evidence(task, worker="silent", position="unacknowledged")
        assert found is not None
        assert found.lost is not None
        assert found.lost.reason == "message_unacknowledged"


def test_a_task_that_waits_for_its_rate_limit_is_held_although_no_list_has_it() -> None:
    assert evidence(HELD, worker="answered", position="unacknowledged", may_be_unlisted=True) is None
    assert evidence(HELD, worker="answered", position="absent", may_be_unlisted=True) is None
    found = evidence(replace(HELD, lost=LOST), worker="answered", position="unacknowledged", may_be_unlisted=True)
    assert found is not None
    assert (found.state, found.hostname) == (RECEIVED, WORKER)


def test_a_message_that_a_living_worker_dropped_waits_for_its_redelivery() -> None:
    """The worker lost its connection; Redis holds the message until the visibility timeout."""
    verdict = decide(HELD, findings(worker="answered", position="unacknowledged"), NOW)
    assert verdict is not None
    assert (verdict.evidence.source, verdict.evidence.state) == ("broker", PENDING)
    assert verdict.needs_confirmation
    ambiguous = evidence(
        HELD, worker="answered", position="unacknowledged", may_be_unlisted=True, may_have_dropped=True
    )
    assert ambiguous is not None
    assert ambiguous.lost is not None
    assert ambiguous.lost.reason == "message_unacknowledged"


@pytest.mark.parametrize("worker", ["gone", "silent"])
def test_a_running_task_of_a_killed_worker_is_marked(worker: WorkerCondition) -> None:
    found = evidence(RUNNING, worker=worker, position="absent", backend="answered")
    assert found is not None
    assert found.lost is not None
    assert found.lost.reason == "worker_offline"
    unavailable = evidence(RUNNING, worker=worker, position="unavailable")
    assert unavailable is not None
    assert unavailable.lost is not None


def test_a_purged_task_is_marked() -> None:
    found = evidence(SENT, position="absent", backend="answered")
    assert found is not None
    assert found.lost is not None
    assert found.lost.reason == "not_in_queue"
    assert evidence(SENT, position="absent", backend="failed") is None
    without_backend = evidence(SENT, position="absent", backend="unreachable")
    assert without_backend is not None
    assert without_backend.lost is not None
    assert without_backend.lost.detail.endswith("no worker has it; the result backend could not be queried")
    assert evidence(SENT, position="absent", unanswered=(WORKER,)) is None
    assert evidence(SENT, position="incomplete") is None
    assert evidence(SENT, position="unavailable") is None


def test_an_expired_message_that_the_broker_dropped_is_revoked() -> None:
    verdict = decide(SENT, findings(position="absent", has_expired=True), NOW)
    assert verdict is not None
    assert (verdict.evidence.state, verdict.evidence.source) == (REVOKED, "broker")
    assert verdict.needs_confirmation
    assert evidence(SENT, position="unknown", has_expired=True) is None


def test_a_task_that_disappeared_before_its_expiry_stays_marked() -> None:
    gone = replace(SENT, lost=replace(LOST, reason="not_in_queue"))
    assert evidence(gone, position="absent", has_expired=True) is None


def test_an_end_that_was_missed_without_a_result_backend_is_marked() -> None:
    found = evidence(RUNNING, worker="answered", position="absent")
    assert found is not None
    assert found.lost is not None
    assert found.lost.reason == "end_not_observed"


def test_a_worker_that_is_alive_and_does_not_answer_leaves_the_task_undecided() -> None:
    for task in (HELD, RUNNING):
        assert evidence(task, worker="no_answer", position="absent") is None


def test_the_mark_keeps_its_time_when_its_reason_changes() -> None:
    marked = replace(HELD, lost=replace(LOST, reason="message_unacknowledged"))
    found = evidence(marked, worker="silent", position="absent")
    assert found is not None
    assert found.lost is not None
    assert (found.lost.reason, found.lost.since) == ("worker_offline", LOST.since)
