"""`format_task`: every read operation and every response has the tasks as the function changed them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flower.api import format_task
from flower.api.format_task import format_tasks, with_format_task
from flower.config import load_config
from flower.log_rate_limit import INTERVAL, LogRateLimit
from flower.records import Task
from flower.store.protocols import Query, Reader
from tests.helpers.api_v1 import memory
from tests.helpers.web_server import WebServer
from tests.http.flower.test_datatable import params

TASKS = [Task("r", "shop.order", received=1.0), Task("a", "shop.mail", root_id="r", parent_id="r", received=2.0)]


@pytest.fixture(autouse=True)
def new_log_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of earlier tests do not count."""
    monkeypatch.setattr(format_task.log, "filters", [LogRateLimit(tracebacks=True)])


def shout(task: Any) -> Any:
    task.name = task.name.upper()
    return task


def test_all_read_operations() -> None:
    reader = with_format_task(memory(TASKS), shout)
    task = reader.task("r")
    assert task is not None
    assert task.name == "SHOP.ORDER"
    assert [each.name for each in reader.tasks(Query())] == ["SHOP.MAIL", "SHOP.ORDER"]
    assert [each.name for each in reader.task_page(Query(), limit=1).tasks] == ["SHOP.MAIL"]
    assert [workflow.root.name for workflow in reader.workflows().workflows] == ["SHOP.ORDER"]
    family = reader.family("a")
    assert family is not None
    assert {each.name for each in family.tasks} == {"SHOP.ORDER", "SHOP.MAIL"}
    assert [each.name for each in format_tasks(reader, TASKS)] == ["SHOP.ORDER", "SHOP.MAIL"]


def test_without_a_function_the_reader_is_unchanged() -> None:
    reader = memory(TASKS)
    assert with_format_task(reader, None) is reader
    assert format_tasks(reader, TASKS) is TASKS


def test_an_error_of_the_function_shows_the_task_unchanged() -> None:
    reader = with_format_task(memory(TASKS), lambda task: 1 / 0)
    assert reader.task("r") == TASKS[0]


def test_values_of_the_wrong_type() -> None:
    def change(task: Any) -> Any:
        task.name, task.runtime, task.worker = ["x"], "fast", None
        return task

    task = with_format_task(memory([Task("a", "n", runtime=1.0, hostname="w1")]), change).task("a")
    assert task is not None
    assert (task.name, task.runtime, task.hostname) == ("['x']", 1.0, None)


def masking(task: Any) -> Any:
    task.kwargs = "hidden"
    task.result = [1]
    task.worker.hostname  # noqa: B018 - as functions of users read it, and it is missing in some
    return task


@pytest.mark.parametrize(
    "path", ["/api/tasks", "/api/task/info/a", "/tasks/datatable", "/api/v1/tasks", "/api/v1/tasks/a"]
)
def test_format_task_is_applied_everywhere(store: Reader, opened: None, path: str) -> None:
    with WebServer(with_format_task(store, masking)) as live:
        response = live.http.get(path, params=params() if path.endswith("datatable") else {})
        assert response.status_code == 200, response.text
        assert "order_id" not in response.text
        assert "hidden" in response.text
    assert store.task("a").kwargs == "{'order_id': 17}"  # type: ignore[union-attr]


def test_failing_format_task_shows_the_recorded_task(store: Reader, caplog: pytest.LogCaptureFixture) -> None:
    shown = with_format_task(store, masking).task("c/d")  # it has no worker
    assert shown == store.task("c/d")
    assert "format_task failed for task c/d" in caplog.text
    assert with_format_task(store, lambda task: None).task("a") == store.task("a")
    assert with_format_task(store, lambda task: SimpleNamespace()).task("a") == store.task("a")
    assert with_format_task(store, None) is store


def test_attributes_of_format_task(store: Reader) -> None:
    seen: dict[str, Any] = {}

    def change(task: Any) -> Any:
        seen.update(vars(task))
        task.worker, task.runtime, task.uuid, task.args = "other", "fast", "changed", {"a": 1}
        return task

    result = with_format_task(store, change).task("a")
    assert result is not None
    assert (seen["uuid"], seen["worker"].hostname, seen["kwargs"]) == ("a", "celery@w1", "{'order_id': 17}")
    assert (result.hostname, result.runtime, result.uuid, result.args) == ("other", 1.5, "a", "{'a': 1}")


#: The example of Flower's documentation. `kwargs` is a text, which has no `pop`.
DOCUMENTED = """
from flower.utils.template import humanize


def format_task(task):
    task.args = humanize(task.args, length=10)
    task.kwargs.pop('credit_card_number')
    task.result = humanize(task.result, length=20)
    return task
"""


def test_example_of_the_documentation_of_flower(
    store: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "flowerconfig.py").write_text(DOCUMENTED.replace("    task.kwargs.pop('credit_card_number')\n", ""))
    shown = with_format_task(memory([Task("a", "n", args="(1, 2, 3, 4)")]), load_config({}, {}, tmp_path).format_task)
    assert shown.task("a").args == "(1, 2, ..."  # type: ignore[union-attr]


def test_errors_of_the_function_are_logged_once_per_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flowerconfig.py").write_text(DOCUMENTED)
    times = [0.0]
    monkeypatch.setattr(format_task.log, "filters", [LogRateLimit(clock=lambda: times[0], tracebacks=True)])
    tasks = [Task(str(number), "n", kwargs="{}", received=float(number)) for number in range(50)]
    reader = with_format_task(memory(tasks), load_config({}, {}, tmp_path).format_task)
    assert {task.uuid for task in reader.tasks(Query())} == {task.uuid for task in tasks}
    assert caplog.text.count("format_task failed for task") == 1
    assert "has no attribute 'pop'" in caplog.text
    times[0] = INTERVAL
    reader.task("7")
    assert "failed for task 7; showing it unchanged (49 similar messages suppressed)" in caplog.text
