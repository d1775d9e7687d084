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
    assert flower(redis_client, "rerun", "missing").returncode == 1


def test_revoke(redis_client: ProductClient) -> None:
    running = redis_client.sent("shop.rest", 300, until="STARTED")
    finished = flower(redis_client, "revoke", running, "--terminate", "--signal", "kill")
    assert finished.returncode == 0, finished.stderr
    assert f"{redis_client.cluster.worker.hostname}: terminate: {running}" in finished.stdout
    redis_client.wait_for_state(running, "REVOKED")
    again = flower(redis_client, "revoke", running)
    assert (again.returncode, "has already finished (REVOKED)" in again.stderr) == (3, True)
    aborting = redis_client.sent("shop.until_aborted", until="STARTED")
    assert flower(redis_client, "revoke", aborting, "--abort").returncode == 0
    assert redis_client.result(aborting) == "saw it"


def test_jobs(redis_client: ProductClient, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    for number in range(3):
        redis_client.sent("shop.mark", str(path), number)
    query = [f"args:{tmp_path.name}", "state:SUCCESS"]
    plan = json.loads(flower(redis_client, "jobs", "--start", "rerun", *query, "--dry-run").stdout)
    assert (plan["count"], plan["excluded"]) == (3, [])
    assert flower(redis_client, "jobs", "--start", "rerun").returncode == 2  # every task: requires confirmation
    finished = flower(redis_client, "jobs", "--start", "rerun", *query, "--expected", "3", "--json")
    assert finished.returncode == 0, finished.stderr
    job = json.loads(finished.stdout)[0]
    assert (job["state"], job["done"], job["total"]) == ("finished", 3, 3)
    listed = flower(redis_client, "jobs", "--ndjson").stdout.splitlines()
    assert json.loads(listed[0])["id"] == job["id"]
    lines = flower(redis_client, "jobs", "--show", job["id"], "--ndjson").stdout.splitlines()
    for line in lines:
        redis_client.wait_for_state(json.loads(line)["new_task"], "SUCCESS")
    assert len(path.read_text().splitlines()) == 6
    assert flower(redis_client, "jobs", "--stop", "missing").returncode == 1
    for words in (query, ["--expected", "3"]):
        ignored = flower(redis_client, "jobs", *words)
        assert (ignored.returncode, "require --start" in ignored.stderr) == (2, True)
