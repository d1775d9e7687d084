"""Bulk jobs with real workers: outcomes, limits, and at-most-once execution when a server dies."""

import csv
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clusters import Cluster
from tests.helpers.product_client import ProductClient
from tests.helpers.servers import wait_for


@pytest.fixture(params=["redis", "rabbitmq"])
def fast(request: pytest.FixtureRequest) -> Iterator[ProductClient]:
    """A server of its own with a high rate."""
    with ProductClient(request.getfixturevalue(f"{request.param}_cluster"), "--bulk-rate=400") as client:
        client.wait_until_capturing()
        yield client


SLOW = ("--bulk-rate=50", "--bulk-limit=300")


@pytest.fixture(scope="module")
def slow(redis_cluster: Cluster) -> Iterator[ProductClient]:
    with ProductClient(redis_cluster, *SLOW) as client:
        client.wait_until_capturing()
        yield client


def run_marking_tasks(client: ProductClient, path: Path, count: int, fails: bool = True) -> list[str]:
    """Run tasks once, which fail; each appends a line to the file."""
    app = client.cluster.app
    with app.pool.acquire(block=True) as connection, app.amqp.Producer(connection) as producer:
        ids = [
            str(app.send_task("shop.mark", args=[str(path), number, fails], producer=producer).id)
            for number in range(count)
        ]
    wait_for("all runs", lambda: len(runs(path)) == count, 120)
    wait_for(
        "all records", lambda: client.look("count", query=f"state:FAILURE args:{path.name}")["count"] == count, 120
    )
    return ids


def runs(path: Path) -> list[tuple[int, str]]:
    """The numbers that ran, each with the id of its task."""
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [(int(number), task) for number, task in lines]


def items(client: ProductClient, job_id: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in client.http.get(f"/api/v1/jobs/{job_id}/export").text.splitlines()]


def check_ran_twice(path: Path, job_items: list[dict[str, object]], count: int) -> None:
    """Each number ran once as the original, and at most once more, as the re-run that the job reports."""
    wait_for(
        "the re-runs", lambda: len(runs(path)) >= count + sum(item["outcome"] == "done" for item in job_items), 120
    )
    reruns = {str(item["new_task"]): item for item in job_items}
    seen = Counter(task for _, task in runs(path))
    assert max(seen.values()) == 1
    by_number = Counter(number for number, _ in runs(path))
    assert set(by_number) == set(range(count))
    assert max(by_number.values()) <= 2
    assert all(task in seen for task, item in reruns.items() if item["outcome"] == "done")


def test_rerun_many_tasks_while_the_server_is_killed(fast: ProductClient, tmp_path: Path) -> None:
    client, path = fast, tmp_path / f"m{uuid.uuid4().hex[:8]}"
    count = 600
    run_marking_tasks(client, path, count)
    query = f"state:FAILURE args:{path.name}"
    plan = client.post("jobs", {"action": "rerun", "query": query, "dry_run": True})["plan"]
    assert (plan["count"], plan["limit"], plan["states"], plan["excluded"]) == (count, 10_000, {"FAILURE": count}, [])
    assert (len(plan["sample"]), plan["min_duration"]) == (20, count / 400)
    job = client.post("jobs", {"action": "rerun", "query": query, "expected_count": count})["job"]
    assert (job["total"], job["outcomes"]) == (count, {"waiting": count})

    wait_for("partial progress", lambda: client.look(f"jobs/{job['id']}")["outcomes"].get("done", 0) > 20)
    client.kill()
    client.start()
    finished = client.wait_until_ended(job["id"])
    assert finished["state"] == "finished"
    assert finished["outcomes"].keys() <= {"done", "unknown"}
    assert sum(finished["outcomes"].values()) == count
    # at most one task was being sent
    assert finished["outcomes"].get("unknown", 0) <= 1
    job_items = items(client, job["id"])
    assert len(job_items) == count
    check_ran_twice(path, job_items, count)
    unknown = [item for item in job_items if item["outcome"] == "unknown"]
    assert all(
        "may have been executed" in str(item["message"]) or "may have been sent" in str(item["message"])
        for item in unknown
    )
    links = client.look(f"tasks/{job_items[0]['task']}/reruns")["reruns"]
    assert [(link["task"], link["job"]) for link in links] == [(job_items[0]["new_task"], job["id"])]


def test_another_server_continues_the_job(redis_cluster: Cluster, tmp_path: Path) -> None:
    path, count = tmp_path / f"m{uuid.uuid4().hex[:8]}", 250
    with (
        ProductClient(redis_cluster, *SLOW) as killed,
        ProductClient(redis_cluster, "--bulk-rate=50", db=killed.db, recorder=False) as other,
    ):
        killed.wait_until_capturing()
        run_marking_tasks(killed, path, count)
        job = killed.post("jobs", {"action": "rerun", "query": f"state:FAILURE args:{path.name}"})["job"]
        wait_for("partial progress", lambda: other.look(f"jobs/{job['id']}")["outcomes"].get("done", 0) > 50)
        killed.kill()
        finished = other.wait_until_ended(job["id"])
        job_items = items(other, job["id"])
        assert finished["outcomes"].get("done", 0) + finished["outcomes"].get("unknown", 0) == count
        assert finished["outcomes"].get("unknown", 0) <= 1
        check_ran_twice(path, job_items, count)


def test_stop_a_running_job(slow: ProductClient, tmp_path: Path) -> None:
    path, count = tmp_path / f"m{uuid.uuid4().hex[:8]}", 200
    run_marking_tasks(slow, path, count)
    job = slow.post("jobs", {"action": "rerun", "query": f"state:FAILURE args:{path.name}", "rate": 20})["job"]
    assert job["rate"] == 20
    wait_for("partial progress", lambda: slow.look(f"jobs/{job['id']}")["outcomes"].get("done", 0) > 5)
    assert slow.post(f"jobs/{job['id']}/stop")["stopping"] is True
    finished = slow.wait_until_ended(job["id"])
    assert finished["state"] == "stopped"
    assert finished["outcomes"].keys() == {"done", "not_run"}
    assert sum(finished["outcomes"].values()) == count
    check_ran_twice(path, items(slow, job["id"]), count)
    assert len(runs(path)) == count + finished["outcomes"]["done"]
    page = slow.look(f"jobs/{job['id']}/items", outcome="not_run", limit=10)
    assert len(page["items"]) == 10
    cursor = page["next_cursor"]
    following = slow.look(f"jobs/{job['id']}/items", outcome="not_run", limit=1, cursor=cursor)
    assert following["items"][0]["index"] == page["items"][-1]["index"] + 1
    assert slow.refused("jobs/missing/stop", status=404)["code"] == "not_found"


def test_outcomes_of_items(slow: ProductClient) -> None:
    good = slow.sent("shop.fail", until="FAILURE")
    truncated = slow.sent("shop.echo", "x" * 2_000)
    body = {"action": "rerun", "ids": [good, truncated, "missing", good]}
    plan = slow.post("jobs", {**body, "dry_run": True})["plan"]
    assert plan["count"] == 3
    assert plan["states"] == {"FAILURE": 1, "SUCCESS": 1, "NOT_RECORDED": 1}
    assert {(one["reason"], one["count"]) for one in plan["excluded"]} == {
        ("args incomplete: the text was truncated", 1),
        ("not recorded", 1),
    }
    job = slow.post("jobs", body)["job"]
    finished = slow.wait_until_ended(job["id"])
    assert finished["outcomes"] == {"done": 1, "refused": 2}
    rows = list(csv.DictReader(io.StringIO(slow.http.get(f"/api/v1/jobs/{job['id']}/export?format=csv").text)))
    assert [(row["task"], row["outcome"]) for row in rows] == [
        (good, "done"),
        (truncated, "refused"),
        ("missing", "refused"),
    ]
    assert "the text was truncated" in rows[1]["message"]
    slow.wait_for_state(rows[0]["new_task"], "FAILURE")
    assert slow.look("jobs", limit=1)["jobs"][0]["id"] == job["id"]


def test_jobs_that_are_not_created(slow: ProductClient, tmp_path: Path) -> None:
    path = tmp_path / f"m{uuid.uuid4().hex[:8]}"
    run_marking_tasks(slow, path, 301)
    query = f"args:{path.name}"
    assert slow.post("jobs", {"action": "rerun", "query": query, "dry_run": True})["plan"]["count"] == 301
    error = slow.refused("jobs", {"action": "rerun", "query": query})
    assert error["message"] == "Too many tasks: 301 (maximum 300)"
    assert "narrow the query" in error["hint"]
    assert slow.refused("jobs", {"action": "rerun", "query": "uuid:missing"}, 404)["message"] == "No tasks match"
    body = {"action": "rerun", "query": f"{query} state:SUCCESS", "expected_count": 2}
    assert slow.refused("jobs", body)["message"] == "The number of matching tasks changed from 2 to 0"
    assert "ids and query" in slow.refused("jobs", {"action": "rerun"})["message"]
    assert slow.refused("jobs", {"action": "explode", "query": ""})["code"] == "invalid_request"
    assert len(runs(path)) == 301


def test_revoke_many_tasks(redis_client: ProductClient) -> None:
    client = redis_client
    app, worker = client.cluster.app, client.cluster.worker
    waiting = [str(app.send_task("shop.add", args=[1, 2], countdown=600).id) for _ in range(120)]
    for task_id in waiting:
        client.wait_for_state(task_id, "RECEIVED")
    finished = client.sent("shop.add", 1, 2)
    plan = client.post("jobs", {"action": "revoke", "ids": [*waiting, finished], "dry_run": True})["plan"]
    assert [(one["reason"], one["count"]) for one in plan["excluded"]] == [("already finished (SUCCESS)", 1)]
    job = client.post("jobs", {"action": "revoke", "ids": [*waiting, finished]})["job"]
    assert client.wait_until_ended(job["id"])["outcomes"] == {"done": 120, "skipped": 1}
    assert set(waiting) <= set(worker.inspect("revoked"))


def test_terminate_and_abort_many_tasks(client: ProductClient) -> None:
    worker = client.cluster.worker
    resting = [client.sent("shop.rest", 300, until="STARTED") for _ in range(2)]
    job = client.post("jobs", {"action": "terminate", "ids": resting, "signal": "kill"})["job"]
    assert job["signal"] == "SIGKILL"
    assert client.wait_until_ended(job["id"])["outcomes"] == {"done": 2}
    for task_id in resting:
        client.wait_for_state(task_id, "REVOKED")
    assert all(worker.hostname in str(item["message"]) for item in items(client, job["id"]))
    aborting = [client.sent("shop.until_aborted", until="STARTED") for _ in range(2)]
    other = client.sent("shop.add", 1, 2, until="RECEIVED", countdown=20)
    job = client.post("jobs", {"action": "abort", "ids": [*aborting, other]})["job"]
    assert client.wait_until_ended(job["id"])["outcomes"] == {"done": 2, "refused": 1}
    assert [client.result(task_id) for task_id in aborting] == ["saw it", "saw it"]
    client.post(f"tasks/{other}/revoke")


def test_the_end_of_a_job_is_audited(redis_client: ProductClient) -> None:
    from flower.store.factory import open_ledger
    from flower.store.ledger.audit import AuditFilter

    origin = redis_client.sent("shop.add", 1, 2)
    job = redis_client.post("jobs", {"action": "rerun", "ids": [origin]})["job"]
    redis_client.wait_until_ended(job["id"])
    ledger = open_ledger(redis_client.db)
    wait_for(
        "the audit entry", lambda: bool(ledger.audit.entries(AuditFilter(action="job.end", target=job["id"]), limit=1))
    )
    end = ledger.audit.entries(AuditFilter(action="job.end", target=job["id"]), limit=1)[0]
    assert (end.message, end.parameters["outcomes"]) == ("finished: 1 done", {"done": 1})
    start = ledger.audit.entries(AuditFilter(action="job.create", target=job["id"]), limit=1)[0]
    assert start.outcome == "done"
    assert {job["id"], origin} <= set(start.targets)
    ledger.close()
