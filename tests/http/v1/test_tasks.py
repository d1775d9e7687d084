"""Task rows, pages by cursor and by offset, columns and key paths."""

import re
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from flower.http.v1.openapi_examples import EXAMPLE_TASKS
from flower.http.v1.task_rows import COLUMNS
from flower.records import Attempt, Task
from tests.helpers.api_v1 import ClientOf, error, get, memory

MANY = [Task(uuid=f"t{n:03}", name=f"n{n % 3}", received=float(n % 7), runtime=n / 2) for n in range(100)]


def ids(response: dict[str, list[dict[str, str]]]) -> list[str]:
    return [task["uuid"] for task in response["tasks"]]


@pytest.fixture
def many(client_of: ClientOf) -> httpx.Client:
    return client_of(memory(MANY))


@pytest.mark.parametrize("sort", ["-received", "name,-runtime", "written", "uuid", ""])
def test_pages_by_cursor_contain_every_task_once(many: httpx.Client, sort: str) -> None:
    whole = ids(get(many, "tasks", sort=sort, limit=1000))
    result, address = [], f"tasks?limit=7&sort={sort}"
    while address:
        page = get(many, address)
        assert (page["next_url"] is None) == (page["next_cursor"] is None)
        result += ids(page)
        address = page["next_url"]
    assert result == whole
    assert sorted(result) == [task.uuid for task in MANY]


def test_text_limit(client_of: ClientOf) -> None:
    text = "['" + "ä" * 1_000 + "']"
    task = Task(
        uuid="long", name="n" * 200, args=text, kwargs="{}", result="x" * 100, exception="x" * 101, traceback=None
    )
    http = client_of(memory([task]))
    columns = "name,args,args_value,kwargs,result,exception,traceback"
    (row,) = get(http, "tasks", columns=columns, text_limit=100)["tasks"]
    cut = {
        "args": text[:100] + "…",
        "kwargs": "{}",
        "result": "x" * 100,
        "exception": "x" * 100 + "…",
        "traceback": None,
    }
    assert row == {"uuid": "long", "name": task.name, "args_value": ["ä" * 1_000], **cut}
    (row,) = get(http, "tasks", columns="args")["tasks"]
    assert row["args"] == text
    error(http, "tasks", text_limit=0)


def test_pages_by_offset(many: httpx.Client) -> None:
    whole = ids(get(many, "tasks", limit=1000, columns="name"))
    first = get(many, "tasks", limit=30, offset=50, columns="name")
    assert ids(first) == whole[50:80]
    assert set(first["tasks"][0]) == {"uuid", "name"}
    second = get(many, first["next_url"])
    assert ids(second) == whole[80:]
    assert set(second["tasks"][0]) == {"uuid", "name"}
    assert second["next_url"] is None
    assert ids(get(many, "tasks", offset=2**53)) == []


def test_retried_tasks_are_in_the_order_of_the_time_that_is_shown(client_of: ClientOf) -> None:
    """A retried task is received again: it is sorted and shown by its latest receipt."""
    retried = Attempt(0, "celery@a", received=49.4, started=49.5, ended=49.6, state="RETRY")
    tasks = [
        Task("first", "a", "SUCCESS", received=48.0, timestamp=48.0),
        Task("retried", "a", "SUCCESS", received=49.7, timestamp=49.9, retries=1, earlier=(retried,)),
        Task("between", "a", "SUCCESS", received=49.5, timestamp=49.6),
        Task("waiting", "a", "PENDING", sent=49.6, timestamp=49.6),
    ]
    http = client_of(memory(tasks))
    orders: tuple[dict[str, Any], ...] = ({}, {"sort": "-time"})
    for parameters in orders:
        rows = get(http, "tasks", columns="time_at,received_at", **parameters)["tasks"]
        assert [(row["uuid"], row["time_at"]) for row in rows] == [
            ("retried", 49.7), ("waiting", 49.6), ("between", 49.5), ("first", 48.0),
        ]  # fmt: skip


def test_waiting_tasks_are_in_windows_by_the_time_they_were_sent(client_of: ClientOf) -> None:
    now = time.time()
    waiting = [Task(f"w{n}", "a", "PENDING", sent=now - 60 - n, queue="celery", timestamp=now - 60 - n) for n in (0, 1)]
    http = client_of(memory([*waiting, Task("old", "a", "PENDING", sent=now - 7200, timestamp=now - 7200)]))
    window: dict[str, Any] = {"query": "state:PENDING", "start": "-1h"}
    assert ids(get(http, "tasks", **window)) == ["w0", "w1"]
    assert get(http, "count", **window)["count"] == 2
    assert sum(get(http, "histogram", **window)["states"]["PENDING"]) == 2
    assert ids(get(http, "tasks", time="received", **window)) == []


def test_next_page_has_the_same_parameters(many: httpx.Client) -> None:
    page = get(many, "tasks", query="name:n1 -uuid:t001", start="2.0", end="5.0", time="received", limit=3, tz="UTC")
    whole = ids(page)
    while page["next_url"]:
        page = get(many, page["next_url"])
        whole += ids(page)
    expected = {
        task.uuid for task in MANY if task.name == "n1" and task.uuid != "t001" and 2 <= (task.received or 0) <= 5
    }
    assert set(whole) == expected
    assert len(whole) == len(expected)


def test_cursor_of_another_query(many: httpx.Client) -> None:
    cursor = get(many, "tasks", limit=3)["next_cursor"]
    assert error(many, "tasks", cursor=cursor, sort="name")["message"] == "Invalid cursor: it belongs to another query"
    assert error(many, "tasks", cursor="\x00é")["code"] == "invalid_request"
    assert "cannot be combined" in error(many, "tasks", cursor=cursor, offset=3)["message"]


def test_columns(http: httpx.Client) -> None:
    (row,) = get(http, "tasks", query="uuid:charge-17", columns="state,kwargs,kwargs_value,children")["tasks"]
    assert row == {
        "uuid": "charge-17",
        "state": "SUCCESS",
        "kwargs": "{'amount': 99.9}",
        "kwargs_value": {"amount": 99.9},
        "children": ["mail-17"],
    }
    assert set(get(http, "tasks", limit=1, columns="all")["tasks"][0]) == set(COLUMNS)
    assert "'colour'" in error(http, "tasks", columns="name,colour")["message"]


def test_one_task(client_of: ClientOf) -> None:
    odd = Task(
        uuid="a/b c?<é>",
        name="half \ud800",
        args="(1, 'x...')",
        kwargs="{'n': 10000000000000000000000000, 1: 2}",
        data={"task-progress": {"deep": [float("nan"), 2**70]}},
        timestamp=1.0,
    )
    http = client_of(memory([odd, *EXAMPLE_TASKS]))
    result = get(http, "tasks/a%2Fb%20c%3F%3C%C3%A9%3E")
    assert (result["uuid"], result["name"]) == (odd.uuid, odd.name)
    assert (result["args"], result["args_value"]) == (odd.args, None)
    assert result["kwargs_value"] == {"n": 10**25, "1": 2}
    assert result["data"] == {"task-progress": {"deep": [None, 2**70]}}
    assert get(http, "tasks/charge-18")["failure"] == get(http, "failures")["failures"][0]["fingerprint"]["id"]
    assert error(http, "tasks/nobody", 404)["code"] == "task_not_found"
    assert error(http, "tasks/nobody/workflow", 404)["code"] == "task_not_found"


def test_slowest_and_waiting(http: httpx.Client) -> None:
    assert ids(get(http, "slowest")) == ["charge-17", "order-17", "mail-17"]
    assert ids(get(http, "slowest", query="name:mail")) == ["mail-17"]
    waited = get(http, "waiting", columns="wait")["tasks"]
    assert [task["wait"] for task in waited] == [0.25] * 4
    assert ids(get(http, "waiting", unstarted_only="true")) == ["order-19"]


def test_server_timing(many: httpx.Client) -> None:
    timing = re.fullmatch(r"app;dur=(\d+\.\d), cpu;dur=(\d+\.\d)", many.get("/api/v1/tasks").headers["server-timing"])
    assert timing is not None
    assert 0 < float(timing[2]) <= float(timing[1]) + 1 < 60_000


def test_literal_values_of_one_task(http: httpx.Client) -> None:
    values = get(http, "tasks/order-17", include_values="true")["values"]
    assert values["args"] == {"kind": "tuple", "items": [{"value": {"kind": "number", "text": "17"}}]}
    [item] = values["kwargs"]["items"]
    assert item["key"] == {"kind": "string", "text": "'customer'", "value": "customer"}
    assert get(http, "tasks/charge-18", include_values="true")["values"]["result"] is None
    assert "values" not in get(http, "tasks/order-17")
    assert "values" not in get(http, "tasks", columns="all", limit=1)["tasks"][0]


def test_key_paths_as_columns(client_of: ClientOf) -> None:
    task = Task(
        uuid="a",
        args="(1, <Order 7>)",
        kwargs="{'customer': {'id': 7731, 'name': 'Ann'}, 'note': 'long'}",
        data={"task-progress": {"percent": 40}},
    )
    http = client_of(memory([task]))
    columns = "state,args.1,kwargs.customer.id,kwargs.customer,kwargs.missing,data.task-progress.percent"
    (row,) = get(http, "tasks", columns=columns, text_limit=5)["tasks"]
    assert row == {
        "uuid": "a",
        "state": "PENDING",
        "extracted": {
            "args.1": "<Order 7>",
            "kwargs.customer.id": "7731",
            "kwargs.customer": None,
            "kwargs.missing": None,
            "data.task-progress.percent": "40",
        },
    }


def test_actions_do_not_import_celery_in_the_event_loop() -> None:
    program = (
        "import asyncio, sys\n"
        "from flower.access.permissions import ANONYMOUS\n"
        "from flower.api.context import Context\n"
        "from flower.http.v1.openapi_examples import example_store\n"
        "from flower.http.v1.route import RequestContext\n"
        "from flower.http.v1.tasks import action_context\n"
        "ctx = RequestContext(Context(example_store(), lambda: None, None), ANONYMOUS)\n"
        "print('celery' in sys.modules)\n"
        "asyncio.run(action_context(ctx))\n"
        "print({'flower.cluster.tasks', 'flower.cluster.task_metadata'} <= set(sys.modules))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "False\nTrue\n"
