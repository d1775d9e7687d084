"""A secret that goes through the broker is nowhere: not on the disk, in no answer, in no line of a log."""

from pathlib import Path

import httpx
import pytest

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, Server, wait_for

SECRET = "hunter2-marker"
PATHS = [
    "/api/tasks", "/api/task/info/{id}", "/task/{id}", "/tasks", "/api/v1/tasks?columns=all", "/api/v1/tasks/{id}",
    "/api/v1/export?format=ndjson", "/api/v1/export?format=csv", "/api/v1/failures", "/api/v1/status", "/metrics",
    "/tasks/datatable?draw=1&start=0&length=-1&order[0][column]=0", "/api/v1/facets?facets=name", "/api/workers",
]  # fmt: skip

#: Routes that are being built; until they are there they hide nothing because they say nothing.
NOT_YET = frozenset({"/metrics", "/api/workers"})


def held(folder: Path) -> list[str]:
    """The files with the secret in them."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_secret_is_nowhere(kind: str, request: pytest.FixtureRequest) -> None:
    broker: Server = request.getfixturevalue(f"{kind}_server")
    app = make(broker.url, "")  # type: ignore[attr-defined]
    app.conf.task_default_queue = "redaction"
    with Worker(app, node="redaction") as worker, Product(broker.url, "--redact-args=shop.add:1") as product:  # type: ignore[attr-defined]
        product.wait_until_capturing()
        sent = [
            app.send_task("shop.echo", ({"api_key": SECRET, "order": "ORD-17"},), {"password": SECRET, "n": 1}).id,
            app.send_task("shop.fail", (f"cannot reach amqp://ann:{SECRET}@host, token={SECRET}",)).id,
            app.send_task("shop.add", (1, SECRET)).id,  # which fails, without naming it
        ]
        with app.connection() as connection:
            dispatcher = app.events.Dispatcher(connection, hostname=worker.hostname)
            dispatcher.send("task-progress", uuid=sent[0], step={"secret": [SECRET], "said": f"password: {SECRET}"})

        def seen() -> bool:
            states = product.states()
            return all(states.get(uuid) in ("SUCCESS", "FAILURE") for uuid in sent)

        wait_for("the tasks", seen)
        first = product.task(sent[0])
        assert first is not None
        assert first["args"] == "({'api_key': '***', 'order': 'ORD-17'},)"
        assert first["kwargs"] == "{'password': '***', 'n': 1}"
        assert product.task(sent[2])["args"] == "(1, '***')"  # type: ignore[index]
        for path in PATHS:
            answer = product.http.get(path.replace("{id}", sent[0]))
            assert answer.status_code == 200 or path in NOT_YET, (path, answer.status_code)
            assert SECRET not in answer.text, path
        assert SECRET not in product.http.get(f"/task/{sent[1]}").text
        found: httpx.Response = product.http.get("/api/tasks", params={"search": SECRET})
        assert found.json() == {}
        product.stop()
        assert held(product.folder) == []
        assert product.db.is_dir()


def test_the_test_would_find_it(redis_server: Redis) -> None:
    """The same search, with the rules turned off: else it would prove nothing."""
    app = make(redis_server.url, "")
    app.conf.task_default_queue = "unredacted"
    options = ("--redact=none", "--redact-patterns=none")
    with Worker(app, node="unredacted"), Product(redis_server.url, *options) as product:
        product.wait_until_capturing()
        sent = app.send_task("shop.echo", (), {"password": SECRET}).id
        wait_for("the task", lambda: product.states().get(sent) == "SUCCESS")
        assert SECRET in product.http.get("/api/tasks").text
        assert SECRET in product.http.get("/api/v1/tasks?columns=all").text
        product.stop()
        assert held(product.db) != []
