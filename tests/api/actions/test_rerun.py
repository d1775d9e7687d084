"""Re-run and run single tasks, with the effect on a real worker."""

from collections.abc import Iterator

import pytest

from tests.helpers.product_client import ProductClient


@pytest.fixture
def second_queue(client: ProductClient) -> Iterator[str]:
    """A queue that the shared worker consumes only during the test: others compare the worker's queues."""
    control, destination = client.cluster.app.control, [client.cluster.worker.hostname]
    control.add_consumer("second", destination=destination, reply=True)
    yield "second"
    control.cancel_consumer("second", destination=destination, reply=True)


def test_rerun_unchanged(client: ProductClient, second_queue: str) -> None:
    origin = client.sent("shop.tell", 1, "zwei", [3.5, None], kwargs={"order": {"id": 17}}, queue=second_queue)
    rerun = client.post(f"tasks/{origin}/rerun", {})
    assert rerun["task"] != origin
    assert (rerun["name"], rerun["origin"], rerun["queue"]) == ("shop.tell", origin, second_queue)
    assert (rerun["args_from"], rerun["kwargs_from"], rerun["unknown_options"]) == ("event", "event", ["priority"])
    result = client.result(rerun["task"])
    assert (result["args"], result["kwargs"]) == ([1, "zwei", [3.5, None]], {"order": {"id": 17}})
    assert (result["queue"], result["retries"], result["origin"]) == (second_queue, 0, origin)
    assert (result["id"], result["root_id"], result["parent_id"]) == (rerun["task"], rerun["task"], None)


def test_links_between_original_and_reruns(client: ProductClient) -> None:
    origin = client.sent("shop.add", 1, 2)
    first = client.post(f"tasks/{origin}/rerun", {})["task"]
    second = client.post(f"tasks/{origin}/rerun", {"args": [5, 6]})["task"]
    links = client.look(f"tasks/{origin}/reruns")
    assert links["origin"] is None
    assert [(link["task"], link["edited"], link["sent"]) for link in links["reruns"]] == [
        (second, True, True),
        (first, False, True),
    ]
    assert client.look(f"tasks/{first}/reruns")["origin"]["origin"] == origin
    assert client.result(second) == 11
    client.wait_for_state(first, "SUCCESS")


def test_priority_and_arguments_from_the_worker(client: ProductClient) -> None:
    long = "x" * 3_000
    origin = client.sent("shop.tell", long, until="RECEIVED", priority=5, countdown=600)
    try:
        rerun = client.post(f"tasks/{origin}/rerun", {})
        assert (rerun["args_from"], rerun["priority"], rerun["unknown_options"]) == ("worker", 5, [])
        result = client.result(rerun["task"])
        assert (result["args"], result["priority"]) == ([long], 5)
    finally:
        client.post(f"tasks/{origin}/revoke")
    # the link contains the priority, which no event does; the arguments are truncated
    client.wait_for_state(rerun["task"], "SUCCESS")
    third = client.post(f"tasks/{rerun['task']}/rerun", {"args": ["short"]})
    assert client.result(third["task"])["priority"] == 5


def test_truncated_arguments_are_refused_unless_given(client: ProductClient) -> None:
    origin = client.sent("shop.echo", "x" * 2_000, kwargs={"a": 1})
    error = client.refused(f"tasks/{origin}/rerun", {})
    assert error["code"] == "truncated_arguments"
    assert "positional arguments" in error["message"]
    assert "(the text was truncated): ('xxxx" in error["message"]
    assert "pass `args` explicitly" in error["hint"]
    assert client.refused(f"tasks/{origin}/rerun", {"kwargs": {}, "dry_run": True})["code"] == "truncated_arguments"
    rerun = client.post(f"tasks/{origin}/rerun", {"args": ["short"]})
    assert (rerun["args_from"], rerun["kwargs_from"]) == ("given", "event")
    assert client.result(rerun["task"]) == [["short"], {"a": 1}]


def test_a_dry_run_sends_nothing(client: ProductClient) -> None:
    origin = client.sent("shop.echo", 1, kwargs={"b": [True]})
    plan = client.post(f"tasks/{origin}/rerun", {"dry_run": True, "priority": 3})
    assert (plan["task"], plan["args"], plan["kwargs"], plan["priority"]) == (None, [1], {"b": [True]}, 3)
    assert plan["headers"] == {"bellflower-rerun-of": origin}
    assert client.look(f"tasks/{origin}/reruns")["reruns"] == []


def test_invalid_reruns(redis_client: ProductClient) -> None:
    client = redis_client
    assert client.refused("tasks/missing/rerun", {}, 404)["code"] == "task_not_found"
    origin = client.sent("shop.add", 1, 2)
    assert "no_such_option" in client.refused(f"tasks/{origin}/rerun", {"no_such_option": 1})["message"]
    assert "TypeError" in client.refused(f"tasks/{origin}/rerun", {"args": [1]})["message"]
    assert client.look(f"tasks/{origin}/reruns")["reruns"] == []


def test_truncated_arguments_are_read_from_the_result_backend(extended_client: ProductClient) -> None:
    client, long = extended_client, {"text": "ü" * 5_000, "deep": [[[[[1]]]]]}
    origin = client.sent("shop.tell", long, kwargs={"more": "y" * 2_000})
    rerun = client.post(f"tasks/{origin}/rerun", {})
    assert (rerun["args_from"], rerun["kwargs_from"]) == ("result_backend", "result_backend")
    result = client.result(rerun["task"])
    assert (result["args"], result["kwargs"]) == ([long], {"more": "y" * 2_000})


def test_run_any_registered_task(client: ProductClient) -> None:
    sent = client.post("registered/shop.tell/run", {"args": [1], "kwargs": {"a": "b"}, "priority": 4})
    result = client.result(sent["task"])
    assert (result["args"], result["kwargs"], result["priority"], result["origin"]) == ([1], {"a": "b"}, 4, None)
    assert client.refused("registered/shop.nothing/run", {}, 404)["code"] == "task_not_registered"
    assert "TypeError" in client.refused("registered/shop.add/run", {"args": [1]})["message"]


def test_a_rerun_names_the_workflow_whose_later_steps_are_not_sent(redis_client: ProductClient) -> None:
    client = redis_client
    app = client.cluster.app
    result = (app.signature("shop.add", (1, 2)) | app.signature("shop.add", (3,))).apply_async()
    root, last = result.parent.id, result.id
    client.wait_for_state(last, "SUCCESS")
    for uuid in (root, last):
        assert client.post(f"tasks/{uuid}/rerun", {"dry_run": True})["workflow"] == root
    plan = client.post("jobs", {"action": "rerun", "ids": [root, last], "dry_run": True})["plan"]
    assert plan["workflow_task_count"] == 2
    alone = client.sent("shop.add", 1, 2)
    assert client.post(f"tasks/{alone}/rerun", {"dry_run": True})["workflow"] is None
