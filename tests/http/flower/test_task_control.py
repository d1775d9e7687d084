"""Flower's task control on a real cluster: responses, effects, all error messages and the order of the checks."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from flower.store.protocols import Reader
from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.servers import free_port, wait_for
from tests.helpers.web_server import WebServer

Post = Callable[..., httpx.Response]


@pytest.fixture
def steered(cluster: Cluster, store: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(store, lambda: cluster.app) as server:
        yield server


@pytest.fixture
def redis_steered(redis_cluster: Cluster, store: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(store, lambda: redis_cluster.app) as server:
        yield server


def result(live: WebServer, task_id: str, timeout: float = 20) -> dict[str, Any]:
    response = live.http.get(f"/api/task/result/{task_id}", params={"timeout": timeout})
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def test_apply(steered: WebServer) -> None:
    body = {"args": [1, 2], "timeout": 20, "priority": 3, "no_such_option": 1}
    response = steered.http.post("/api/task/apply/shop.add", json=body)
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    done = response.json()
    assert done == {"task-id": done["task-id"], "state": "SUCCESS", "result": 3}
    assert result(steered, done["task-id"]) == done


def test_apply_accepts_any_content_type_and_task_id(steered: WebServer) -> None:
    task_id = f"ours/{time.time()}"
    body = json.dumps({"args": ["<b>&amp;</b>"], "kwargs": {"ключ": "ä"}, "task_id": task_id, "timeout": 20})
    done = steered.http.post("/api/task/apply/shop.echo", content=body, headers={"Content-Type": "text/plain"}).json()
    assert done == {"task-id": task_id, "state": "SUCCESS", "result": [["<b>&amp;</b>"], {"ключ": "ä"}]}
    assert result(steered, task_id)["state"] == "SUCCESS"


def test_result_of_a_failed_task(steered: WebServer) -> None:
    response = steered.http.post("/api/task/apply/shop.fail", json={"timeout": 20})
    done = response.json()
    assert response.status_code == 200
    assert (done["state"], done["result"]) == ("FAILURE", "ValueError('card declined')")
    assert "raise ValueError" in done["traceback"]
    assert result(steered, done["task-id"]) == done


def test_result_of_a_slow_task(steered: WebServer) -> None:
    done = steered.http.post("/api/task/apply/shop.rest", json={"args": [2], "timeout": 0.3}).json()
    assert done.keys() == {"task-id", "state"}
    assert done["state"] in ("PENDING", "STARTED")


def test_result_of_a_sent_task(steered: WebServer) -> None:
    for action in ("async-apply", "send-task"):
        sent = steered.http.post(f"/api/task/{action}/shop.add", json={"args": [2, 2]}).json()
        assert sent == {"task-id": sent["task-id"], "state": "PENDING"}
        assert result(steered, sent["task-id"])["result"] == 4
    unknown = steered.http.post("/api/task/send-task/shop.nowhere", content=b"").json()
    assert unknown["state"] == "PENDING"
    assert steered.http.get("/api/task/result/nobody").json() == {"task-id": "nobody", "state": "PENDING"}


def test_dates_are_converted_for_send_task_too(redis_steered: WebServer) -> None:
    sent = redis_steered.http.post("/api/task/send-task/shop.add", json={"expires": "2020-01-01 00:00:00.0"}).json()
    assert result(redis_steered, sent["task-id"])["state"] == "REVOKED"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[1]", "invalid options"),
        (b'"text"', "invalid options"),
        (b'{"args": "text"}', "args must be an array"),
        (b'{"args": {}}', "args must be an array"),
        (b'{"kwargs": [1]}', "kwargs must be an object"),
        (b'{"args": [1, 2], "eta": "soon"}', "Invalid option"),
        (b'{"args": [1, 2], "countdown": "soon"}', "Invalid option"),
        (b'{"args": [1, 2], "expires": "soon"}', "Invalid option"),
        (b'{"args": [1, 2], "producer": "mine"}', "Invalid option"),
        (b'{"args": [1, 2], "timeout": "soon"}', "Invalid timeout"),
        (b'{"args": [1]}', "TypeError: add() missing 1 required positional argument: 'y'"),
    ],
)
def test_invalid_bodies(redis_steered: WebServer, body: bytes, text: str) -> None:
    for action in ("apply", "async-apply"):
        response = redis_steered.http.post(f"/api/task/{action}/shop.add", content=body)
        assert (response.status_code, response.text) == (400, text)
        assert response.headers["content-type"] == "text/plain; charset=UTF-8"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe{", b"[" * 100_000, b'{"a": 1} x', b"\x00"])
def test_invalid_json(redis_steered: WebServer, body: bytes) -> None:
    response = redis_steered.http.post("/api/task/send-task/shop.add", content=body)
    assert response.status_code == 400
    assert response.text


def test_expires_null(redis_steered: WebServer) -> None:
    body = {"args": [1, 2], "expires": None, "eta": None, "kwargs": None, "timeout": 20}
    assert redis_steered.http.post("/api/task/apply/shop.add", json=body).json()["result"] == 3


def test_unknown_tasks(redis_steered: WebServer) -> None:
    for action in ("apply", "async-apply"):
        response = redis_steered.http.post(f"/api/task/{action}/a%26b/c", json={})
        assert (response.status_code, response.text) == (404, "Unknown task 'a&b/c'")


@pytest.mark.parametrize("value", ["soon", "", "nan"])
def test_invalid_timeouts(redis_steered: WebServer, value: str) -> None:
    response = redis_steered.http.get("/api/task/result/x", params={"timeout": value})
    assert (response.status_code, response.text) == (400, f"Invalid argument '{value}' of type 'float'")


def test_revoke_ends_a_running_task(steered: WebServer, cluster: Cluster) -> None:
    sent = steered.http.post("/api/task/async-apply/shop.rest", json={"args": [60]}).json()["task-id"]
    assert cluster.worker.started(sent)
    response = steered.http.post(f"/api/task/revoke/{sent}", data={"terminate": "true"})
    assert response.json() == {"message": f"Revoked '{sent}'"}
    assert result(steered, sent)["state"] == "REVOKED"


def test_revoke_accepts_any_id_and_signal(redis_steered: WebServer) -> None:
    response = redis_steered.http.post("/api/task/revoke/no/body?terminate=1&signal=SIGNONSENSE")
    assert (response.status_code, response.json()) == (200, {"message": "Revoked 'no/body'"})
    response = redis_steered.http.post("/api/task/revoke/x", data={"terminate": "maybe"})
    assert (response.status_code, response.text) == (400, "Invalid argument 'maybe' of type 'bool'")
    assert (
        redis_steered.http.post("/api/task/apply/shop.add", json={"args": [1, 2], "timeout": 20}).json()["result"] == 3
    )


def test_abort(steered: WebServer, cluster: Cluster) -> None:
    sent = steered.http.post("/api/task/async-apply/shop.until_aborted", json={}).json()["task-id"]
    assert cluster.worker.started(sent)
    assert steered.http.post(f"/api/task/abort/{sent}").json() == {"message": f"Aborted '{sent}'"}
    wait_for("the task", lambda: result(steered, sent, 0).get("result") == "saw it")
    assert steered.http.post("/api/task/abort/never-was").json() == {"message": "Aborted 'never-was'"}


def test_limits(steered: WebServer, cluster: Cluster) -> None:
    where = {"workername": cluster.worker.hostname}
    reply = steered.http.post("/api/task/rate-limit/shop.limited", data={**where, "ratelimit": "300/h"})
    assert (reply.status_code, reply.json()) == (200, {"message": "new rate limit set successfully"})
    reply = steered.http.post("/api/task/timeout/shop.limited", params={**where, "soft": "5", "hard": "6.5"})
    assert (reply.status_code, reply.json()) == (200, {"message": "time limits set successfully"})
    inspect = cluster.app.control.inspect(destination=[cluster.worker.hostname], timeout=5)
    tasks = inspect.registered("rate_limit", "time_limit", "soft_time_limit")[cluster.worker.hostname]
    mine = next(task for task in tasks if task.startswith("shop.limited "))
    assert "rate_limit=300/h" in mine
    assert "time_limit=6.5" in mine


def test_limits_are_checked_in_order(redis_steered: WebServer, redis_cluster: Cluster) -> None:
    worker = redis_cluster.worker.hostname
    params: list[tuple[str, dict[str, str], int, str]] = [
        ("rate-limit/x", {}, 400, "Missing argument workername"),
        ("rate-limit/x", {"workername": " "}, 400, "Missing argument workername"),
        ("rate-limit/x", {"workername": "w"}, 400, "Missing argument ratelimit"),
        ("rate-limit/x", {"workername": "w", "ratelimit": "fast"}, 404, "Unknown task 'x'"),
        ("rate-limit/my_task", {"workername": "w", "ratelimit": "fast"}, 404, "Unknown worker 'w'"),
        (
            "rate-limit/my_task",
            {"workername": worker, "ratelimit": "fast"},
            403,
            "Failed to set rate limit: 'Invalid rate limit string: 'fast''",
        ),
        ("timeout/x", {}, 400, "Missing argument workername"),
        ("timeout/x", {"workername": "w", "soft": "x"}, 400, "Invalid argument 'x' of type 'float'"),
        ("timeout/x", {"workername": "w", "hard": ""}, 400, "Invalid argument '' of type 'float'"),
        ("timeout/x", {"workername": "w"}, 404, "Unknown task 'x'"),
        ("timeout/my_task", {"workername": "w"}, 404, "Unknown worker 'w'"),
        (
            "timeout/my_task",
            {"workername": worker, "soft": "-1"},
            403,
            "Failed to set timeouts: 'Invalid soft time limit'",
        ),
        ("timeout/celery.ping", {"workername": worker}, 404, "Unknown task 'celery.ping'"),
        # Known from its events, but it does not answer any more.
        (
            "timeout/my_task",
            {"workername": "celery@w1"},
            403,
            "Failed to set timeouts: 'Timeout: no reply from worker 'celery@w1' within 1 s'",
        ),
    ]
    for path, data, status, text in params:
        response = redis_steered.http.post(f"/api/task/{path}", data=data)
        assert (response.status_code, response.text) == (status, text)


def test_task_that_no_worker_has(redis_cluster: Cluster, store: Reader, opened: None) -> None:
    app = make(redis_cluster.app.conf.broker_url, None)
    app.task(name="shop.only_here", shared=False)(test_abort)
    with WebServer(store, lambda: app) as live:
        data = {"workername": redis_cluster.worker.hostname, "ratelimit": "1/s"}
        response = live.http.post("/api/task/rate-limit/shop.only_here", data=data)
        assert (response.status_code, response.text) == (403, "Failed to set rate limit: 'unknown task'")


def test_forms_of_both_kinds(redis_steered: WebServer) -> None:
    multipart = {"workername": (None, "w")}
    response = redis_steered.http.post("/api/task/timeout/my_task", files=multipart)
    assert response.text == "Unknown worker 'w'"
    for kind in ("multipart/form-data", "application/x-www-form-urlencoded; charset=klingon"):
        headers = {"Content-Type": kind}
        response = redis_steered.http.post("/api/task/timeout/x", content=b"workername=%ff", headers=headers)
        assert response.status_code in (400, 404)


def test_queues(steered: WebServer) -> None:
    queues = steered.http.get("/api/queues/length").json()["active_queues"]
    assert "celery" in [queue["name"] for queue in queues]
    assert all(isinstance(queue["messages"], int) for queue in queues)


def test_without_a_result_backend(redis_cluster: Cluster, store: Reader, opened: None) -> None:
    app = make(redis_cluster.app.conf.broker_url, None)
    with WebServer(store, lambda: app) as live:
        for response in (live.http.get("/api/task/result/x"), live.http.post("/api/task/abort/x")):
            assert (response.status_code, response.text) == (503, "")
        assert live.http.post("/api/task/async-apply/shop.add", json={"args": [1, 2]}).json().keys() == {"task-id"}
        applied = live.http.post("/api/task/apply/shop.add", json={"args": [1, 2]}).json()
        assert applied == {"task-id": applied["task-id"], "result": None}


def test_broker_unreachable(store: Reader, opened: None) -> None:
    app = make(f"amqp://127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}")
    params = [
        ("GET", "/api/task/result/x"),
        ("GET", "/api/queues/length"),
        ("POST", "/api/task/apply/shop.echo"),
        ("POST", "/api/task/async-apply/shop.echo"),
        ("POST", "/api/task/send-task/shop.echo"),
        ("POST", "/api/task/revoke/x"),
        ("POST", "/api/task/abort/x"),
    ]
    with WebServer(store, lambda: app) as live:
        for method, path in params:
            response = live.http.request(method, path)
            assert (response.status_code, response.text) == (503, "Broker or result backend unavailable"), path


def test_transports_without_queue_statistics(store: Reader, opened: None) -> None:
    with WebServer(store, lambda: make("memory://", None)) as live:
        response = live.http.get("/api/queues/length")
        assert (response.status_code, response.text) == (404, "'memory' broker is not supported")


def test_celery_is_imported_late(store: Reader) -> None:
    program = (
        "import sys\n"
        "import flower.web.application, flower.api.context, flower.store.memory as memory\n"
        "context = flower.api.context.Context(memory.MemoryReader(memory.MemoryStore()), lambda: None, None)\n"
        "flower.web.application.create_app(context)\n"
        "print({'celery', 'kombu', 'redis', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
