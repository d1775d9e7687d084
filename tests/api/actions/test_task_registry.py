"""Registered tasks of live workers."""

from tests.helpers.product_client import ProductClient


def test_registered_tasks(client: ProductClient) -> None:
    registered = client.look("registered")
    worker = client.cluster.worker.hostname
    assert worker in registered["queried_workers"]
    tasks = {task["name"]: task for task in registered["tasks"]}
    add = tasks["shop.add"]
    assert (add["local"], add["signature"], add["abortable"]) == (True, "(x: Any, y: Any) -> Any", False)
    assert worker in add["workers"]
    assert [(one["name"], one["required"], one["annotation"]) for one in add["parameters"]] == [
        ("x", True, "Any"),
        ("y", True, "Any"),
    ]
    assert tasks["shop.fail"]["parameters"][0]["default"] == "'card declined'"
    assert tasks["shop.again"]["parameters"] == []  # bound: without self
    assert tasks["shop.until_aborted"]["abortable"] is True
    assert not any(name.startswith("celery.") for name in tasks)
