"""Re-run, run, revoke, terminate and abort single tasks, with their effect on a real worker."""

import uuid
from typing import Any

import pytest

from tests.helpers.product_client import Desk
from tests.helpers.servers import wait_for


def test_rerun_unchanged(desk: Desk) -> None:
    desk.cluster.app.control.add_consumer("second", destination=[desk.cluster.worker.hostname], reply=True)
    origin = desk.sent("shop.tell", 1, "zwei", [3.5, None], kwargs={"order": {"id": 17}}, queue="second")
    rerun = desk.post(f"tasks/{origin}/rerun", {})
    assert rerun["task"] != origin
    assert (rerun["name"], rerun["origin"], rerun["queue"]) == ("shop.tell", origin, "second")
    assert (rerun["args_from"], rerun["kwargs_from"], rerun["unknown_options"]) == ("event", "event", ["priority"])
    result = desk.result(rerun["task"])
    assert (result["args"], result["kwargs"]) == ([1, "zwei", [3.5, None]], {"order": {"id": 17}})
    assert (result["queue"], result["retries"], result["origin"]) == ("second", 0, origin)
    assert (result["id"], result["root_id"], result["parent_id"]) == (rerun["task"], rerun["task"], None)


def test_links_between_original_and_reruns(desk: Desk) -> None:
    origin = desk.sent("shop.add", 1, 2)
    first = desk.post(f"tasks/{origin}/rerun", {})["task"]
    second = desk.post(f"tasks/{origin}/rerun", {"args": [5, 6]})["task"]
    links = desk.look(f"tasks/{origin}/reruns")
    assert links["origin"] is None
    assert [(link["task"], link["edited"], link["sent"]) for link in links["reruns"]] == [
        (second, True, True),
        (first, False, True),
    ]
    assert desk.look(f"tasks/{first}/reruns")["origin"]["origin"] == origin
    assert desk.result(second) == 11
    desk.wait_for_state(first, "SUCCESS")


def test_priority_and_arguments_from_the_worker(desk: Desk) -> None:
    long = "x" * 3_000
    origin = desk.sent("shop.tell", long, until="RECEIVED", priority=5, countdown=600)
    try:
        rerun = desk.post(f"tasks/{origin}/rerun", {})
        assert (rerun["args_from"], rerun["priority"], rerun["unknown_options"]) == ("worker", 5, [])
        result = desk.result(rerun["task"])
        assert (result["args"], result["priority"]) == ([long], 5)
    finally:
        desk.post(f"tasks/{origin}/revoke")
    # the link contains the priority, which no event does; the arguments are truncated
    desk.wait_for_state(rerun["task"], "SUCCESS")
    third = desk.post(f"tasks/{rerun['task']}/rerun", {"args": ["short"]})
    assert desk.result(third["task"])["priority"] == 5


def test_truncated_arguments_are_refused_unless_given(desk: Desk) -> None:
    origin = desk.sent("shop.echo", "x" * 2_000, kwargs={"a": 1})
    error = desk.refused(f"tasks/{origin}/rerun", {})
    assert error["code"] == "truncated_arguments"
    assert "positional arguments" in error["message"]
    assert "the text was truncated: ('xxxx" in error["message"]
    assert "pass `args` explicitly" in error["hint"]
    assert desk.refused(f"tasks/{origin}/rerun", {"kwargs": {}, "dry_run": True})["code"] == "truncated_arguments"
    rerun = desk.post(f"tasks/{origin}/rerun", {"args": ["short"]})
    assert (rerun["args_from"], rerun["kwargs_from"]) == ("given", "event")
    assert desk.result(rerun["task"]) == [["short"], {"a": 1}]


def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    origin = desk.sent("shop.echo", 1, kwargs={"b": [True]})
    plan = desk.post(f"tasks/{origin}/rerun", {"dry_run": True, "priority": 3})
    assert (plan["task"], plan["args"], plan["kwargs"], plan["priority"]) == (None, [1], {"b": [True]}, 3)
    assert plan["headers"] == {"bellflower-rerun-of": origin}
    assert desk.look(f"tasks/{origin}/reruns")["reruns"] == []


def test_invalid_reruns(redis_desk: Desk) -> None:
    desk = redis_desk
    assert desk.refused("tasks/missing/rerun", {}, 404)["code"] == "task_not_found"
    origin = desk.sent("shop.add", 1, 2)
    assert "no_such_option" in desk.refused(f"tasks/{origin}/rerun", {"no_such_option": 1})["message"]
    assert "TypeError" in desk.refused(f"tasks/{origin}/rerun", {"args": [1]})["message"]
    assert desk.look(f"tasks/{origin}/reruns")["reruns"] == []


def test_truncated_arguments_are_read_from_the_result_backend(extended_desk: Desk) -> None:
    desk, long = extended_desk, {"text": "ü" * 5_000, "deep": [[[[[1]]]]]}
    origin = desk.sent("shop.tell", long, kwargs={"more": "y" * 2_000})
    rerun = desk.post(f"tasks/{origin}/rerun", {})
    assert (rerun["args_from"], rerun["kwargs_from"]) == ("result_backend", "result_backend")
    result = desk.result(rerun["task"])
    assert (result["args"], result["kwargs"]) == ([long], {"more": "y" * 2_000})


def test_registered_tasks(desk: Desk) -> None:
    registered = desk.look("registered")
    worker = desk.cluster.worker.hostname
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


def test_run_any_registered_task(desk: Desk) -> None:
    sent = desk.post("registered/shop.tell/run", {"args": [1], "kwargs": {"a": "b"}, "priority": 4})
    result = desk.result(sent["task"])
    assert (result["args"], result["kwargs"], result["priority"], result["origin"]) == ([1], {"a": "b"}, 4, None)
    assert desk.refused("registered/shop.nothing/run", {}, 404)["code"] == "task_not_registered"
    assert "TypeError" in desk.refused("registered/shop.add/run", {"args": [1]})["message"]


def test_revoke(desk: Desk) -> None:
    waiting = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    reply = desk.post(f"tasks/{waiting}/revoke")
    assert "flagged as revoked" in reply["replies"][desk.cluster.worker.hostname]
    assert waiting in desk.cluster.worker.inspect("revoked")
    desk.wait_for_state(waiting, "REVOKED")
    assert "already finished (REVOKED)" in desk.refused(f"tasks/{waiting}/revoke", status=403)["message"]


@pytest.mark.parametrize("signal", ["SIGTERM", "kill"])
def test_terminate(desk: Desk, signal: str) -> None:
    running = desk.sent("shop.rest", 300, until="STARTED")
    assert "Unknown signal" in desk.refused(f"tasks/{running}/terminate", {"signal": "SIGNONSENSE"})["message"]
    reply = desk.post(f"tasks/{running}/terminate", {"signal": signal})
    assert reply["replies"][desk.cluster.worker.hostname] == f"terminate: {running}"
    desk.wait_for_state(running, "REVOKED")
    wait_for("its end", lambda: running not in {task["id"] for task in desk.cluster.worker.inspect("active")})


def test_abort(desk: Desk) -> None:
    running = desk.sent("shop.until_aborted", until="STARTED")
    assert desk.post(f"tasks/{running}/abort")["message"] == f"Aborted '{running}'"
    desk.wait_for_state(running, "SUCCESS")
    assert "already finished (SUCCESS)" in desk.refused(f"tasks/{running}/abort", status=403)["message"]
    other = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    assert "not an AbortableTask" in desk.refused(f"tasks/{other}/abort", status=403)["message"]


def test_a_task_without_a_record_can_be_revoked(redis_desk: Desk) -> None:
    unseen: Any = str(uuid.uuid4())
    redis_desk.post(f"tasks/{unseen}/revoke")
    assert unseen in redis_desk.cluster.worker.inspect("revoked")
