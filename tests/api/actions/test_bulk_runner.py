"""Bulk jobs on live workers: what they do, what they leave, and that nothing is done twice, whoever dies."""

import csv
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clusters import Cluster
from tests.helpers.product_client import Desk
from tests.helpers.servers import wait_for


@pytest.fixture(params=["redis", "rabbitmq"])
def fast(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A server of its own, which works off many tasks a second."""
    with Desk(request.getfixturevalue(f"{request.param}_cluster"), "--bulk-rate=400") as desk:
        desk.wait_until_capturing()
        yield desk


@pytest.fixture
def slow(redis_cluster: Cluster) -> Iterator[Desk]:
    with Desk(redis_cluster, "--bulk-rate=50", "--bulk-limit=300") as desk:
        desk.wait_until_capturing()
        yield desk


def marked(desk: Desk, path: Path, count: int, fails: bool = True) -> list[str]:
    """Tasks that ran once, and failed; each has left its line."""
    app = desk.cluster.app
    with app.pool.acquire(block=True) as connection, app.amqp.Producer(connection) as producer:
        ids = [
            str(app.send_task("shop.mark", args=[str(path), number, fails], producer=producer).id)
            for number in range(count)
        ]
    wait_for("all runs", lambda: len(runs(path)) == count, 120)
    wait_for("all records", lambda: desk.look("count", query=f"state:FAILURE args:{path.name}")["count"] == count)
    return ids


def runs(path: Path) -> list[tuple[int, str]]:
    """Which numbers ran, and as which task."""
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [(int(number), task) for number, task in lines]


def items(desk: Desk, job_id: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in desk.http.get(f"/api/v1/jobs/{job_id}/export").text.splitlines()]


def check_ran_twice(path: Path, found: list[dict[str, object]], count: int) -> None:
    """Each number ran once as the origin, and at most once again, as the task that the job says."""
    wait_for("the re-runs", lambda: len(runs(path)) >= count + sum(item["outcome"] == "done" for item in found), 120)
    again = {str(item["new_task"]): item for item in found}
    seen = Counter(task for _, task in runs(path))
    assert max(seen.values()) == 1
    by_number = Counter(number for number, _ in runs(path))
    assert set(by_number) == set(range(count))
    assert max(by_number.values()) <= 2
    assert all(task in seen for task, item in again.items() if item["outcome"] == "done")


def test_many_tasks_and_a_server_that_is_killed(fast: Desk, tmp_path: Path) -> None:
    desk, path = fast, tmp_path / f"m{uuid.uuid4().hex[:8]}"
    count = 2_000 if desk.cluster.app.conf.broker_url.startswith("redis") else 600
    marked(desk, path, count)
    query = f"state:FAILURE args:{path.name}"
    plan = desk.post("jobs", {"action": "rerun", "query": query, "dry_run": True})["plan"]
    assert (plan["count"], plan["limit"], plan["states"], plan["refused"]) == (count, 10_000, {"FAILURE": count}, [])
    assert (len(plan["sample"]), plan["seconds"]) == (20, count / 400)
    job = desk.post("jobs", {"action": "rerun", "query": query, "expected": count})["job"]
    assert (job["total"], job["outcomes"]) == (count, {"waiting": count})

    wait_for("a part of it", lambda: desk.look(f"jobs/{job['id']}")["outcomes"].get("done", 0) > 200)
    desk.kill()
    desk.start()
    ended = desk.wait_until_ended(job["id"])
    assert ended["state"] == "ended"
    assert ended["outcomes"].keys() <= {"done", "unknown"}
    assert sum(ended["outcomes"].values()) == count
    # one task at most was being sent, and its fate is known if it was
    assert ended["outcomes"].get("unknown", 0) <= 1
    found = items(desk, job["id"])
    assert len(found) == count
    check_ran_twice(path, found, count)
    unknown = [item for item in found if item["outcome"] == "unknown"]
    assert all("look at it" in str(item["message"]) for item in unknown)
    links = desk.look(f"tasks/{found[0]['task']}/reruns")["again"]
    assert [(link["task"], link["job"]) for link in links] == [(found[0]["new_task"], job["id"])]


def test_two_servers_and_the_death_of_one(slow: Desk, tmp_path: Path) -> None:
    path, count = tmp_path / f"m{uuid.uuid4().hex[:8]}", 250
    marked(slow, path, count)
    with Desk(slow.cluster, "--bulk-rate=50", db=slow.db, recorder=False) as other:
        job = slow.post("jobs", {"action": "rerun", "query": f"state:FAILURE args:{path.name}"})["job"]
        wait_for("a part of it", lambda: other.look(f"jobs/{job['id']}")["outcomes"].get("done", 0) > 50)
        slow.kill()
        ended = other.wait_until_ended(job["id"])
        found = items(other, job["id"])
        assert ended["outcomes"].get("done", 0) + ended["outcomes"].get("unknown", 0) == count
        assert ended["outcomes"].get("unknown", 0) <= 1
        check_ran_twice(path, found, count)


def test_abort_in_the_middle(slow: Desk, tmp_path: Path) -> None:
    path, count = tmp_path / f"m{uuid.uuid4().hex[:8]}", 200
    marked(slow, path, count)
    job = slow.post("jobs", {"action": "rerun", "query": f"state:FAILURE args:{path.name}", "rate": 20})["job"]
    assert job["rate"] == 20
    wait_for("a part of it", lambda: slow.look(f"jobs/{job['id']}")["outcomes"].get("done", 0) > 5)
    assert slow.post(f"jobs/{job['id']}/abort")["aborting"] is True
    ended = slow.wait_until_ended(job["id"])
    assert ended["state"] == "aborted"
    assert ended["outcomes"].keys() == {"done", "aborted"}
    assert sum(ended["outcomes"].values()) == count
    check_ran_twice(path, items(slow, job["id"]), count)
    assert len(runs(path)) == count + ended["outcomes"]["done"]
    page = slow.look(f"jobs/{job['id']}/tasks", outcome="aborted", limit=10)
    assert len(page["items"]) == 10
    after = slow.look(f"jobs/{job['id']}/tasks", outcome="aborted", limit=1, after=page["next"])
    assert after["items"][0]["place"] == page["next"] + 1
    assert slow.refused("jobs/nobody/abort", status=404)["code"] == "not_found"


def test_every_task_has_its_outcome(slow: Desk) -> None:
    good = slow.sent("shop.fail", until="FAILURE")
    cut = slow.sent("shop.echo", "x" * 2_000)
    asked = {"action": "rerun", "ids": [good, cut, "nobody", good]}
    plan = slow.post("jobs", {**asked, "dry_run": True})["plan"]
    assert plan["count"] == 3
    assert plan["states"] == {"FAILURE": 1, "SUCCESS": 1, "not on record": 1}
    assert {(one["reason"], one["count"]) for one in plan["refused"]} == {
        ("its args are not known in full: the text was cut", 1),
        ("it is not on record", 1),
    }
    job = slow.post("jobs", asked)["job"]
    ended = slow.wait_until_ended(job["id"])
    assert ended["outcomes"] == {"done": 1, "refused": 2}
    rows = list(csv.DictReader(io.StringIO(slow.http.get(f"/api/v1/jobs/{job['id']}/export?format=csv").text)))
    assert [(row["task"], row["outcome"]) for row in rows] == [
        (good, "done"),
        (cut, "refused"),
        ("nobody", "refused"),
    ]
    assert "the text was cut" in rows[1]["message"]
    slow.wait_for_state(rows[0]["new_task"], "FAILURE")
    assert slow.look("jobs", limit=1)["jobs"][0]["id"] == job["id"]


def test_too_many_none_and_others_than_expected(slow: Desk, tmp_path: Path) -> None:
    path = tmp_path / f"m{uuid.uuid4().hex[:8]}"
    marked(slow, path, 301)
    query = f"args:{path.name}"
    assert slow.post("jobs", {"action": "rerun", "query": query, "dry_run": True})["plan"]["count"] == 301
    error = slow.refused("jobs", {"action": "rerun", "query": query})
    assert error["message"] == "301 tasks match, and one job takes at most 300"
    assert "narrow the query" in error["hint"]
    assert slow.refused("jobs", {"action": "rerun", "query": "uuid:nobody"}, 404)["message"] == "No task matches"
    body = {"action": "rerun", "query": f"{query} state:SUCCESS", "expected": 2}
    assert slow.refused("jobs", body)["message"] == "0 tasks match now, not 2"
    assert "ids or a query" in slow.refused("jobs", {"action": "rerun"})["message"]
    assert slow.refused("jobs", {"action": "explode", "query": ""})["code"] == "invalid"
    assert len(runs(path)) == 301


def test_revoke_many(redis_desk: Desk) -> None:
    desk = redis_desk
    app, worker = desk.cluster.app, desk.cluster.worker
    waiting = [str(app.send_task("shop.add", args=[1, 2], countdown=600).id) for _ in range(120)]
    for task_id in waiting:
        desk.wait_for_state(task_id, "RECEIVED")
    ended = desk.sent("shop.add", 1, 2)
    plan = desk.post("jobs", {"action": "revoke", "ids": [*waiting, ended], "dry_run": True})["plan"]
    assert [(one["reason"], one["count"]) for one in plan["refused"]] == [("it has ended: SUCCESS", 1)]
    job = desk.post("jobs", {"action": "revoke", "ids": [*waiting, ended]})["job"]
    assert desk.wait_until_ended(job["id"])["outcomes"] == {"done": 120, "skipped": 1}
    assert set(waiting) <= set(worker.inspect("revoked"))


def test_terminate_and_abort_many(desk: Desk) -> None:
    worker = desk.cluster.worker
    resting = [desk.sent("shop.rest", 300, until="STARTED") for _ in range(2)]
    job = desk.post("jobs", {"action": "terminate", "ids": resting, "signal": "kill"})["job"]
    assert job["signal"] == "SIGKILL"
    assert desk.wait_until_ended(job["id"])["outcomes"] == {"done": 2}
    for task_id in resting:
        desk.wait_for_state(task_id, "REVOKED")
    assert all(worker.hostname in str(item["message"]) for item in items(desk, job["id"]))
    aborting = [desk.sent("shop.until_aborted", until="STARTED") for _ in range(2)]
    other = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=20)
    job = desk.post("jobs", {"action": "abort", "ids": [*aborting, other]})["job"]
    assert desk.wait_until_ended(job["id"])["outcomes"] == {"done": 2, "refused": 1}
    assert [desk.result(task_id) for task_id in aborting] == ["saw it", "saw it"]
    desk.post(f"tasks/{other}/revoke")


def test_its_end_is_in_the_audit_log(redis_desk: Desk) -> None:
    from flower.store.factory import open_ledger
    from flower.store.ledger.audit import AuditFilter

    origin = redis_desk.sent("shop.add", 1, 2)
    job = redis_desk.post("jobs", {"action": "rerun", "ids": [origin]})["job"]
    redis_desk.wait_until_ended(job["id"])
    ledger = open_ledger(redis_desk.db)
    wait_for("the note", lambda: bool(ledger.audit.entries(AuditFilter(action="job.end", target=job["id"]), limit=1)))
    end = ledger.audit.entries(AuditFilter(action="job.end", target=job["id"]), limit=1)[0]
    assert (end.message, end.parameters["outcomes"]) == ("ended: 1 done", {"done": 1})
    start = ledger.audit.entries(AuditFilter(action="job.start", target=job["id"]), limit=1)[0]
    assert start.outcome == "done"
    assert {job["id"], origin} <= set(start.targets)
    ledger.close()
