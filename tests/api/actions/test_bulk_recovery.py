"""What a job makes of tasks that were begun by a server that died at any moment."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flower.api.actions import bulk_worker
from flower.api.actions.bulk_runner import claim_job, run_jobs
from flower.records import Task
from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Job, JobAction, JobItem, Lease
from flower.store.ledger.reruns import Rerun
from flower.store.protocols import Reader
from tests.helpers.api_v1 import memory
from tests.helpers.clusters import Cluster


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_worker, "RECOVERY_TIMEOUT", 0.6)


def begun(ledger: Ledger, action: JobAction, task: str) -> JobItem:
    """A job of one task, left in the middle by a holder whose lease is over."""
    new = str(uuid.uuid4()) if action == "rerun" else None
    job = Job(
        id="j", action=action, state="running", created_by="", created_at=1.0, signal="SIGTERM", rate=100, total=0
    )
    ledger.jobs.create(job, [(task, new)], limit=1)
    assert ledger.jobs.claim("dead", now=1, until=2) is not None
    items = ledger.jobs.advance(Lease("j", "dead", 2), [], batch_size=1, now=1)
    assert items
    return items[0]


def became(cluster: Cluster, store: Reader, ledger: Ledger) -> JobItem:
    async def run() -> None:
        stop = asyncio.Event()
        runner = asyncio.create_task(run_jobs(store, lambda: cluster.app, ledger, stop))
        deadline = time.monotonic() + 30
        while (job := ledger.jobs.job("j")) and job.state == "running" and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        stop.set()
        await runner

    asyncio.run(run())
    job = ledger.jobs.job("j")
    assert job is not None
    assert job.state == "ended"
    return ledger.jobs.items("j")[0]


def origin(state: str = "FAILURE") -> Task:
    return Task(uuid=str(uuid.uuid4()), name="shop.add", state=state, args="(1, 2)", kwargs="{}", queue="celery")


def note(ledger: Ledger, task: Task, item: JobItem, *, sent: bool = False) -> None:
    assert item.new_task is not None
    ledger.reruns.add(Rerun(origin=task.uuid, task=item.new_task, created_at=1.0, sent=sent, job="j"))


def test_died_before_anything_was_sent(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = origin()
    item = begun(ledger, "rerun", task.uuid)
    assert became(redis_cluster, memory([task]), ledger).outcome == "done"
    assert redis_cluster.app.AsyncResult(item.new_task).get(timeout=30) == 3


def test_died_after_the_broker_had_it(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = origin()
    item = begun(ledger, "rerun", task.uuid)
    note(ledger, task, item, sent=True)
    assert became(redis_cluster, memory([task]), ledger).outcome == "done"
    assert redis_cluster.app.AsyncResult(item.new_task).state == "PENDING"  # we sent nothing


def test_died_while_it_was_sent_and_it_arrived(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = origin()
    item = begun(ledger, "rerun", task.uuid)
    note(ledger, task, item)
    redis_cluster.app.send_task("shop.add", args=[20, 22], task_id=item.new_task).get(timeout=30)
    assert became(redis_cluster, memory([task]), ledger).outcome == "done"
    found = ledger.reruns.find_origin(str(item.new_task))
    assert found is not None
    assert found.sent


def test_died_while_it_was_sent_and_the_records_have_it(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = origin()
    item = begun(ledger, "rerun", task.uuid)
    note(ledger, task, item)
    store = memory([task, Task(uuid=str(item.new_task), name="shop.add")])
    assert became(redis_cluster, store, ledger).outcome == "done"


def test_died_while_it_was_sent_and_nobody_knows(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = origin()
    item = begun(ledger, "rerun", task.uuid)
    note(ledger, task, item)
    found = became(redis_cluster, memory([task]), ledger)
    assert found.outcome == "unknown"
    assert "look at it" in found.message
    assert redis_cluster.app.AsyncResult(item.new_task).state == "PENDING"


@pytest.mark.parametrize(("state", "outcome"), [("REVOKED", "done"), ("SUCCESS", "skipped"), ("STARTED", "unknown")])
def test_died_while_it_was_revoked(redis_cluster: Cluster, ledger: Ledger, state: str, outcome: str) -> None:
    task = origin(state)
    begun(ledger, "revoke", task.uuid)
    assert became(redis_cluster, memory([task]), ledger).outcome == outcome


def test_a_job_whose_holder_lives_is_not_taken(ledger: Ledger) -> None:
    begun(ledger, "revoke", "a")
    now = time.time()
    assert ledger.jobs.claim("alive", now=now, until=now + 30) is not None
    assert claim_job(ledger, "me") is None
