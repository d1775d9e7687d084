"""3.5 running tasks, 3.6 acting on one, 3.7 limits."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import Site
from tests.helpers.servers import wait_for

ROUTES = ["apply", "async-apply", "send-task"]


def test_apply_waits_for_the_result(site: Site) -> None:
    answer = site.post("/api/task/apply/shop.add", {"args": [2, 3]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    found = answer.json()
    assert found == {"task-id": found["task-id"], "state": "SUCCESS", "result": 5}
    assert site.post("/api/task/apply/shop.echo", {"kwargs": {"a": 1}}).json()["result"] == [[], {"a": 1}]


def test_a_task_that_fails_is_an_answer(site: Site) -> None:
    answer = site.post("/api/task/apply/shop.fail")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["state"], found["result"]) == ("FAILURE", "ValueError('card declined')")
    assert "Traceback" in found["traceback"]


def test_apply_with_a_timeout(site: Site) -> None:
    found = site.post("/api/task/apply/shop.rest", {"args": [4], "timeout": 0.5}).json()
    assert found.keys() == {"task-id", "state"}
    assert found["state"] in ("PENDING", "STARTED")


@pytest.mark.parametrize("route", ["async-apply", "send-task"])
def test_sending(site: Site, redis_cluster: Cluster, route: str) -> None:
    mine = str(uuid.uuid4())
    answer = site.post(f"/api/task/{route}/shop.add", {"args": [2, 3], "task_id": mine, "nonsense": 1})
    assert answer.status_code == 200
    assert answer.json().keys() == {"task-id", "state"}
    assert answer.json()["task-id"] == mine
    assert redis_cluster.app.AsyncResult(mine).get(timeout=30) == 5


@pytest.mark.parametrize("route", ["apply", "async-apply"])
def test_a_task_that_nobody_registered(site: Site, route: str) -> None:
    answer = site.post(f"/api/task/{route}/shop.nobody")
    assert (answer.status_code, answer.text) == (404, "Unknown task 'shop.nobody'")


def test_send_task_takes_any_name(site: Site) -> None:
    assert site.post("/api/task/send-task/shop.nobody", {"queue": "nobody"}).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("body", ["{", "[1]", '{"args": 1}'])
def test_bodies_that_are_refused(site: Site, route: str, body: str) -> None:
    answer = site.http.post(f"/api/task/{route}/shop.add", content=body)
    assert answer.status_code == 400
    if body == "[1]":
        assert answer.text == "invalid options"
    elif body != "{":
        assert answer.text == "args must be an array"


@pytest.mark.parametrize(
    "options", [{"countdown": "soon"}, {"eta": "tomorrow"}, {"expires": "never"}, {"timeout": "long"}]
)
def test_options_that_are_refused(site: Site, options: dict[str, Any]) -> None:
    answer = site.post("/api/task/apply/shop.add", {"args": [1, 1], **options})
    assert (answer.status_code, answer.text) == (400, "Invalid timeout" if "timeout" in options else "Invalid option")


def test_a_date_and_a_countdown(site: Site, redis_cluster: Cluster) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    for options in ({"eta": later}, {"countdown": 3600, "expires": 7200}):
        sent = site.post("/api/task/async-apply/shop.add", {"args": [1, 1], **options}).json()["task-id"]
        assert site.wait_for_task(sent, state="RECEIVED")["eta"] is not None
        redis_cluster.app.control.revoke(sent)


def test_no_body_and_any_content_type(site: Site) -> None:
    assert site.http.post("/api/task/apply/shop.echo").json()["result"] == [[], {}]
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = site.http.post("/api/task/apply/shop.add", content=b'{"args": [1, 1]}', headers=form)
    assert answer.json()["result"] == 2


def test_what_was_a_server_error(site: Site) -> None:
    for body in ({"args": [1, 1], "kwargs": 5}, {"args": [1]}):
        answer = site.post("/api/task/async-apply/shop.add", body)
        assert answer.status_code == (500 if site.is_flower else 400)


def test_revoke(site: Site, redis_cluster: Cluster) -> None:
    mine = str(uuid.uuid4())
    answer = site.post(f"/api/task/revoke/{mine}")
    assert (answer.status_code, answer.json()) == (200, {"message": f"Revoked '{mine}'"})
    wait_for("the revocation", lambda: mine in (redis_cluster.worker.inspect("revoked") or ()))


def test_terminate(site: Site, redis_cluster: Cluster) -> None:
    sent = redis_cluster.app.send_task("shop.rest", (60,)).id
    assert redis_cluster.worker.started(sent)
    answer = site.http.post(f"/api/task/revoke/{sent}", data={"terminate": "true", "signal": "SIGKILL"})
    assert answer.json() == {"message": f"Revoked '{sent}'"}
    site.wait_for_task(sent, state="REVOKED")


def test_revoke_checks_its_words(site: Site) -> None:
    answer = site.post("/api/task/revoke/x", terminate="perhaps")
    assert (answer.status_code, answer.text) == (400, "Invalid argument 'perhaps' of type 'bool'")


def test_abort(site: Site, redis_cluster: Cluster) -> None:
    sent = redis_cluster.app.send_task("shop.until_aborted").id
    assert redis_cluster.worker.started(sent)
    answer = site.post(f"/api/task/abort/{sent}")
    assert (answer.status_code, answer.json()) == (200, {"message": f"Aborted '{sent}'"})
    assert site.wait_for_task(sent, state="SUCCESS")["result"] == "'saw it'"


def test_limits(site: Site, redis_cluster: Cluster) -> None:
    worker = redis_cluster.worker.hostname
    if site.is_flower:  # which knows only the workers that it has inspected
        wait_for("the inspection", lambda: worker in site.json("/api/workers", refresh="true"))
    answer = site.post("/api/task/rate-limit/shop.limited", workername=worker, ratelimit="7/m")
    assert (answer.status_code, answer.json()) == (200, {"message": "new rate limit set successfully"})
    answer = site.post("/api/task/timeout/shop.limited", workername=worker, soft="3.5", hard="9")
    assert (answer.status_code, answer.json()) == (200, {"message": "time limits set successfully"})


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("rate-limit/shop.limited", {}, (400, "Missing argument workername")),
        ("rate-limit/shop.limited", {"workername": "x"}, (400, "Missing argument ratelimit")),
        ("timeout/shop.limited", {}, (400, "Missing argument workername")),
        ("timeout/shop.limited", {"workername": "x", "soft": "y"}, (400, "Invalid argument 'y' of type 'float'")),
        ("timeout/nobody", {"workername": "x"}, (404, "Unknown task 'nobody'")),
        ("rate-limit/nobody", {"workername": "x", "ratelimit": "1/s"}, (404, "Unknown task 'nobody'")),
        ("timeout/shop.limited", {"workername": "x"}, (404, "Unknown worker 'x'")),
    ],
)
def test_limits_that_are_refused(site: Site, path: str, parameters: dict[str, str], expected: tuple[int, str]) -> None:
    answer = site.post(f"/api/task/{path}", **parameters)
    assert (answer.status_code, answer.text) == expected


def test_queue_lengths(site: Site, redis_cluster: Cluster) -> None:
    for _ in range(3):
        redis_cluster.app.send_task("shop.add", (1, 1), queue="nobody")
    found = {queue["name"]: queue for queue in site.json("/api/queues/length")["active_queues"]}
    assert found["celery"]["messages"] >= 0


def test_the_same_on_rabbitmq(rabbit_site: Site) -> None:
    assert rabbit_site.post("/api/task/apply/shop.add", {"args": [2, 3]}).json()["result"] == 5
    sent = rabbit_site.post("/api/task/async-apply/shop.rest", {"args": [0]}).json()["task-id"]
    rabbit_site.wait_for_task(sent, state="SUCCESS")
