"""A secret in task arguments appears neither on disk, nor in a response, nor in a log."""

from itertools import product as combinations
from pathlib import Path

import httpx
import pytest

from flower.redaction.shapes import Shape, load_shapes
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import BrokerServer, Redis, wait_for

SECRET = "hunter2-marker"
PATHS = [
    "/api/tasks", "/api/task/info/{id}", "/task/{id}", "/tasks", "/api/v1/tasks?columns=all", "/api/v1/tasks/{id}",
    "/api/v1/export?format=ndjson", "/api/v1/export?format=csv", "/api/v1/failures", "/api/v1/status", "/metrics",
    "/tasks/datatable?draw=1&start=0&length=-1&order[0][column]=0", "/api/v1/facets?facets=name", "/api/workers",
]  # fmt: skip


def files_with_secret(folder: Path) -> list[str]:
    """The files that contain the secret."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_secret_is_neither_stored_nor_shown(kind: str, request: pytest.FixtureRequest) -> None:
    broker: BrokerServer = request.getfixturevalue(f"{kind}_server")
    app = make(broker.url, "")
    app.conf.task_default_queue = "redaction"
    with Worker(app, node="redaction") as worker, Product(broker.url, "--redact-args=shop.add:1") as product:
        product.wait_until_capturing()
        sent = [
            app.send_task("shop.echo", ({"api_key": SECRET, "order": "ORD-17"},), {"password": SECRET, "n": 1}).id,
            app.send_task("shop.fail", (f"cannot reach amqp://ann:{SECRET}@host, token={SECRET}",)).id,
            app.send_task("shop.add", (1, SECRET)).id,  # fails without the argument in its message
        ]
        with app.connection() as connection:
            dispatcher = app.events.Dispatcher(connection, hostname=worker.hostname)
            dispatcher.send("task-progress", uuid=sent[0], step={"secret": [SECRET], "note": f"password: {SECRET}"})

        def has_finished() -> bool:
            states = product.states()
            return all(states.get(uuid) in ("SUCCESS", "FAILURE") for uuid in sent)

        wait_for("the tasks", has_finished)
        first = product.task(sent[0])
        assert first is not None
        assert first["args"] == "({'api_key': '***', 'order': 'ORD-17'},)"
        assert first["kwargs"] == "{'password': '***', 'n': 1}"
        assert product.task(sent[2])["args"] == "(1, '***')"  # type: ignore[index]
        for path in PATHS:
            answer = product.http.get(path.replace("{id}", sent[0]))
            assert answer.status_code == 200, (path, answer.status_code)
            assert SECRET not in answer.text, path
        assert SECRET not in product.http.get(f"/task/{sent[1]}").text
        found: httpx.Response = product.http.get("/api/tasks", params={"search": SECRET})
        assert found.json() == {}
        product.stop()
        assert files_with_secret(product.folder) == []
        assert product.db.is_dir()


def test_secret_is_found_without_redaction(redis_server: Redis) -> None:
    """The control of the other test: without redaction rules the same search finds the secret."""
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
        assert files_with_secret(product.db) != []


#: Fields of events with text of the application; `step` is a field of a custom event.
FIELDS = ("args", "kwargs", "result", "exception", "traceback", "step")
TYPES = {"result": "task-succeeded", "exception": "task-failed", "traceback": "task-failed", "step": "task-progress"}
#: A shorter secret may be part of an id or a time.
MIN_SECRET_LENGTH = 8


def test_no_shape_in_any_field_is_stored() -> None:
    shapes = [shape for shape in load_shapes() if len(shape.secret or "") >= MIN_SECRET_LENGTH]
    cases = {f"case-{number}": case for number, case in enumerate(combinations(shapes, FIELDS))}
    assert len(cases) > 600
    # a broker of its own: all tasks are counted
    with Redis() as server, Product(server.url) as product:
        app = make(server.url, "")
        product.wait_until_capturing()
        with app.connection() as connection:
            dispatcher = app.events.Dispatcher(connection, hostname="celery@shapes")
            for uuid, (shape, field) in cases.items():
                fields = {"name": "shop.echo", field: [shape.text] if field == "step" else shape.text}
                dispatcher.send("task-received", uuid=uuid, name="shop.echo")
                dispatcher.send(TYPES.get(field, "task-received"), uuid=uuid, **fields)
        wait_for("the events", lambda: product.get("/api/v1/count")["count"] == len(cases))
        exported = product.http.get("/api/v1/export?format=ndjson").text
        product.stop()
        assert len(exported.splitlines()) == len(cases)
        stored = exported.encode() + b"".join(path.read_bytes() for path in product.folder.rglob("*") if path.is_file())
        assert [name_of(case) for case in cases.values() if (case[0].secret or "").encode() in stored] == []


def name_of(case: tuple[Shape, str]) -> str:
    return f"{case[0].name} in {case[1]}"
