"""The documented handlers and functions, without HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import flower.api.tasks as api
from flower.current_events import set_current_events
from flower.errors import InvalidRequest, NoSuchTask, NotFound, NotRegistered
from flower.store.protocols import Reader
from tests.helpers.clusters import Cluster
from tests.helpers.events import StoreEvents


@pytest.fixture
def events(store: Reader) -> Iterator[StoreEvents]:
    events = StoreEvents(store)
    set_current_events(events)
    yield events
    set_current_events(None)


def test_run_tasks(cluster: Cluster) -> None:
    app = cluster.app

    async def call_handlers() -> tuple[Any, ...]:
        done = await api.TaskApply(app=app).post("my_task", args=[1, 2, 3], kwargs={"timeout": 30})
        failed = await api.TaskApply(app=app).post("shop.fail", timeout=20)
        sent = await api.TaskAsyncApply(app=app).post("shop.add", [1, 2])
        also = await api.TaskSend(app=app).post("shop.thing")
        results = api.TaskResult(app=app)
        return (
            done,
            failed,
            await results.get(sent["task-id"], timeout=20),
            await results.get(also["task-id"], timeout=20),
        )

    done, failed, added, thing = asyncio.run(call_handlers())
    assert done == {"task-id": done["task-id"], "state": "SUCCESS", "result": [[1, 2, 3], {"timeout": 30}]}
    assert (failed["state"], failed["result"]) == ("FAILURE", "ValueError('card declined')")
    assert "ValueError" in failed["traceback"]
    assert (added["state"], added["result"]) == ("SUCCESS", 3)
    assert thing["state"] == "FAILURE"


def test_options_may_have_any_name(redis_cluster: Cluster) -> None:
    """Also those of the handler's own parameters: they are options of the call, and are rejected with a message."""
    with pytest.raises(InvalidRequest):
        asyncio.run(api.TaskApply(app=redis_cluster.app).post("my_task", app=1))
    with pytest.raises(NotRegistered):
        asyncio.run(api.TaskApply(app=redis_cluster.app).post("nothing"))


def test_revoke_and_abort(redis_cluster: Cluster) -> None:
    async def call_handlers() -> tuple[Any, ...]:
        app = redis_cluster.app
        return await api.TaskRevoke(app=app).post("x", terminate=True), await api.TaskAbort(app=app).post("y")

    assert asyncio.run(call_handlers()) == ({"message": "Revoked 'x'"}, {"message": "Aborted 'y'"})


def test_read_records(events: StoreEvents) -> None:
    info = asyncio.run(api.TaskInfo().get("a"))
    assert (info["hostname"], info["args"], info["kwargs"]) == ("celery@w1", [1, "EUR"], {"order_id": 17})
    assert info["children"] == ["b"]
    listed = asyncio.run(api.ListTasks(events=events).get(taskname="shop.mail", sort_by="-received"))
    assert list(listed) == ["b", "c/d"]
    assert "shop.mail" in asyncio.run(api.ListTaskTypes().get())["task-types"]
    with pytest.raises(NoSuchTask, match="Unknown task 'missing'"):
        asyncio.run(api.TaskInfo().get("missing"))
    with pytest.raises(InvalidRequest, match="expected one of"):
        asyncio.run(api.ListTasks().get(sort_by="colour"))


def test_without_running_events(store: Reader) -> None:
    set_current_events(None)
    for call in (api.TaskInfo().get("a"), api.ListTasks().get(), api.ListTaskTypes().get()):
        with pytest.raises(NotFound, match="No Events object is running"):
            asyncio.run(call)
    assert asyncio.run(api.TaskInfo(events=StoreEvents(store)).get("a"))["uuid"] == "a"


def test_a_state_unknown_to_the_backend_is_read_from_the_records(events: StoreEvents, redis_cluster: Cluster) -> None:
    app = redis_cluster.app
    assert asyncio.run(api.get_task_result("b", app=app))["state"] == "FAILURE"
    with pytest.raises(NoSuchTask):
        asyncio.run(api.get_task_result("missing", app=app))
    set_current_events(None)
    with pytest.raises(NoSuchTask):
        asyncio.run(api.get_task_result("b", app=app))
    assert asyncio.run(api.get_task_result("b", app=app, events=events))["state"] == "FAILURE"


def test_queue_lengths(cluster: Cluster) -> None:
    queues = asyncio.run(api.GetQueueLengths(app=cluster.app).get())["active_queues"]
    assert "celery" in [queue["name"] for queue in queues]


def test_celery_is_imported_at_the_first_use() -> None:
    program = "import sys, flower.api.tasks as api; print('celery' in sys.modules); print(api.task_abort.__module__)"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "False\nflower.cluster.tasks\n"
