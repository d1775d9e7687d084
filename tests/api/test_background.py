"""What a web server does by itself, beside what needs a cluster."""

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
from tests.helpers.web_server import no_app


@pytest.mark.parametrize(("kept_for", "left"), [(0.0, 2), (3600.0, 2), (0.001, 0)])
def test_what_people_did_is_kept_in_bounds(tmp_path: Path, kept_for: float, left: int) -> None:
    ledger = open_ledger(tmp_path)
    for action in ("task.revoke", "task.apply"):
        ledger.audit.add(action, user="ann", auth_method="basic")
    for name in ("ended", "running"):
        job = Job(id=name, action="abort", state="running", created_by="ann", created_at=time.time(), rate=1.0, total=1)
        ledger.jobs.create(job, [("a", None)], limit=5)
    lease = Lease("ended", "server", time.time() + 60)
    ledger.jobs.claim(lease.holder, now=time.time(), until=lease.expires_at, job_id="ended")
    assert ledger.jobs.finish(lease, now=time.time())
    ledger.reruns.add(Rerun(origin="a", task="b", created_at=time.time()))
    time.sleep(0.01)  # older than the least of the ages
    asyncio.run(prune_ledger(Context(example_store(), no_app, ledger, audit_max_age=kept_for)))
    assert len(ledger.audit.entries(AuditFilter(), limit=10)) == left
    # one that is not done is not old, however long it takes
    assert {job.id for job in ledger.jobs.jobs(limit=5)} == ({"ended", "running"} if left else {"running"})
    assert len(ledger.jobs.items("ended")) == bool(left)
    assert (ledger.reruns.find_origin("b") is not None) == bool(left)
    ledger.close()


def test_when_failures_were_first_seen_is_remembered(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    asyncio.run(record_new_failures(Context(example_store(), no_app, ledger)))
    seen = example_store().failures_seen()
    assert ledger.failure_notes.first_seen() == {failure: known.first for failure, known in seen.items()} != {}
    ledger.close()


def test_each_is_one_of_the_duties() -> None:
    assert {prune_ledger, record_new_failures} <= {duty.run for duty in PERIODIC_TASKS}
