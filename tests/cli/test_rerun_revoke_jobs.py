"""`flower rerun`, `revoke` and `jobs` with a real broker and worker, including their entries in the audit log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flower.store.factory import open_ledger
from flower.store.ledger.audit import AuditFilter
from tests.helpers.paths import ROOT
from tests.helpers.product_client import ProductClient


def flower(client: ProductClient, *words: str, celery: bool = False) -> "subprocess.CompletedProcess[str]":
    program = ["-m", "celery", "-A", "tests.helpers.celery_app", "flower"] if celery else ["-m", "flower"]
    app = [] if celery else ["-A", "tests.helpers.celery_app"]
    return subprocess.run(
        [sys.executable, *program, *words, "--db", str(client.db), *app],
        env={**os.environ, **client.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=client.folder,
    )


@pytest.mark.parametrize("celery", [False, True])
def test_rerun(redis_client: ProductClient, celery: bool) -> None:
    origin = redis_client.sent("shop.tell", 1, kwargs={"a": 2})
    finished = flower(redis_client, "rerun", origin, celery=celery)
    assert finished.returncode == 0, finished.stderr
    new = finished.stdout.strip()
    assert redis_client.result(new)["origin"] == origin
    assert "Unknown for the original task: priority" in finished.stderr
    assert redis_client.look(f"tasks/{origin}/reruns")["reruns"][0]["task"] == new
    ledger = open_ledger(redis_client.db)
    entry = ledger.audit.entries(AuditFilter(target=new), limit=1)[0]
    ledger.close()
    assert (entry.action, entry.auth_method, entry.outcome, entry.targets) == (
        "task.rerun",
        "cli",
        "done",
        (origin, new),
    )


def test_rerun_with_other_arguments_and_dry_run(redis_client: ProductClient) -> None:
    origin = redis_client.sent("shop.tell", 1)
    dry = json.loads(flower(redis_client, "rerun", origin, "--dry-run").stdout)
    assert (dry["task"], dry["args"]) == (None, [1])
    finished = flower(
        redis_client, "rerun", origin, "--args", "[7]", "--kwargs", '{"b": 1}', "--priority", "3", "--json"
    )
    sent = json.loads(finished.stdout)
    result = redis_client.result(sent["task"])
    assert (result["args"], result["kwargs"], result["priority"]) == ([7], {"b": 1}, 3)
    for options, message in (
        (("--args", "{}"), "--args must be an array"),
        (("--args", "["), "--args is not valid JSON"),
    ):
        refused = flower(redis_client, "rerun", origin, *options)
        assert (refused.returncode, message in refused.stderr) == (2, True)
    unknown = flower(redis_client, "rerun", "missing")
    assert (unknown.returncode, "Unknown task 'missing'" in unknown.stderr) == (1, True)


def test_revoke_and_terminate(redis_client: ProductClient) -> None:
    running = redis_client.sent("shop.rest", 300, until="STARTED")
    finished = flower(redis_client, "terminate", running[:8], "--signal", "kill")
    assert finished.returncode == 0, finished.stderr
    assert f"{redis_client.cluster.worker.hostname}: terminate: {running}" in finished.stdout
    redis_client.wait_for_state(running, "REVOKED")
    again = flower(redis_client, "revoke", running)
    assert (again.returncode, "has already finished (REVOKED)" in again.stderr) == (3, True)
    former = flower(redis_client, "revoke", running, "--terminate", "--signal", "KILL")
    assert (former.returncode, "has already finished (REVOKED)" in former.stderr) == (3, True)


def test_abort(redis_client: ProductClient) -> None:
    aborting = redis_client.sent("shop.until_aborted", until="STARTED")
    assert flower(redis_client, "abort", aborting).returncode == 0
    assert redis_client.result(aborting) == "saw it"


def test_revoke_of_an_unknown_id_is_an_error_without_force(redis_client: ProductClient) -> None:
    unknown = flower(redis_client, "revoke", "nonsense")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "Error: Unknown task 'nonsense'" in unknown.stderr
    forced = flower(redis_client, "revoke", "nonsense", "--force", "--json")
    assert forced.returncode == 0, forced.stderr
    assert list(json.loads(forced.stdout)["replies"]) == [redis_client.cluster.worker.hostname]


def test_rerun_of_a_query(redis_client: ProductClient, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    ids = [redis_client.sent("shop.mark", str(path), number) for number in range(3)]
    query = [f"args:{tmp_path.name}", "state:SUCCESS"]
    plan = json.loads(flower(redis_client, "rerun", *query, "--dry-run").stdout)
    assert (plan["count"], plan["excluded"]) == (3, [])
    unconfirmed = flower(redis_client, "rerun", *query)
    assert (unconfirmed.returncode, "Re-run of 3 tasks requires a confirmation" in unconfirmed.stderr) == (2, True)
    assert flower(redis_client, "rerun", *query, "--expected", "4").returncode == 2
    finished = flower(redis_client, "rerun", *query, "--yes", "--json")
    assert finished.returncode == 0, finished.stderr
    job = json.loads(finished.stdout)[0]
    assert (job["state"], job["done"], job["total"]) == ("finished", 3, 3)
    listed = flower(redis_client, "jobs", "--ndjson").stdout.splitlines()
    assert json.loads(listed[0])["id"] == job["id"]
    assert flower(redis_client, "jobs", "list", "--ndjson").stdout.splitlines() == listed
    lines = flower(redis_client, "jobs", "show", job["id"], "--ndjson").stdout.splitlines()
    for line in lines:
        redis_client.wait_for_state(json.loads(line)["new_task"], "SUCCESS")
    assert len(path.read_text().splitlines()) == 6
    assert flower(redis_client, "jobs", "stop", "missing").returncode == 1
    listed_ids = flower(redis_client, "rerun", *(uuid[:8] for uuid in ids), "--json")  # ids require no confirmation
    assert json.loads(listed_ids.stdout)[0]["done"] == 3


def test_a_job_with_refused_tasks_has_exit_status_3(redis_client: ProductClient) -> None:
    ids = [redis_client.sent("shop.tell", number) for number in range(2)]
    finished = flower(redis_client, "abort", *ids, "--json")
    outcome = json.loads(finished.stdout)[0]
    assert outcome["skipped"] + outcome["refused"] == 2
    assert finished.returncode == (3 if outcome["refused"] else 0)


def test_no_job_is_created_without_the_broker(redis_client: ProductClient) -> None:
    origin = redis_client.sent("shop.tell", 1)
    query = ("rerun", f"uuid:={origin}", "--yes", "-b", "redis://127.0.0.1:1/0")
    before = flower(redis_client, "jobs", "list", "--exit-zero").stdout
    finished = flower(redis_client, *query)
    assert finished.returncode == 3
    assert "Broker: connection refused (redis://127.0.0.1:1/0)" in finished.stderr
    assert flower(redis_client, "jobs", "list", "--exit-zero").stdout == before


def test_a_job_that_has_ended_is_not_stopped(redis_client: ProductClient) -> None:
    origin = redis_client.sent("shop.tell", 1)
    assert flower(redis_client, "rerun", f"uuid:={origin}", "--yes").returncode == 0
    job = flower(redis_client, "jobs", "list", "-n", "1").stdout.split("\t")[0]
    finished = flower(redis_client, "jobs", "stop", job)
    assert (finished.returncode, "has already ended (finished)" in finished.stderr) == (3, True)


def test_a_dry_run_without_tasks_has_no_results(redis_client: ProductClient) -> None:
    assert flower(redis_client, "rerun", "name:nothing.like.this", "--dry-run").returncode == 1
