"""Tests of bulk jobs and re-runs in the ledger: every item is started at most once, also with several, dead or late
holders."""

from pathlib import Path

import apsw
import pytest

from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import ItemResult, Job, Lease
from flower.store.ledger.reruns import Rerun


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "store")


def made(ledger: Ledger, job_id: str = "j", count: int = 5) -> Job:
    job = Job(id=job_id, action="rerun", state="running", created_by="ann", created_at=1.0, rate=10, total=0)
    found = ledger.jobs.create(job, [(f"t{n}", f"n{n}") for n in range(count)], limit=count)
    assert found is not None
    return found


def lease(holder: str, until: float, job_id: str = "j") -> Lease:
    return Lease(job_id, holder, until)


def test_job_is_created_completely_or_not_at_all(ledger: Ledger) -> None:
    job = Job(
        id="j",
        action="revoke",
        state="running",
        created_by="ann",
        created_at=1.0,
        query="state:PENDING",
        rate=10,
        total=0,
    )
    assert ledger.jobs.create(job, [("a", None), ("b", None), ("c", None)], limit=2) is None
    assert ledger.jobs.jobs(limit=10) == []
    found = ledger.jobs.create(job, [("a", None), ("b\ud800", None), ("a", None)], limit=2)
    assert found is not None
    assert (found.total, found.outcomes, found.created_by, found.query) == (2, {"waiting": 2}, "ann", "state:PENDING")
    assert [item.task for item in ledger.jobs.items("j")] == ["a", "b\\ud800"]


def test_claim_does_not_create_the_ledger(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "nowhere")
    assert ledger.jobs.claim("me", now=1, until=2) is None
    assert ledger.jobs.lease_holders() == []
    assert not (tmp_path / "nowhere").exists()


def test_lease_has_one_holder(tmp_path: Path) -> None:
    one, two = open_ledger(tmp_path), open_ledger(tmp_path)
    made(one)
    assert one.jobs.claim("one", now=10, until=20) is not None
    assert two.jobs.claim("two", now=15, until=25) is None
    assert [item.task for item in one.jobs.advance(lease("one", 30), [], batch_size=2, now=18) or ()] == ["t0", "t1"]
    # renewed by `advance`, and expired later
    assert two.jobs.claim("two", now=25, until=35) is None
    assert two.jobs.claim("two", now=31, until=41) is not None
    assert [item.index for item in two.jobs.items("j", outcomes=["in_progress"])] == [0, 1]
    # a late holder stores its results, and starts nothing
    assert one.jobs.advance(lease("one", 50), [ItemResult(0, "done")], batch_size=1, now=32) is None
    assert [item.index for item in two.jobs.advance(lease("two", 50), [], batch_size=1, now=33) or ()] == [2]
    assert one.jobs.finish(lease("one", 50), now=34) is None
    found = one.jobs.job("j")
    assert found is not None
    assert found.outcomes == {"waiting": 2, "in_progress": 2, "done": 1}


def test_lease_of_a_dead_holder_is_taken(ledger: Ledger) -> None:
    made(ledger)
    ledger.jobs.claim("dead", now=10, until=1000)
    assert ledger.jobs.lease_holders() == ["dead"]
    assert ledger.jobs.claim("me", now=11, until=21, dead_holders=["other"]) is None
    assert ledger.jobs.claim("me", now=11, until=21, dead_holders=["dead"]) is not None


def test_known_outcome_does_not_change(ledger: Ledger) -> None:
    made(ledger)
    ledger.jobs.claim("me", now=1, until=9)
    ledger.jobs.advance(lease("me", 9), [], batch_size=3, now=1)
    ledger.jobs.advance(
        lease("me", 9), [ItemResult(0, "done"), ItemResult(1, "unknown", "look at it")], batch_size=0, now=2
    )
    ledger.jobs.advance(
        lease("me", 9), [ItemResult(0, "unknown"), ItemResult(1, "done"), ItemResult(4, "done")], batch_size=0, now=3
    )
    assert [item.outcome for item in ledger.jobs.items("j")] == ["done", "done", "in_progress", "waiting", "waiting"]


def test_stop_and_pages(ledger: Ledger) -> None:
    made(ledger)
    made(ledger, "k", 1)
    ledger.jobs.claim("me", now=1, until=9)
    ledger.jobs.advance(lease("me", 9), [], batch_size=1, now=1)
    stopping = ledger.jobs.request_stop("j")
    assert stopping is not None
    assert (stopping.state, stopping.stopping) == ("running", True)
    assert ledger.jobs.advance(lease("me", 9), [ItemResult(0, "done", "sent")], batch_size=1, now=2) is None
    ended = ledger.jobs.finish(lease("me", 9), now=3)
    assert ended is not None
    assert (ended.state, ended.finished_at, ended.outcomes) == ("stopped", 3, {"done": 1, "not_run": 4})
    assert ledger.jobs.request_stop("nobody") is None
    assert [job.id for job in ledger.jobs.jobs(limit=10)] == ["k", "j"]
    assert [job.id for job in ledger.jobs.jobs(limit=10, before="k")] == ["j"]
    assert [item.index for item in ledger.jobs.items("j", after=2, limit=1)] == [3]
    assert [item.message for item in ledger.jobs.items("j", outcomes=["done"])] == ["sent"]


def test_reruns_are_found_in_both_directions(ledger: Ledger) -> None:
    ledger.reruns.add(Rerun(origin="a", task="b", created_at=1.0, created_by="ann", priority=3))
    ledger.reruns.add(Rerun(origin="a", task="c", created_at=2.0, created_by="bob", edited=True, job="j"))
    ledger.reruns.add(Rerun(origin="a", task="d", created_at=3.0))
    ledger.reruns.mark_sent("c")
    ledger.reruns.delete("d")
    assert [(one.task, one.sent, one.edited, one.job) for one in ledger.reruns.list_reruns("a")] == [
        ("c", True, True, "j"),
        ("b", False, False, None),
    ]
    back = ledger.reruns.find_origin("b")
    assert back is not None
    assert (back.origin, back.created_by, back.priority) == ("a", "ann", 3)
    assert ledger.reruns.find_origin("a") is None


def test_stored_states_and_outcomes_do_not_change(ledger: Ledger, tmp_path: Path) -> None:
    """Ledgers of earlier versions have these values."""
    made(ledger)
    ledger.jobs.claim("me", now=1, until=9)
    ledger.jobs.advance(lease("me", 9), [], batch_size=2, now=1)
    ledger.jobs.finish(lease("me", 9), now=2)
    database = apsw.Connection(str(tmp_path / "store" / "ledger.db"))
    assert database.execute("SELECT state FROM job").fetchall() == [("aborted",)]
    assert {outcome for (outcome,) in database.execute("SELECT outcome FROM job_item")} == {"begun", "aborted"}
    database.execute("UPDATE job SET state = 'ended'")
    job = ledger.jobs.job("j")
    assert job is not None
    assert (job.state, job.outcomes) == ("finished", {"in_progress": 2, "not_run": 3})
