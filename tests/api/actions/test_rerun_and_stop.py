"""Run again, run, stop: one task at a time, each effect seen at the worker."""

import uuid
from typing import Any

import pytest

from tests.helpers.product_client import Desk
from tests.helpers.servers import wait_for


def test_run_again_as_it_was(desk: Desk) -> None:
    desk.cluster.app.control.add_consumer("second", destination=[desk.cluster.worker.hostname], reply=True)
    origin = desk.sent("shop.tell", 1, "zwei", [3.5, None], kwargs={"order": {"id": 17}}, queue="second")
    again = desk.post(f"tasks/{origin}/rerun", {})
    assert again["task"] != origin
    assert (again["name"], again["origin"], again["queue"]) == ("shop.tell", origin, "second")
    assert (again["args_from"], again["kwargs_from"], again["unknown"]) == ("event", "event", ["priority"])
    told = desk.result(again["task"])
    assert (told["args"], told["kwargs"]) == ([1, "zwei", [3.5, None]], {"order": {"id": 17}})
    assert (told["queue"], told["retries"], told["origin"]) == ("second", 0, origin)
    assert (told["id"], told["root_id"], told["parent_id"]) == (again["task"], again["task"], None)


def test_both_tasks_know_each_other(desk: Desk) -> None:
    origin = desk.sent("shop.add", 1, 2)
    first = desk.post(f"tasks/{origin}/rerun", {})["task"]
    second = desk.post(f"tasks/{origin}/rerun", {"args": [5, 6]})["task"]
    links = desk.look(f"tasks/{origin}/reruns")
    assert links["of"] is None
    assert [(link["task"], link["edited"], link["sent"]) for link in links["again"]] == [
        (second, True, True),
        (first, False, True),
    ]
    assert desk.look(f"tasks/{first}/reruns")["of"]["origin"] == origin
    assert desk.result(second) == 11
    desk.wait_for_state(first, "SUCCESS")


def test_priority_and_arguments_of_a_task_that_its_worker_has(desk: Desk) -> None:
    long = "x" * 3_000
    origin = desk.sent("shop.tell", long, until="RECEIVED", priority=5, countdown=600)
    try:
        again = desk.post(f"tasks/{origin}/rerun", {})
        assert (again["args_from"], again["priority"], again["unknown"]) == ("worker", 5, [])
        told = desk.result(again["task"])
        assert (told["args"], told["priority"]) == ([long], 5)
    finally:
        desk.post(f"tasks/{origin}/revoke")
    # whose re-run it is tells its priority, though no event does; its arguments were cut
    desk.wait_for_state(again["task"], "SUCCESS")
    third = desk.post(f"tasks/{again['task']}/rerun", {"args": ["short"]})
    assert desk.result(third["task"])["priority"] == 5


def test_what_is_not_known_in_full_is_refused_and_can_be_given(desk: Desk) -> None:
    origin = desk.sent("shop.echo", "x" * 2_000, kwargs={"a": 1})
    error = desk.refused(f"tasks/{origin}/rerun", {})
    assert error["code"] == "arguments_not_whole"
    assert "positional arguments" in error["message"]
    assert "the text was cut: ('xxxx" in error["message"]
    assert "give `args` yourself" in error["hint"]
    assert desk.refused(f"tasks/{origin}/rerun", {"kwargs": {}, "dry_run": True})["code"] == "arguments_not_whole"
    again = desk.post(f"tasks/{origin}/rerun", {"args": ["short"]})
    assert (again["args_from"], again["kwargs_from"]) == ("given", "event")
    assert desk.result(again["task"]) == [["short"], {"a": 1}]


def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    origin = desk.sent("shop.echo", 1, kwargs={"b": [True]})
    plan = desk.post(f"tasks/{origin}/rerun", {"dry_run": True, "priority": 3})
    assert (plan["task"], plan["args"], plan["kwargs"], plan["priority"]) == (None, [1], {"b": [True]}, 3)
    assert plan["headers"] == {"bellflower-rerun-of": origin}
    assert desk.look(f"tasks/{origin}/reruns")["again"] == []


def test_what_cannot_be_run_again(redis_desk: Desk) -> None:
    desk = redis_desk
    assert desk.refused("tasks/nobody/rerun", {}, 404)["code"] == "no_such_task"
    origin = desk.sent("shop.add", 1, 2)
    assert "no_such_option" in desk.refused(f"tasks/{origin}/rerun", {"no_such_option": 1})["message"]
    assert "TypeError" in desk.refused(f"tasks/{origin}/rerun", {"args": [1]})["message"]
    assert desk.look(f"tasks/{origin}/reruns")["again"] == []


def test_the_result_backend_has_what_events_cut(extended_desk: Desk) -> None:
    desk, long = extended_desk, {"text": "ü" * 5_000, "deep": [[[[[1]]]]]}
    origin = desk.sent("shop.tell", long, kwargs={"more": "y" * 2_000})
    again = desk.post(f"tasks/{origin}/rerun", {})
    assert (again["args_from"], again["kwargs_from"]) == ("result backend", "result backend")
    told = desk.result(again["task"])
    assert (told["args"], told["kwargs"]) == ([long], {"more": "y" * 2_000})


def test_registered_tasks(desk: Desk) -> None:
    found = desk.look("registered")
    worker = desk.cluster.worker.hostname
    assert worker in found["asked"]
    tasks = {task["name"]: task for task in found["tasks"]}
    add = tasks["shop.add"]
    assert (add["here"], add["signature"], add["abortable"]) == (True, "(x: Any, y: Any) -> Any", False)
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
    told = desk.result(sent["task"])
    assert (told["args"], told["kwargs"], told["priority"], told["origin"]) == ([1], {"a": "b"}, 4, None)
    assert desk.refused("registered/shop.nothing/run", {}, 404)["code"] == "not_registered"
    assert "TypeError" in desk.refused("registered/shop.add/run", {"args": [1]})["message"]


def test_revoke(desk: Desk) -> None:
    waiting = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    told = desk.post(f"tasks/{waiting}/revoke")
    assert "flagged as revoked" in told["workers"][desk.cluster.worker.hostname]
    assert waiting in desk.cluster.worker.inspect("revoked")
    desk.wait_for_state(waiting, "REVOKED")
    assert "has ended: REVOKED" in desk.refused(f"tasks/{waiting}/revoke", status=403)["message"]


@pytest.mark.parametrize("signal", ["SIGTERM", "kill"])
def test_terminate(desk: Desk, signal: str) -> None:
    running = desk.sent("shop.rest", 300, until="STARTED")
    assert "Unknown signal" in desk.refused(f"tasks/{running}/terminate", {"signal": "SIGNONSENSE"})["message"]
    told = desk.post(f"tasks/{running}/terminate", {"signal": signal})
    assert told["workers"][desk.cluster.worker.hostname] == f"terminate: {running}"
    desk.wait_for_state(running, "REVOKED")
    wait_for("its end", lambda: running not in {task["id"] for task in desk.cluster.worker.inspect("active")})


def test_abort(desk: Desk) -> None:
    running = desk.sent("shop.until_aborted", until="STARTED")
    assert desk.post(f"tasks/{running}/abort")["message"] == f"Aborted '{running}'"
    desk.wait_for_state(running, "SUCCESS")
    assert "has ended: SUCCESS" in desk.refused(f"tasks/{running}/abort", status=403)["message"]
    other = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    assert "no AbortableTask" in desk.refused(f"tasks/{other}/abort", status=403)["message"]


def test_a_task_that_nobody_recorded_can_be_revoked(redis_desk: Desk) -> None:
    unseen: Any = str(uuid.uuid4())
    redis_desk.post(f"tasks/{unseen}/revoke")
    assert unseen in redis_desk.cluster.worker.inspect("revoked")
