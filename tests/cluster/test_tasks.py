"""Run, follow and stop tasks of a real worker, on both brokers; every effect is verified on the worker."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flower.cluster import results
from flower.cluster.tasks import (
    get_task_result,
    task_abort,
    task_apply,
    task_async_apply,
    task_revoke,
    task_send_task,
)
from flower.errors import DeadlineExceeded, InvalidRequest, NoResultBackend, NoSuchTask, NotRegistered, TaskFailed
from flower.records import Task
from tests.helpers.celery_app import add, make
from tests.helpers.clusters import Cluster
from tests.helpers.servers import wait_for


def running(cluster: Cluster, task_id: str) -> bool:
    return any(task["id"] == task_id for task in cluster.worker.inspect("active") or ())


def test_apply(cluster: Cluster) -> None:
    done = asyncio.run(task_apply("shop.add", [1, 2], app=cluster.app, timeout=20))
    assert done == {"task-id": done["task-id"], "state": "SUCCESS", "result": 3, "traceback": None, "success": True}


def test_apply_with_retries_and_keywords(cluster: Cluster) -> None:
    async def both() -> tuple[Any, Any]:
        again = await task_apply("shop.again", app=cluster.app, timeout=20)
        return again, await task_apply("shop.echo", (1,), {"timeout": 30}, app=cluster.app, timeout=20, priority=5)

    again, echoed = asyncio.run(both())
    assert again["result"] == 2
    assert echoed["result"] == [[1], {"timeout": 30}]


def test_failing_task(cluster: Cluster) -> None:
    with pytest.raises(TaskFailed) as caught:
        asyncio.run(task_apply("shop.fail", ["no money"], app=cluster.app, timeout=20))
    assert caught.value.exception == "ValueError('no money')"
    assert "raise ValueError(message)" in (caught.value.traceback or "")
    assert "no money" in str(caught.value)


def test_task_slower_than_the_timeout(cluster: Cluster) -> None:
    started_at = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(task_apply("shop.rest", [10], app=cluster.app, timeout=0.2))
    assert "timeout" in str(caught.value).lower()
    assert isinstance(caught.value, TimeoutError)
    assert time.monotonic() - started_at < 8


def test_unregistered_task(cluster: Cluster) -> None:
    with pytest.raises(NotRegistered) as caught:
        asyncio.run(task_apply("shop.nothing", app=cluster.app))
    assert "not registered" in str(caught.value).lower()
    assert isinstance(caught.value, LookupError)


def test_task_registered_only_in_the_sender(cluster: Cluster) -> None:
    """The exception of the worker is translated into a message."""
    app = make(cluster.app.conf.broker_url, cluster.app.conf.result_backend)
    app.task(name="shop.only_here", shared=False)(add)
    with pytest.raises(TaskFailed) as caught:
        asyncio.run(task_apply("shop.only_here", [1, 2], app=app, timeout=20))
    assert "not registered" in str(caught.value).lower()


@pytest.mark.parametrize("given", [{"args": [1]}, {"args": [object(), 2]}, {"args": [1, 2], "serializer": "none"}])
def test_invalid_arguments_and_options(cluster: Cluster, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        asyncio.run(task_async_apply("shop.add", app=cluster.app, **given))


def test_connection_is_usable_after_a_rejected_message(cluster: Cluster) -> None:
    with pytest.raises(InvalidRequest):
        asyncio.run(task_send_task("shop.add", [1, 2], app=cluster.app, priority=object()))
    assert asyncio.run(task_apply("shop.add", [1, 2], app=cluster.app, timeout=20))["success"]


def test_send_and_fetch(cluster: Cluster) -> None:
    async def both() -> tuple[Any, Any, Any, Any]:
        applied = await task_async_apply("shop.add", [2, 3], app=cluster.app)
        sent = await task_send_task("shop.fail", app=cluster.app)
        first = await get_task_result(applied["task-id"], 20, app=cluster.app)
        return applied, first, sent, await get_task_result(sent["task-id"], 20, app=cluster.app)

    applied, added, sent, failed = asyncio.run(both())
    assert applied == {"task-id": added["task-id"], "state": "PENDING"}
    assert (added["result"], added["success"]) == (5, True)
    assert failed["task-id"] == sent["task-id"]
    assert (failed["state"], failed["result"], failed["success"]) == ("FAILURE", "ValueError('card declined')", False)
    assert "ValueError: card declined" in (failed["traceback"] or "")


def test_no_subscription_remains_for_unfetched_results(redis_cluster: Cluster) -> None:
    app = redis_cluster.app

    async def many() -> list[str]:
        return [(await task_async_apply("shop.add", [1, 2], app=app))["task-id"] for _ in range(20)]

    sent = asyncio.run(many())
    with app.connection_for_read() as connection:
        channels = connection.default_channel.client.execute_command("PUBSUB", "CHANNELS", "*celery-task-meta*")
    assert not {name.decode() for name in channels} & {f"celery-task-meta-{task_id}" for task_id in sent}


def test_countdown_eta_and_expires(redis_cluster: Cluster) -> None:
    app = redis_cluster.app

    async def three() -> tuple[Any, Any, Any]:
        soon = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
        started_at = time.monotonic()
        later = await task_apply("shop.add", [1, 1], app=app, countdown=0.4, timeout=20)
        took = time.monotonic() - started_at
        at = await task_apply("shop.add", [1, 1], app=app, eta=soon, timeout=20)
        dead = await task_send_task("shop.add", [1, 1], app=app, expires="2020-01-01 00:00:00.0")
        assert took >= 0.4
        return later, at, await get_task_result(dead["task-id"], 20, app=app)

    later, at, dead = asyncio.run(three())
    assert (later["result"], at["result"], dead["state"]) == (2, 2, "REVOKED")


def test_results_that_are_not_there(redis_cluster: Cluster) -> None:
    app = redis_cluster.app
    with pytest.raises(NoSuchTask) as caught:
        asyncio.run(get_task_result("nobody", app=app))
    assert "no such task" in str(caught.value).lower()
    running = Task(uuid="nobody", state="STARTED")
    found = asyncio.run(get_task_result("nobody", app=app, find_record={"nobody": running}.get))
    assert (found["state"], found["result"], found["success"]) == ("STARTED", None, False)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(get_task_result("nobody", 0.1, app=app, find_record={"nobody": running}.get))
    done = Task(uuid="old", state="SUCCESS", result="3")
    found = asyncio.run(get_task_result("old", app=app, find_record={"old": done}.get))
    assert (found["state"], found["result"], found["success"]) == ("SUCCESS", None, True)


def test_a_task_that_we_sent_and_that_waits_is_no_stranger(redis_cluster: Cluster) -> None:
    app = redis_cluster.app
    sent = asyncio.run(task_send_task("shop.add", [1, 2], app=app, queue="nobody-listens"))
    found = asyncio.run(get_task_result(sent["task-id"], app=app))
    assert found["state"] == "PENDING"
    assert sent["task-id"] in results.recent_task_ids


def test_revoke_before_it_runs(cluster: Cluster) -> None:
    app = cluster.app

    async def scenario() -> Any:
        sent = await task_send_task("shop.add", [1, 2], app=app, countdown=0.7)
        await task_revoke(sent["task-id"], app=app)
        return await get_task_result(sent["task-id"], 20, app=app)

    assert asyncio.run(scenario())["state"] == "REVOKED"


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL", "usr1"])
def test_revoke_ends_a_running_task(cluster: Cluster, signal: str) -> None:
    app = cluster.app

    async def scenario() -> Any:
        sent = await task_send_task("shop.rest", [60], app=app)
        assert await asyncio.to_thread(cluster.worker.started, sent["task-id"])
        done = await task_revoke(sent["task-id"], terminate=True, signal=signal, app=app)
        assert done["message"] == f"Revoked '{sent['task-id']}'"
        return await get_task_result(sent["task-id"], 20, app=app)

    found = asyncio.run(scenario())
    # USR1 is the signal of the soft time limit: the exception of the task may be recorded after the revocation.
    assert found["state"] in ({"REVOKED", "FAILURE"} if signal == "usr1" else {"REVOKED"})
    wait_for("the end of the task", lambda: not running(cluster, found["task-id"]))


def test_signals_are_checked(redis_cluster: Cluster) -> None:
    with pytest.raises(InvalidRequest, match=r"Unknown signal 'SIGNONSENSE'.*SIGTERM"):
        asyncio.run(task_revoke("x", terminate=True, signal="SIGNONSENSE", app=redis_cluster.app))
    with pytest.raises(InvalidRequest):
        asyncio.run(task_revoke("", app=redis_cluster.app))


def test_abort_is_seen_by_the_task(cluster: Cluster) -> None:
    app = cluster.app

    async def scenario() -> tuple[Any, Any, Any]:
        sent = await task_send_task("shop.until_aborted", app=app)
        assert await asyncio.to_thread(cluster.worker.started, sent["task-id"])
        done = await task_abort(sent["task-id"], app=app)
        for _ in range(400):  # ABORTED counts as unfinished for Celery until the task returns
            found = await get_task_result(sent["task-id"], app=app)
            if found["success"]:
                break
            await asyncio.sleep(0.05)
        return done, found, await task_abort(sent["task-id"], app=app)

    done, found, late = asyncio.run(scenario())
    assert done == {"task-id": found["task-id"], "state": "ABORTED", "message": f"Aborted '{found['task-id']}'"}
    assert found["result"] == "saw it"
    assert late["state"] == "SUCCESS"  # a finished task keeps its result


def test_waiting_calls_do_not_block_others(redis_cluster: Cluster) -> None:
    """In Flower five slow tasks occupy all five threads. Here the queue of the worker is the only limit."""
    app = redis_cluster.app

    async def scenario() -> float:
        slow = [asyncio.create_task(task_apply("shop.rest", [20], app=app)) for _ in range(12)]
        worker = redis_cluster.worker
        await asyncio.to_thread(wait_for, "tasks that run", lambda: len(worker.inspect("active")) == worker.concurrency)
        started_at = time.monotonic()
        await task_async_apply("shop.add", [1, 2], app=app)
        await asyncio.gather(*(task_send_task("shop.add", [1, 2], app=app) for _ in range(8)))
        took = time.monotonic() - started_at
        for waiting in slow:
            waiting.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        app.control.purge()
        for task in (*worker.inspect("reserved"), *worker.inspect("active")):
            await task_revoke(task["id"], terminate=True, app=app)
        return took

    assert asyncio.run(scenario()) < 5


def test_rpc_results(rpc_cluster: Cluster) -> None:
    app = rpc_cluster.app

    async def scenario() -> tuple[Any, ...]:
        applied = await task_apply("shop.add", [1, 2], app=app, timeout=20)
        sent = [await task_async_apply("shop.add", [n, n], app=app) for n in range(5)]
        found = [await get_task_result(one["task-id"], 20, app=app) for one in reversed(sent)]
        waited = await asyncio.gather(*(task_apply("shop.rest", [0.2], app=app, timeout=20) for _ in range(6)))
        return applied["result"], [one["result"] for one in found], {one["result"] for one in waited}

    assert asyncio.run(scenario()) == (3, [8, 6, 4, 2, 0], {"rested"})
    with pytest.raises(DeadlineExceeded):
        asyncio.run(task_apply("shop.rest", [3], app=app, timeout=1.2))
    with pytest.raises(InvalidRequest, match="cannot be aborted"):
        asyncio.run(task_abort("x", app=app))


def test_an_application_without_results(redis_cluster: Cluster) -> None:
    app = make(redis_cluster.app.conf.broker_url, None)
    assert "state" not in asyncio.run(task_send_task("shop.add", [1, 2], app=app))
    for refused in (task_apply("shop.add", [1, 2], app=app), get_task_result("x", app=app), task_abort("x", app=app)):
        with pytest.raises(NoResultBackend):
            asyncio.run(refused)


def test_current_app_is_the_default(redis_cluster: Cluster) -> None:
    redis_cluster.app.set_current()
    assert asyncio.run(task_apply("shop.add", [20, 22], timeout=20))["result"] == 42
