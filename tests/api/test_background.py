"""Periodic tasks of a web server that need no cluster."""

import asyncio
import time
from pathlib import Path

import pytest

from flower.api.background import PERIODIC_TASKS, prune_ledger, record_new_failures
from flower.api.context import Context
from flower.http.v1.openapi_examples import example_store
from flower.store.factory import open_ledger
from flower.store.ledger.audit import AuditFilter
from flower.store.ledger.jobs import Job, Lease
from flower.store.ledger.reruns import Rerun
from tests.helpers.web_server import no_application


@pytest.mark.parametrize(("max_age", "remaining"), [(0.0, 2), (3600.0, 2), (0.001, 0)])
def test_old_ledger_entries_are_pruned(tmp_path: Path, max_age: float, remaining: int) -> None:
    ledger = open_ledger(tmp_path)
    for action in ("task.revoke", "task.apply"):
        ledger.audit.add(action, user="ann", auth_method="basic")
    for name in ("finished", "running"):
        job = Job(id=name, action="abort", state="running", created_by="ann", created_at=time.time(), rate=1.0, total=1)
        ledger.jobs.create(job, [("a", None)], limit=5)
    lease = Lease("finished", "server", time.time() + 60)
    ledger.jobs.claim(lease.holder, now=time.time(), until=lease.expires_at, job_id="finished")
    assert ledger.jobs.finish(lease, now=time.time())
    ledger.reruns.add(Rerun(origin="a", task="b", created_at=time.time()))
    time.sleep(0.01)  # older than the shortest age
    asyncio.run(prune_ledger(Context(example_store(), no_application, ledger, audit_max_age=max_age)))
    assert len(ledger.audit.entries(AuditFilter(), limit=10)) == remaining
    # an unfinished job is kept, whatever its age
    assert {job.id for job in ledger.jobs.jobs(limit=5)} == ({"finished", "running"} if remaining else {"running"})
    assert len(ledger.jobs.items("finished")) == bool(remaining)
    assert (ledger.reruns.find_origin("b") is not None) == bool(remaining)
    ledger.close()


def test_first_failures_are_recorded(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    asyncio.run(record_new_failures(Context(example_store(), no_application, ledger)))
    seen = example_store().failures_seen()
    assert ledger.failure_notes.first_seen() == {failure: each.first for failure, each in seen.items()} != {}
    ledger.close()


def test_they_are_periodic_tasks() -> None:
    assert {prune_ledger, record_new_failures} <= {task.run for task in PERIODIC_TASKS}
