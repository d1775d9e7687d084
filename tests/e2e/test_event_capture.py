"""Event capture end to end: workers on both brokers; every task is recorded and served over HTTP."""

import signal
import uuid
from collections.abc import Iterator

import pytest

from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for


@pytest.fixture
def product(cluster: Cluster) -> Iterator[Product]:
    with Product(cluster.app.conf.broker_url) as product:
        product.wait_until_capturing()
        yield product


def send(cluster: Cluster) -> dict[str, str]:
    """Send one task of each kind. Returns the final state by task id."""
    tasks = cluster.app.tasks
    expected = {tasks["shop.add"].delay(number, 1).id: "SUCCESS" for number in range(20)}
    expected[tasks["shop.fail"].delay("card declined").id] = "FAILURE"
    expected[tasks["shop.again"].delay().id] = "SUCCESS"
    revoked = tasks["shop.add"].apply_async((1, 2), countdown=3600)
    wait_for("the worker to receive it", lambda: bool(cluster.worker.inspect("scheduled")))
    revoked.revoke()
    expected[revoked.id] = "REVOKED"
    return expected


def has_final_states(product: Product, expected: dict[str, str]) -> bool:
    states = product.states()
    return all(states.get(uuid) == state for uuid, state in expected.items() if state != "REVOKED")


def test_every_task_is_recorded_with_its_fields(product: Product, cluster: Cluster) -> None:
    expected = send(cluster)
    wait_for("all tasks", lambda: has_final_states(product, expected))
    failed = next(uuid for uuid, state in expected.items() if state == "FAILURE")
    task = product.task(failed)
    assert task is not None
    assert task["exception"] == "ValueError('card declined')"
    assert "card declined" in task["traceback"]
    assert task["args"] == "('card declined',)"
    assert task["worker"] == cluster.worker.hostname
    retried = product.get("/api/tasks", search="name:shop.again")
    (retried_task,) = retried.values()
    assert (retried_task["state"], retried_task["retries"], retried_task["children"], retried_task["parent_id"]) == (
        "SUCCESS",
        2,
        [],
        None,
    )
    assert set(product.get("/api/task/types")["task-types"]) >= {"shop.add", "shop.fail", "shop.again"}
    assert failed in [row["uuid"] for row in product.get("/api/v1/tasks")["tasks"]]
    assert product.get("/api/v1/status")["recorder"]["connected"] is True


def test_uuid_object_as_id_is_recorded_as_text(redis_cluster: Cluster) -> None:
    """C08. RabbitMQ does not accept such an id."""
    task_id = uuid.uuid4()
    with Product(redis_cluster.app.conf.broker_url) as product:
        product.wait_until_capturing()
        redis_cluster.app.tasks["shop.add"].apply_async((1, 2), task_id=task_id)
        wait_for("its end", lambda: product.states().get(str(task_id)) == "SUCCESS")
        task = product.task(str(task_id))
        assert task is not None
        assert task["root_id"] == str(task_id)


def test_kill_9_and_restart_lose_no_recorded_task(product: Product, cluster: Cluster) -> None:
    expected = send(cluster)
    wait_for("all tasks", lambda: has_final_states(product, expected))
    before = product.states()
    product.kill()
    sent_while_down = [cluster.app.tasks["shop.add"].delay(number, 2) for number in range(10)]
    wait_for("the tasks to run", lambda: all(result.ready() for result in sent_while_down))
    product.start()
    product.wait_until_capturing()
    assert before.items() <= product.states().items()
    ids = {result.id for result in sent_while_down}
    if cluster.app.conf.broker_url.startswith("amqp"):
        wait_for("events sent while it was down", lambda: ids <= product.states().keys())
        wait_for("their final states", lambda: all(product.states()[uuid] == "SUCCESS" for uuid in ids))
    else:
        # Redis does not store messages for absent subscribers: these tasks are found in the result backend.
        wait_for("tasks that ended in the gap", lambda: ids <= product.states().keys())
        assert {product.states()[uuid] for uuid in ids} == {"SUCCESS"}


def test_killed_recorder_is_restarted(product: Product, cluster: Cluster) -> None:
    recorder = product.recorder()
    assert recorder is not None
    recorder.send_signal(signal.SIGKILL)
    recorder.wait(60)
    assert product.http.get("/healthcheck").text == "OK"
    wait_for("another recorder", lambda: product.recorder() is not None)
    product.wait_until_capturing()
    result = cluster.app.tasks["shop.add"].delay(1, 1)
    wait_for("its task", lambda: product.states().get(result.id) == "SUCCESS")


def test_recorder_exits_with_its_parent(product: Product) -> None:
    recorder = product.recorder()
    assert recorder is not None
    assert product.process is not None
    product.process.kill()
    product.process.wait(60)
    recorder.wait(60)


def test_sigterm_stops_both_processes(product: Product, cluster: Cluster) -> None:
    recorder = product.recorder()
    result = cluster.app.tasks["shop.add"].delay(1, 1)
    wait_for("its task", lambda: product.states().get(result.id) == "SUCCESS")
    assert product.process is not None
    assert recorder is not None
    product.process.send_signal(signal.SIGTERM)
    assert product.process.wait(60) == 0
    assert not recorder.is_running()
