"""Conversion of tasks to dicts."""

import copy
from typing import Any, get_type_hints

import msgspec
import pytest
from celery.events.state import State
from hypothesis import given

from flower.api.task_dict import to_flower_task, to_task_info
from flower.errors import InvalidRequest
from flower.records import Attempt, Task, Worker
from flower.utils.tasks import TASK_STATES, TaskEventTypes, TaskInfo, as_dict
from tests.helpers.search_strategies import tasks

WORKER = Worker("celery@w1", pid=7, sw_ident="py-celery", sw_ver="5.6", sw_sys="Linux")

DOCUMENTED = {
    *("uuid", "name", "state", "hostname"),
    *("timestamp", "received", "started", "succeeded", "failed", "retried", "revoked", "runtime"),
    *("args", "kwargs", "retries", "eta", "expires"),
    *("result", "traceback", "exception"),
    *("queue", "exchange", "routing_key", "priority"),
    *("worker", "clock", "client", "root_id", "parent_id", "children"),
}

FLOWER = {
    *("uuid", "name", "state", "sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"),
    *("timestamp", "args", "kwargs", "result", "exception", "traceback", "runtime", "retries", "eta", "expires"),
    *("worker", "client", "exchange", "routing_key", "root_id", "parent_id", "root", "parent", "children", "clock"),
}


def info(task: Task) -> TaskInfo:
    return to_task_info(task, worker=None, children=())


def test_all_documented_keys_are_present() -> None:
    assert set(info(Task(uuid="x"))) >= DOCUMENTED
    assert set(info(Task(uuid="x"))) == set(get_type_hints(TaskInfo))
    assert {key for key, value in info(Task(uuid="x")).items() if value is not None} == {
        *("uuid", "state", "children", "attempts", "data")
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("()", []),
        ("[]", []),
        ("(1, 'a', None)", [1, "a", None]),
        ("['x']", ["x"]),
        ("('Loading...',)", "('Loading...',)"),  # Celery may have truncated it
        ("(1, ...)", "(1, ...)"),
        ("(<Order 17>,)", "(<Order 17>,)"),
        ("{'a': 1}", "{'a': 1}"),
        ("17", "17"),
        ("(" * 70_000, "(" * 70_000),
    ],
)
def test_args_are_values_if_the_text_is_complete(text: str | None, value: Any) -> None:
    args = info(Task(uuid="x", args=text))["args"]
    assert args == value
    assert args is None or isinstance(args, list | str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("{}", {}),
        ("{'a': [1, {'b': 2.5}]}", {"a": [1, {"b": 2.5}]}),
        ("{'a': 1, ...}", "{'a': 1, ...}"),
        ("{'a': <Order 17>}", "{'a': <Order 17>}"),
        (r"{'path': 'C:\new'}", r"{'path': 'C:\new'}"),
        ("('a',)", "('a',)"),
    ],
)
def test_kwargs_are_values_if_the_text_is_complete(text: str | None, value: Any) -> None:
    kwargs = info(Task(uuid="x", kwargs=text))["kwargs"]
    assert kwargs == value
    assert kwargs is None or isinstance(kwargs, dict | str)


def test_the_worker_of_a_task() -> None:
    info_of_task = to_task_info(Task(uuid="x", hostname="celery@w1", pid=3), worker=WORKER, children=["y"])
    assert info_of_task["worker"] == {
        "hostname": "celery@w1",
        "pid": 3,
        "sw_ident": "py-celery",
        "sw_ver": "5.6",
        "sw_sys": "Linux",
    }
    assert info_of_task["children"] == ["y"]
    unknown = info(Task(uuid="x", hostname="celery@w1"))["worker"]
    assert unknown == {"hostname": "celery@w1", "pid": None, "sw_ident": None, "sw_ver": None, "sw_sys": None}
    assert info(Task(uuid="x"))["worker"] is None


def test_attempts_and_data_are_copies() -> None:
    task = Task(
        uuid="x",
        state="RETRY",
        hostname="celery@a",
        retried=9.0,
        earlier=(Attempt(0, state="RETRY"),),
        data={"task-progress": {"n": 1}},
    )
    converted = info(task)
    assert [(attempt["number"], attempt["state"]) for attempt in converted["attempts"]] == [(0, "RETRY"), (1, "RETRY")]
    assert converted["attempts"][1]["ended"] == 9.0
    converted["data"]["task-progress"]["n"] = 2
    assert task.data == {"task-progress": {"n": 1}}


def test_values_are_plain_data() -> None:
    converted = info(Task(uuid="x", args="(1,)", kwargs="{'a': 1}"))
    assert msgspec.json.decode(msgspec.json.encode(converted))["kwargs"] == {"a": 1}
    assert copy.deepcopy(converted) == converted


def test_to_flower_task() -> None:
    task = Task(
        uuid="x",
        state="SUCCESS",
        hostname="celery@w1",
        args="(1,)",
        kwargs="{'a': 1}",
        root_id="r",
        parent_id="p",
        earlier=(Attempt(0, exception="OldError()"), Attempt(1, exception="KeyError()", traceback="Traceback")),
    )
    converted = to_flower_task(task, ["c"])
    assert set(converted) == FLOWER == set(to_flower_task(Task(uuid="y")))
    assert (converted["args"], converted["kwargs"], converted["worker"]) == ("(1,)", "{'a': 1}", "celery@w1")
    assert (converted["root"], converted["root_id"], converted["parent"], converted["parent_id"]) == (
        "r",
        "r",
        "p",
        "p",
    )
    assert (converted["exception"], converted["traceback"]) == ("KeyError()", "Traceback")
    assert converted["children"] == ["c"]
    failed_again = msgspec.structs.replace(task, exception="Now()", traceback=None)
    assert to_flower_task(failed_again)["exception"] == "Now()"


def test_as_dict_of_a_record_and_of_a_dict() -> None:
    task = Task(uuid="x", name="t", kwargs="{'a': 1}")
    converted = as_dict(task)
    assert converted == info(task)
    again = as_dict(converted)
    assert again == converted
    assert again is not converted


def test_as_dict_of_a_celery_task() -> None:
    state = State()
    common = {"hostname": "celery@w1", "clock": 1, "pid": 1, "local_received": 1.0, "utcoffset": 0}
    state.event({**common, "type": "worker-online", "timestamp": 1.0, "sw_ident": "py-celery", "sw_ver": "5.6"})
    parent = {**common, "uuid": "u1", "type": "task-received", "timestamp": 2.0, "name": "t.pay", "args": "(1, 2)"}
    state.event(dict(parent))
    state.event({**parent, "uuid": "u2", "parent_id": "u1", "root_id": "u1"})
    state.event({**common, "uuid": "u1", "type": "task-succeeded", "timestamp": 3.0, "result": "3", "runtime": 0.5})
    converted = as_dict(state.tasks["u1"])
    assert set(converted) == set(info(Task(uuid="x")))
    assert (converted["state"], converted["args"], converted["runtime"]) == ("SUCCESS", [1, 2], 0.5)
    assert converted["worker"] is not None
    assert (converted["worker"]["hostname"], converted["worker"]["sw_ver"]) == ("celery@w1", "5.6")
    assert converted["children"] == ["u2"]
    assert (converted["hostname"], converted["received"], converted["succeeded"]) == ("celery@w1", 2.0, 3.0)


def test_as_dict_of_other_objects() -> None:
    with pytest.raises(InvalidRequest, match="int is not a task"):
        as_dict(17)


@given(tasks())
def test_any_task_can_be_converted(task: Task) -> None:
    converted = info(task)
    assert converted["uuid"] == task.uuid
    assert converted["result"] == task.result
    for text, value in ((task.args, converted["args"]), (task.kwargs, converted["kwargs"])):
        assert value == text if value is None or isinstance(value, str) else getattr(value, "text", None) == text
    assert set(to_flower_task(task)) == FLOWER | ({"lost"} if task.lost else set())


def test_documented_constants() -> None:
    assert TASK_STATES == ["PENDING", "STARTED", "SUCCESS", "FAILURE", "RETRY", "REVOKED"]
    assert list(TaskEventTypes) == [
        f"task-{kind}" for kind in ["sent", "received", "started", "succeeded", "failed", "retried", "revoked"]
    ]
    assert all(set(entry) == {"description", "fields"} for entry in TaskEventTypes.values())
