"""The usage examples of Flower's task-management API that control tasks, unchanged except for their indentation, with
a live worker."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celery
import pytest

from flower.current_events import set_current_events
from flower.records import Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Reader
from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.example_runner import run
from tests.helpers.servers import wait_for

EXECUTION = """
from flower.api.tasks import TaskApply, TaskAsyncApply, TaskRevoke

# Execute task synchronously
async def execute_task():
    handler = TaskApply()
    result = await handler.post(
        'my_task',
        args=[1, 2, 3],
        kwargs={'timeout': 30}
    )
    print(f"Task result: {result}")

# Execute task asynchronously
async def async_execute():
    handler = TaskAsyncApply()
    response = await handler.post(
        'long_running_task',
        args=['data'],
        kwargs={'priority': 5}
    )
    task_id = response['task-id']
    print(f"Task submitted: {task_id}")

# Revoke task
async def revoke_task():
    handler = TaskRevoke()
    await handler.post('task-uuid-here', terminate=True)
"""

MONITORING = """
from flower.api.tasks import TaskResult, TaskInfo

# Get task result
async def get_result():
    handler = TaskResult()
    result = await handler.get('task-uuid-here', timeout=10)

    if result['state'] == 'SUCCESS':
        print(f"Task completed: {result['result']}")
    elif result['state'] == 'FAILURE':
        print(f"Task failed: {result['traceback']}")

# Get detailed task information
async def get_task_info():
    handler = TaskInfo()
    info = await handler.get('task-uuid-here')

    print(f"Task: {info['name']}")
    print(f"State: {info['state']}")
    print(f"Worker: {info['hostname']}")
    print(f"Runtime: {info.get('runtime', 'N/A')} seconds")
"""

CLEANUP = """
# Find and revoke failed tasks
async def cleanup_failed_tasks():
    failed_tasks = iter_tasks(events, state='FAILURE')

    for task in failed_tasks:
        if should_revoke_task(task):
            await task_revoke(task['uuid'])
"""

EXECUTION_ERRORS = """
# Handle task execution errors
try:
    result = await task_apply('my_task', args=[1, 2, 3])
except Exception as e:
    if 'timeout' in str(e).lower():
        print("Task execution timed out")
    elif 'not registered' in str(e).lower():
        print("Task not found on workers")
    else:
        print(f"Task execution failed: {e}")
"""

RESULT_ERRORS = """
# Handle missing task results
try:
    result = await get_task_result('task-id')
except Exception as e:
    if 'no such task' in str(e).lower():
        print("Task not found in result backend")
    else:
        print(f"Could not retrieve result: {e}")
"""


class Watch:
    def __init__(self, store: Reader) -> None:
        self.store = store


@pytest.fixture
def app(redis_cluster: Cluster) -> Iterator[celery.Celery]:
    """The application as Celery's current one, as in a program that has created it."""
    before = celery.current_app._get_current_object()
    redis_cluster.app.set_current()
    yield redis_cluster.app
    before.set_current()


@pytest.fixture
def watch(tmp_path: Path, task_id: str) -> Iterator[Watch]:
    failed = Task(uuid=task_id, name="my_task", state="FAILURE", hostname="celery@w1", received=1.0)
    writer = open_writer(tmp_path / "store")
    writer.write(Batch(new=[failed]))
    watch = Watch(open_reader(tmp_path / "store"))
    set_current_events(watch)
    yield watch
    set_current_events(None)
    watch.store.close()
    writer.close()


@pytest.fixture
def task_id() -> str:
    """Replaces `task-uuid-here`, because workers remember revoked ids."""
    return str(uuid.uuid4())


def example(code: str, *then: str, **names: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "example", **names}

    async def all_of_it() -> None:
        for part in (code, *then):
            await run(part, namespace)

    asyncio.run(all_of_it())
    return namespace


def test_execution(app: celery.Celery, capsys: pytest.CaptureFixture[str]) -> None:
    example(EXECUTION, "await execute_task()", "await async_execute()", "await revoke_task()")
    printed = capsys.readouterr().out.splitlines()
    assert "'result': [[1, 2, 3], {'timeout': 30}]" in printed[0]
    assert printed[1].startswith("Task submitted: ")
    assert len(printed) == 2


MONITORED = [("my_task", "Task completed: [[1], {}]"), ("shop.fail", "Task failed: Traceback")]


@pytest.mark.parametrize("monitored", MONITORED)
def test_monitoring(
    app: celery.Celery, watch: Watch, task_id: str, capsys: pytest.CaptureFixture[str], monitored: tuple[str, str]
) -> None:
    name, words = monitored
    app.send_task(name, args=[1], task_id=task_id)
    example(MONITORING.replace("task-uuid-here", task_id), "await get_result()", "await get_task_info()")
    printed = capsys.readouterr().out
    assert words in printed
    assert "Task: my_task\nState: FAILURE\nWorker: celery@w1\nRuntime: None seconds" in printed


def test_cleanup(app: celery.Celery, watch: Watch, task_id: str, redis_cluster: Cluster) -> None:
    imports = "from flower.utils.tasks import iter_tasks\nfrom flower.api.tasks import task_revoke"
    chosen: list[Any] = []

    def should_revoke_task(task: Any) -> bool:
        chosen.append(task["uuid"])
        return True

    example(imports, CLEANUP, "await cleanup_failed_tasks()", events=watch, should_revoke_task=should_revoke_task)
    assert chosen == [task_id]
    wait_for("the revocation", lambda: task_id in redis_cluster.worker.inspect("revoked"))


def test_execution_errors(app: celery.Celery, capsys: pytest.CaptureFixture[str]) -> None:
    from flower.api.tasks import task_apply

    async def failing(name: str, args: list[int]) -> Any:
        return await task_apply("shop.fail", args=["card declined"])

    async def impatient(name: str, args: list[int]) -> Any:
        return await task_apply("shop.rest", args=[1], timeout=0.1)

    async def unregistered(name: str, args: list[int]) -> Any:
        return await task_apply(name, args=args, app=celery.Celery("empty", broker=app.conf.broker_url, backend="rpc"))

    assert example(EXECUTION_ERRORS, task_apply=task_apply)["result"]["result"] == [[1, 2, 3], {}]
    for apply in (failing, impatient, unregistered):
        example(EXECUTION_ERRORS, task_apply=apply)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("Task execution failed: Task shop.fail[")
    assert printed[1:] == ["Task execution timed out", "Task not found on workers"]


def test_result_errors(app: celery.Celery, watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    imports = "from flower.api.tasks import get_task_result"
    example(imports, RESULT_ERRORS)
    make(app.conf.broker_url, None).set_current()
    example(imports, RESULT_ERRORS)
    assert capsys.readouterr().out.splitlines() == [
        "Task not found in result backend",
        "Could not retrieve result: The application has no result backend (set result_backend in its configuration)",
    ]


def test_everything_is_importable_from_the_package() -> None:
    import flower
    import flower.api.tasks
    import flower.events
    import flower.utils.tasks

    homes = {"Events": flower.events, "iter_tasks": flower.utils.tasks, "get_task_by_id": flower.utils.tasks}
    for name in flower.__all__:
        assert getattr(flower, name) is getattr(homes.get(name, flower.api.tasks), name)
        assert name in dir(flower)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flower.nothing
