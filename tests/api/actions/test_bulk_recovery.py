"""Crash recovery of bulk jobs: the outcome of an item whose server died at any moment."""

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
def shorten_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_worker, "RECOVERY_TIMEOUT", 0.6)


def start_item(ledger: Ledger, action: JobAction, task: str) -> JobItem:
    """A job with one task in progress, whose holder is dead and whose lease has expired."""
    new_id = str(uuid.uuid4()) if action == "rerun" else None
    job = Job(
        id="j", action=action, state="running", created_by="", created_at=1.0, signal="SIGTERM", rate=100, total=0
    )
    ledger.jobs.create(job, [(task, new_id)], limit=1)
    assert ledger.jobs.claim("dead", now=1, until=2) is not None
    items = ledger.jobs.advance(Lease("j", "dead", 2), [], batch_size=1, now=1)
    assert items
    return items[0]


def finish_job(cluster: Cluster, store: Reader, ledger: Ledger) -> JobItem:
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
    assert job.state == "finished"
    return ledger.jobs.items("j")[0]


def make_task(state: str = "FAILURE") -> Task:
    return Task(uuid=str(uuid.uuid4()), name="shop.add", state=state, args="(1, 2)", kwargs="{}", queue="celery")


def link(ledger: Ledger, task: Task, item: JobItem, *, sent: bool = False) -> None:
    assert item.new_task is not None
    ledger.reruns.add(Rerun(origin=task.uuid, task=item.new_task, created_at=1.0, sent=sent, job="j"))


def test_died_before_sending(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = make_task()
    item = start_item(ledger, "rerun", task.uuid)
    assert finish_job(redis_cluster, memory([task]), ledger).outcome == "done"
    assert redis_cluster.app.AsyncResult(item.new_task).get(timeout=30) == 3


def test_died_after_sending(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = make_task()
    item = start_item(ledger, "rerun", task.uuid)
    link(ledger, task, item, sent=True)
    assert finish_job(redis_cluster, memory([task]), ledger).outcome == "done"
    assert redis_cluster.app.AsyncResult(item.new_task).state == "PENDING"  # not sent again


def test_died_while_sending_and_the_message_arrived(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = make_task()
    item = start_item(ledger, "rerun", task.uuid)
    link(ledger, task, item)
    redis_cluster.app.send_task("shop.add", args=[20, 22], task_id=item.new_task).get(timeout=30)
    assert finish_job(redis_cluster, memory([task]), ledger).outcome == "done"
    rerun = ledger.reruns.find_origin(str(item.new_task))
    assert rerun is not None
    assert rerun.sent


def test_died_while_sending_and_the_task_is_recorded(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = make_task()
    item = start_item(ledger, "rerun", task.uuid)
    link(ledger, task, item)
    store = memory([task, Task(uuid=str(item.new_task), name="shop.add")])
    assert finish_job(redis_cluster, store, ledger).outcome == "done"


def test_died_while_sending_and_the_outcome_is_unknown(redis_cluster: Cluster, ledger: Ledger) -> None:
    task = make_task()
    item = start_item(ledger, "rerun", task.uuid)
    link(ledger, task, item)
    result = finish_job(redis_cluster, memory([task]), ledger)
    assert result.outcome == "unknown"
    assert "may have been executed" in result.message
    assert redis_cluster.app.AsyncResult(item.new_task).state == "PENDING"


@pytest.mark.parametrize(("state", "outcome"), [("REVOKED", "done"), ("SUCCESS", "skipped"), ("STARTED", "unknown")])
def test_died_while_revoking(redis_cluster: Cluster, ledger: Ledger, state: str, outcome: str) -> None:
    task = make_task(state)
    start_item(ledger, "revoke", task.uuid)
    assert finish_job(redis_cluster, memory([task]), ledger).outcome == outcome


def test_a_job_with_a_valid_lease_is_not_claimed(ledger: Ledger) -> None:
    start_item(ledger, "revoke", "a")
    now = time.time()
    assert ledger.jobs.claim("other", now=now, until=now + 30) is not None
    assert claim_job(ledger, "me") is None
