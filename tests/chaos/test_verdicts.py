"""The truth that is found from the ledgers, and the verdicts on what a monitor shows."""

from typing import Any

import pytest

from chaos.cluster import BrokerView
from chaos.http_view import ShownGap, ShownTask, View
from chaos.ledger import Ledger, TaskHistory
from chaos.truth import Observation, TaskTruth, find_truth
from chaos.verdicts import Verdict, judge, judge_task

WORKER = "w@chaos"
EMPTY_REDIS = BrokerView({}, {"main": frozenset()}, frozenset())
RABBITMQ = BrokerView({"main": 1}, None, None)


def sent(**values: Any) -> dict[str, Any]:
    return {"what": "sent", "name": "chaos.rest", "queue": "main", "eta": False, "expires": None, "pid": 1, **values}


def line(what: str, pid: int = 20, **values: Any) -> dict[str, Any]:
    return {"what": what, "host": WORKER, "pid": pid, **values}


def truth(
    *lines: dict[str, Any],
    pids: dict[str, frozenset[int]] | None = None,
    inspected: dict[str, frozenset[str]] | None = None,
    broker: BrokerView = EMPTY_REDIS,
    faults: list[dict[str, Any]] | None = None,
) -> TaskTruth:
    """The truth about task "t", whose lines are one second apart."""
    history = TaskHistory("t", [{"at": float(number), "id": "t", **one} for number, one in enumerate(lines, 1)])
    ledger = Ledger({"t": history}, faults or [])
    return find_truth(Observation(ledger, pids or {}, inspected or {}, broker))["t"]


ALIVE = {WORKER: frozenset({10, 20})}


def test_a_started_task_of_a_living_process_runs_there() -> None:
    found = truth(sent(), line("received", 10), line("start"), pids=ALIVE)
    assert found.correct == {("STARTED", WORKER)}


def test_a_started_task_of_a_dead_process_is_gone() -> None:
    found = truth(sent(), line("received", 10), line("start"), pids={WORKER: frozenset({10})})
    assert found.condition == "gone"
    assert not found.correct


def test_a_task_that_ended_and_runs_again_may_be_shown_in_both_states() -> None:
    lines = (sent(), line("start", 20), line("start", 21), line("end", 20, state="SUCCESS"))
    found = truth(*lines, pids={WORKER: frozenset({10, 20, 21})})
    assert found.correct == {("SUCCESS", None), ("STARTED", WORKER)}


def test_an_inspected_task_is_held() -> None:
    found = truth(sent(), line("received", 10), pids=ALIVE, inspected={WORKER: frozenset("t")})
    assert found.correct == {("RECEIVED", WORKER)}


def test_a_task_of_a_rate_limit_is_held_although_no_inspection_lists_it() -> None:
    found = truth(sent(name="chaos.limited"), line("received", 10), pids=ALIVE, inspected={WORKER: frozenset()})
    assert found.correct == {("RECEIVED", WORKER)}


def test_a_retried_task_waits_as_retry_or_pending() -> None:
    broker = BrokerView({"main": 1}, {"main": frozenset("t")}, frozenset())
    found = truth(sent(), line("start"), sent(), line("end", state="RETRY"), pids=ALIVE, broker=broker)
    assert found.correct == {("RETRY", None), ("PENDING", None)}


def test_an_unacknowledged_message_of_a_dead_worker_is_in_limbo() -> None:
    broker = BrokerView({"main": 0}, {"main": frozenset()}, frozenset("t"))
    assert truth(sent(), line("received", 10), broker=broker).condition == "limbo"


def test_a_purged_task_is_gone_at_rabbitmq() -> None:
    purged = {"what": "purged", "queue": "main", "at": 9.0, "pid": 1}
    assert truth(sent(), broker=RABBITMQ).condition == "waits"
    assert truth(sent(), broker=RABBITMQ, faults=[purged]).condition == "gone"


def test_an_expired_task_is_revoked_at_rabbitmq_and_waits_at_redis() -> None:
    expired = sent(expires="2020-01-01T00:00:00+00:00")
    waiting = BrokerView({"main": 1}, {"main": frozenset("t")}, frozenset())
    assert truth(expired, broker=RABBITMQ).correct == {("REVOKED", None)}
    assert truth(expired, broker=waiting).correct == {("PENDING", None)}


def test_a_task_acknowledged_late_waits_again_at_rabbitmq_when_its_worker_died() -> None:
    late = sent(name="chaos.rest_late")
    assert truth(late, line("received", 10), line("start"), broker=RABBITMQ).condition == "waits"


RUNS = TaskTruth("t", frozenset({("STARTED", WORKER)}), "runs")
GONE = TaskTruth("t", frozenset(), "gone")
ENDED = TaskTruth("t", frozenset({("SUCCESS", None)}), "ended", frozenset({"SUCCESS"}))


def shown(state: str, worker: str | None = WORKER, *, lost: bool = False) -> ShownTask:
    return ShownTask(state, worker, lost, None, None)


@pytest.mark.parametrize(
    ("task", "found", "verdict"),
    [
        (shown("STARTED"), RUNS, "right"),
        (shown("STARTED", None), RUNS, "right"),
        (shown("STARTED", "other@chaos"), RUNS, "stale"),
        (shown("RECEIVED"), RUNS, "stale"),
        (shown("SUCCESS"), RUNS, "false"),
        (shown("SUCCESS", "other@chaos"), ENDED, "right"),
        (shown("FAILURE"), ENDED, "false"),
        (shown("STARTED"), ENDED, "stale"),
        (shown("STARTED"), GONE, "stale"),
        (shown("STARTED", lost=True), GONE, "reported"),
        (shown("STARTED", lost=True), ENDED, "reported"),
        (None, ENDED, "absent"),
    ],
)
def test_verdict(task: ShownTask | None, found: TaskTruth, verdict: str) -> None:
    assert judge_task(task, found, excused=False) == verdict


def test_a_gap_excuses_only_an_absent_task_whose_life_it_touches() -> None:
    lines = [{"at": 10.0, **sent()}, {"at": 12.0, **line("end", state="SUCCESS")}]
    ledger = Ledger({"t": TaskHistory("t", lines)}, [])

    def counts(*gaps: ShownGap, task: ShownTask | None = None) -> dict[str, int]:
        view = View(tasks={"t": task} if task else {}, gaps=list(gaps))
        found = judge(view, {"t": ENDED}, {}, ledger, clock_offset=1000.0, stored_results=frozenset())
        return {name: number for name, number in found.counts.items() if number}

    touching = ShownGap(1011.0, None, "recorder_crashed", None)
    assert counts() == {"absent": 1}
    assert counts(touching) == {"reported": 1}
    assert counts(ShownGap(1013.0, None, "recorder_crashed", None)) == {"absent": 1}
    assert counts(ShownGap(1011.0, 1012.0, "worker_events_disabled", WORKER)) == {"reported": 1}
    assert counts(ShownGap(1011.0, 1012.0, "worker_events_disabled", "other@chaos")) == {"absent": 1}
    assert counts(touching, task=shown("RECEIVED")) == {"stale": 1}


def test_a_task_may_change_while_it_is_read() -> None:
    ledger = Ledger({"t": TaskHistory("t", [{"at": 10.0, **sent()}])}, [])
    view = View(tasks={"t": shown("STARTED")})
    found = judge(view, {"t": RUNS}, {"t": ENDED}, ledger, clock_offset=0.0, stored_results=frozenset("t"))
    assert found.counts["right"] == 1


def test_a_task_may_pass_a_state_while_it_is_read() -> None:
    lines = [{"at": 10.0, **sent()}, {"at": 12.0, "what": "received", "host": WORKER}]
    ledger = Ledger({"t": TaskHistory("t", lines)}, [])
    view = View(tasks={"t": shown("RECEIVED")})
    cases: tuple[tuple[float, Verdict], ...] = ((11.0, "right"), (13.0, "stale"))
    for read_since, verdict in cases:
        found = judge(
            view, {"t": RUNS}, {"t": ENDED}, ledger, clock_offset=0.0, stored_results=frozenset(), read_since=read_since
        )
        assert found.counts[verdict] == 1
