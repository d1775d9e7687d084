"""3.3 lists of tasks, 3.4 results, 3.8 the task object."""

import time
import uuid
from typing import Any

import pytest

from tests.flower_e2e.conftest import Ran
from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import Site

KEYS = {
    "uuid", "name", "state", "sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected",
    "timestamp", "args", "kwargs", "result", "exception", "traceback", "runtime", "retries", "eta", "expires", "worker",
    "client", "exchange", "routing_key", "root_id", "parent_id", "root", "parent", "children", "clock",
}  # fmt: skip


def listed(site: Site, **parameters: Any) -> list[str]:
    return list(site.json("/api/tasks", **parameters))


def test_all_tasks_by_id(site: Site, ran: Ran) -> None:
    found = site.json("/api/tasks")
    assert {ran.added, ran.failed, ran.retried} <= found.keys()
    assert found[ran.added] == site.task(ran.added)
    assert all(task["uuid"] == key for key, task in found.items())


def test_the_task_object(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    task = site.task(ran.added)
    assert task.keys() == KEYS
    assert (task["name"], task["state"], task["result"], task["retries"]) == ("shop.add", "SUCCESS", "42", 0)
    assert (task["args"], task["kwargs"]) == ("(19, 23)", "{}")
    assert task["worker"] == redis_cluster.worker.hostname
    # the task-sent event may arrive last
    assert task["received"] <= task["started"] <= task["succeeded"] <= task["timestamp"]
    assert task["runtime"] > 0
    assert abs(task["sent"] - task["received"]) < 30
    assert task["root_id"] == task["root"] == ran.added
    assert (task["parent_id"], task["parent"], task["children"], task["exception"]) == (None, None, [], None)
    assert (task["exchange"], task["routing_key"]) == ("", "celery")
    assert isinstance(task["client"], str)
    assert isinstance(task["clock"], int)


def test_a_failure(site: Site, ran: Ran) -> None:
    task = site.task(ran.failed)
    assert (task["state"], task["exception"]) == ("FAILURE", "ValueError('card declined')")
    assert task["traceback"].startswith("Traceback (most recent call last)")
    assert (task["result"], task["runtime"], task["succeeded"]) == (None, None, None)
    assert task["kwargs"] == "{'message': 'card declined'}"


def test_a_retried_task(site: Site, ran: Ran) -> None:
    task = site.task(ran.retried)
    assert (task["retries"], task["result"]) == (2, "2")
    assert task["exception"] == "None"  # of the last retry, which had no cause
    if not site.is_flower:  # which leaves some in RETRY, and makes them their own children
        assert (task["state"], task["children"], task["parent_id"]) == ("SUCCESS", [], None)


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, None), (1, 1), (2, 2), (0, 0), (-1, 0)]
)  # fmt: skip
def test_limit(site: Site, ran: Ran, limit: int | None, expected: int | None) -> None:
    found = listed(site, **({} if limit is None else {"limit": limit}))
    assert len(found) == expected if expected is not None else len(found) >= 4


def test_offset(site: Site, ran: Ran) -> None:
    everything = listed(site, sort_by="received")
    assert listed(site, sort_by="received", offset=1, limit=2) == everything[1:3]
    assert listed(site, sort_by="received", offset=-3) == everything


def test_orders(site: Site, ran: Ran) -> None:
    def values(sort_by: str, field: str) -> list[Any]:
        return [task[field] for task in site.json("/api/tasks", sort_by=sort_by).values()]

    assert (names := values("name", "name")) == sorted(names, key=lambda name: name or "")
    assert (names := values("-name", "name")) == sorted(names, key=lambda name: name or "", reverse=True)
    assert (times := values("received", "received")) == sorted(times, key=lambda time: time or 0)
    assert (times := values("-received", "received")) == sorted(times, key=lambda time: time or 0, reverse=True)
    assert values("--received", "received") == values("-received", "received")
    stamps = [task["timestamp"] for task in site.json("/api/tasks").values()]
    assert stamps == sorted(stamps, reverse=True)


def test_an_order_that_there_is_not(site: Site) -> None:
    answer = site.http.get("/api/tasks", params={"sort_by": "runtime"})
    assert answer.status_code == 400
    assert answer.text == "Invalid sort_by 'runtime', expected one of name, received, started, state"
    assert site.http.get("/api/tasks", params={"sort_by": ""}).status_code == (500 if site.is_flower else 200)


def test_missing_values_come_first_ascending_and_last_descending(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    waiting = redis_cluster.app.send_task("shop.add", (1, 1), queue="nobody").id
    site.wait_for_task(waiting, state="PENDING")
    assert (
        listed(site, sort_by="started")[0] == waiting
        or site.task(listed(site, sort_by="started")[0])["started"] is None
    )
    assert site.task(listed(site, sort_by="-started")[-1])["started"] is None


def test_filters(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    def same(**parameters: Any) -> bool:
        found = listed(site, **parameters)
        return ran.failed in found and ran.added not in found

    assert same(state="FAILURE")
    assert same(state="failure")
    assert same(taskname="shop.fail")
    assert same(taskname="SHOP.FAIL")
    assert ran.failed in listed(site, workername=redis_cluster.worker.hostname.upper(), state="All", taskname="All")
    assert listed(site, workername="nobody") == []
    assert listed(site, taskname="shop.fail", state="SUCCESS") == []
    assert ran.added in listed(site, nonsense="x")


def test_received_between(site: Site, ran: Ran) -> None:
    def stamp(seconds: float) -> str:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + seconds))

    assert ran.added in listed(site, received_start=stamp(-3600), received_end=stamp(3600))
    assert ran.added not in listed(site, received_start=stamp(3600))
    assert ran.added not in listed(site, received_end=stamp(-3600))
    answer = site.http.get("/api/tasks", params={"received_start": "yesterday"})
    assert answer.status_code == 400
    assert answer.text == "Invalid received_start or received_end, expected format 'YYYY-MM-DD HH:MM'"


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_numbers_that_are_none(site: Site, name: str) -> None:
    for value in ("x", ""):
        answer = site.http.get("/api/tasks", params={name: value})
        assert (answer.status_code, answer.text) == (400, f"Invalid argument '{value}' of type 'int'")


def test_task_types(site: Site, ran: Ran) -> None:
    found = site.json("/api/task/types")["task-types"]
    assert {"shop.add", "shop.fail"} <= set(found)
    assert found == sorted(found)


def test_an_unknown_task(site: Site) -> None:
    answer = site.http.get("/api/task/info/nobody")
    assert (answer.status_code, answer.text) == (404, "Unknown task 'nobody'")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"


def test_results(site: Site, ran: Ran) -> None:
    assert site.json(f"/api/task/result/{ran.added}") == {"task-id": ran.added, "state": "SUCCESS", "result": 42}
    failed = site.json(f"/api/task/result/{ran.failed}")
    assert (failed["state"], failed["result"]) == ("FAILURE", "ValueError('card declined')")
    assert failed["traceback"].startswith("Traceback")
    unknown = str(uuid.uuid4())
    assert site.json(f"/api/task/result/{unknown}") == {"task-id": unknown, "state": "PENDING"}


def test_waiting_for_a_result(site: Site, redis_cluster: Cluster) -> None:
    sent = redis_cluster.app.send_task("shop.rest", (0.5,)).id
    found = site.json(f"/api/task/result/{sent}", timeout=20)
    assert found["result"] == "rested"
    if not site.is_flower:  # Flower returns the previous state
        assert found["state"] == "SUCCESS"
    answer = site.http.get(f"/api/task/result/{sent}", params={"timeout": "soon"})
    assert (answer.status_code, answer.text) == (400, "Invalid argument 'soon' of type 'float'")


def test_a_result_that_is_no_json(site: Site, redis_cluster: Cluster) -> None:
    sent = redis_cluster.app.send_task("shop.thing").id
    found = site.json(f"/api/task/result/{sent}", timeout=20)
    assert found["state"] in ("FAILURE", "PENDING", "STARTED")
    assert isinstance(found["result"], str)


def test_the_same_on_rabbitmq(rabbit_site: Site, rabbitmq_cluster: Cluster) -> None:
    sent = rabbitmq_cluster.app.send_task("shop.add", (4, 5)).id
    task = rabbit_site.wait_for_task(sent, state="SUCCESS")
    assert (task["result"], task["worker"]) == ("9", rabbitmq_cluster.worker.hostname)
    assert rabbit_site.json(f"/api/task/result/{sent}", timeout=20)["result"] == 9
