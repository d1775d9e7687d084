"""`format_task`: every read operation returns tasks as the function changed them."""

from typing import Any

from flower.api.format_task import format_tasks, with_format_task
from flower.records import Task
from flower.store.protocols import Query
from tests.helpers.api_v1 import memory

TASKS = [Task("r", "shop.order", received=1.0), Task("a", "shop.mail", root_id="r", parent_id="r", received=2.0)]


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
