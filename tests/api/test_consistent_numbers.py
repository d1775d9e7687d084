"""Every place shows the same numbers, for a store after faults: duplicated and reordered events, lost tasks, a double
run, tasks that no worker received."""

import csv
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flower.cli.main import commands
from flower.recorder import Recorder, RecorderTuning
from flower.records import Event, Evidence, Lost, WorkerAnswer
from flower.store.factory import open_reader, open_writer
from tests.helpers.cli_runner import create_runner
from tests.helpers.prometheus_scrape import ScrapedMetrics
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer
from tests.test_recorder import FakeCapture

A, B = "celery@a", "celery@b"
NAMES = ("shop.order", "shop.mail")
#: The tasks by state, as they are after all events.
STATES = {"SUCCESS": 14, "FAILURE": 4, "RETRY": 2, "REVOKED": 1, "PENDING": 3, "RECEIVED": 3, "STARTED": 4}
#: A double run at two workers, one task that runs, two that are lost.
RUNNING, LOST, RETRIES = 2, 2, 3 * 2 + 2
WINDOW = {"start": "-1h"}


class Answers:
    """A source of observations that returns given ones once."""

    def __init__(self) -> None:
        self.given: list[Evidence | WorkerAnswer] = []

    def read(self) -> list[Evidence | WorkerAnswer]:
        given, self.given = self.given, []
        return given

    def status(self) -> dict[str, Any]:
        return {}


class History:
    """The events of tasks, each event later than the one before."""

    def __init__(self, now: float) -> None:
        self.events: list[Event] = []
        self._at = now - 600.0
        self._number = 0

    def add(self, *kinds: str, uuid: str = "", host: str = A, retries: int = 0, **fields: Any) -> str:
        if not uuid:
            self._number += 1
            uuid = f"{self._number:08d}-0000-4000-8000-000000000000"
        name = NAMES[int(uuid[:8]) % 2]
        for kind in kinds:
            self._at += 0.25
            described = kind in ("sent", "received")
            self.events.append(
                Event(
                    type=f"task-{kind}", uuid=uuid, timestamp=self._at, pid=None if kind == "sent" else 7,
                    hostname="client@web" if kind == "sent" else host, name=name if described else None,
                    queue="shop" if kind == "sent" else None, args="(1,)" if described else None,
                    kwargs="{}" if described else None, retries=retries if described else None,
                    runtime=0.25 if kind == "succeeded" else None,
                    **(fields if kind in ("failed", "retried") else {}),
                )
            )  # fmt: skip
        return uuid


def build_history(now: float) -> tuple[list[Event], list[str]]:
    """The events, and the ids of the tasks that will be lost."""
    history = History(now)
    error: dict[str, Any] = {"exception": "Declined('no')", "traceback": "Traceback: no"}
    for _ in range(11):
        history.add("sent", "received", "started", "succeeded")
    for _ in range(3):
        uuid = history.add("sent", "received", "started", "retried", **error)
        history.add("sent", "received", "started", "retried", uuid=uuid, retries=1, **error)
        history.add("sent", "received", "started", "succeeded", uuid=uuid, retries=2, host=B)
    for _ in range(4):
        history.add("sent", "received", "started", "failed", host=B, **error)
    for _ in range(2):
        history.add("sent", "received", "started", "retried", **error)
    history.add("sent", "received", "revoked")
    for _ in range(3):
        history.add("sent")
    for _ in range(3):
        history.add("sent", "received", host=B)
    history.add("sent", "received", "started")
    twice = history.add("sent", "received", "started")
    history.add("received", "started", uuid=twice, host=B)
    lost = [history.add("sent", "received", "started", host=B) for _ in range(2)]
    return history.events, lost


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a recorder has written from these events: some twice, some out of order."""
    path = tmp_path_factory.mktemp("numbers") / "data"
    now = time.time()
    events, lost = build_history(now)
    capture, answers = FakeCapture(), Answers()
    writer = open_writer(path, segment_tasks=7, text_index=False)
    recorder = Recorder(capture, writer, tuning=RecorderTuning(max_delay=0.01), observations=answers)
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    reader = open_reader(path)
    heartbeats = [Event(type="worker-heartbeat", timestamp=now - 1, hostname=host, pid=7, freq=2.0) for host in (A, B)]
    capture.give(*heartbeats, *events)
    shuffled = events[:]
    random.Random(13).shuffle(shuffled)
    token = capture.give(*shuffled, *events[::-1])
    wait_for("the events", lambda: capture.acknowledged == token)
    for uuid in lost:
        task = reader.task(uuid)
        assert task is not None
        mark = Lost(now, "worker_offline", "The worker stopped.", ("workers",))
        answers.given.append(Evidence(uuid, "worker", now, None, (task.state, task.timestamp), mark))
    wait_for("the marks", lambda: all((task := reader.task(uuid)) and task.lost for uuid in lost))
    stop.set()
    thread.join(20)
    writer.set_status({"at": time.time(), "running": True, "capture": {"connected": True}})
    writer.close()
    reader.close()
    return path


@pytest.fixture(scope="module")
def http(data: Path) -> Iterator[httpx.Client]:
    reader = open_reader(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
        with WebServer(reader) as server:
            yield server.http
    reader.close()


def get(http: httpx.Client, path: str, **params: Any) -> Any:
    response = http.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


def v1(http: httpx.Client, path: str, **params: Any) -> Any:
    return get(http, f"/api/v1/{path}", **params)


def list_tasks(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """All pages of the list."""
    tasks: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = v1(http, "tasks", columns="all", limit=5, **params, **({"cursor": cursor} if cursor else {}))
        tasks += page["tasks"]
        cursor = page["next_cursor"]
    return tasks


def count_states(tasks: list[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(task["state"] for task in tasks))


def add_up(groups: list[dict[str, Any]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for group in groups:
        total.update(group["states"])
    return dict(total)


def test_numbers_of_tasks_by_state_are_the_same_in_all_places(http: httpx.Client, data: Path) -> None:
    table: dict[str, Any] = {"draw": 1, "start": 0, "length": 1000, "order[0][column]": 0, "order[0][dir]": "asc"}
    for column in range(17):
        table[f"columns[{column}][data]"] = "name"
    places = {
        "list": count_states(list_tasks(http)),
        "list within a window": count_states(list_tasks(http, **WINDOW)),
        "export": count_states([json.loads(line) for line in http.get("/api/v1/export").text.splitlines()]),
        "count": {state: v1(http, "count", query=f"state:{state}", **WINDOW)["count"] for state in STATES},
        "facets": {
            each["value"]: each["count"] for each in v1(http, "facets", facets="state")["facets"]["state"]["values"]
        },
        "histogram": {state: sum(counts) for state, counts in v1(http, "histogram", **WINDOW)["states"].items()},
        "statistics": v1(http, "stats")["total"]["states"],
        "statistics by name": add_up(v1(http, "stats", group_by="name")["groups"]),
        "statistics over time": add_up(v1(http, "stats", group_by="time", **WINDOW)["groups"]),
        "Flower's tasks": count_states(list(get(http, "/api/tasks", limit=1000).values())),
        "Flower's table": count_states(get(http, "/tasks/datatable", **table)["data"]),
        "command line": json.loads(run(data, "stats", "--json").stdout)["total"]["states"],
        "command line within a window": json.loads(run(data, "stats", "--since", "1h", "--json").stdout)["total"][
            "states"
        ],
        "command line list": dict(
            Counter(row["state"] for row in csv.DictReader(io.StringIO(run(data, "tasks", "--all", "--csv").stdout)))
        ),
    }
    assert places == dict.fromkeys(places, STATES)


def run(data: Path, *arguments: str) -> Any:
    result = create_runner().invoke(commands, [*arguments, "--db", str(data)])
    assert result.exit_code == 0, result.output
    return result


def test_running_tasks_are_the_same_in_all_places(http: httpx.Client, data: Path) -> None:
    """Those that a worker runs, also of one that is not alive; not the lost ones."""
    scraped = ScrapedMetrics(http.get("/metrics").text)
    places = {
        "list": len(list_tasks(http, query="is:running")),
        "list of started ones": sum(task["lost"] is None for task in list_tasks(http, query="state:STARTED")),
        "count": v1(http, "count", query="is:running")["count"],
        "metrics": scraped.total("flower_worker_number_of_currently_executing_tasks"),
        "workers": sum(worker["active"] for worker in v1(http, "workers")["workers"]),
        "Flower's workers": sum(worker["active"] for worker in get(http, "/workers", json=1)["data"]),
        "command line": len(run(data, "tasks", "is:running", "--all", "--ndjson").stdout.splitlines()),
    }
    assert places == dict.fromkeys(places, RUNNING)


def test_worker_pages_show_the_numbers_of_the_lists(http: httpx.Client) -> None:
    table = {row["hostname"]: row for row in get(http, "/workers", json=1)["data"]}
    for host in (A, B):
        tasks = list_tasks(http, query=f"worker:={host}")
        page = v1(http, f"workers/{host}")
        assert (page["task_count"], page["states"]) == (len(tasks), count_states(tasks))
        ended = [
            attempt["state"] for task in list_tasks(http) for attempt in task["attempts"]
            if attempt.get("worker") == host and attempt.get("state")
        ]  # fmt: skip
        shown = {kind: table[host].get(f"task-{kind}") or 0 for kind in ("succeeded", "failed", "retried")}
        assert shown == {
            "succeeded": ended.count("SUCCESS"), "failed": ended.count("FAILURE"), "retried": ended.count("RETRY"),
        }  # fmt: skip


def test_lost_tasks_are_the_same_in_all_places(http: httpx.Client, data: Path) -> None:
    places = {
        "list": sum(task["lost"] is not None for task in list_tasks(http)),
        "search": len(list_tasks(http, query="is:lost")),
        "count": v1(http, "count", query="is:lost", **WINDOW)["count"],
        "Flower's tasks": sum("lost" in task for task in get(http, "/api/tasks", limit=1000).values()),
        "command line": len(run(data, "tasks", "is:lost", "--all", "--ndjson").stdout.splitlines()),
    }
    assert places == dict.fromkeys(places, LOST)
    assert v1(http, "count", query="is:unfinished")["count"] == sum(
        STATES[state] for state in ("PENDING", "RECEIVED", "STARTED", "RETRY")
    )


def test_retries_are_counted_once(http: httpx.Client) -> None:
    """Every event was delivered three times."""
    attempts = [attempt for task in list_tasks(http) for attempt in task["attempts"]]
    retries = {
        "attempts": sum(attempt.get("state") == "RETRY" for attempt in attempts),
        "statistics": v1(http, "stats")["total"]["retries"],
        "statistics by worker": sum(group["retries"] for group in v1(http, "stats", group_by="worker")["groups"]),
        "statistics over time": sum(
            group["retries"] for group in v1(http, "stats", group_by="time", **WINDOW)["groups"]
        ),
    }
    assert retries == dict.fromkeys(retries, RETRIES)


def test_events_that_are_delivered_again_are_counted_once(http: httpx.Client) -> None:
    """Every event was delivered three times."""
    attempts = [attempt for task in list_tasks(http) for attempt in task["attempts"]]
    scraped = ScrapedMetrics(http.get("/metrics").text)
    counted = {
        kind: scraped.total("flower_events_total", type=f"task-{kind}")
        for kind in ("sent", "started", "retried", "succeeded", "failed", "revoked")
    }
    assert counted == {
        "sent": sum(STATES.values()) + 2 * 3,
        "started": sum(attempt.get("started_at") is not None for attempt in attempts),
        "retried": RETRIES,
        "succeeded": STATES["SUCCESS"],
        "failed": STATES["FAILURE"],
        "revoked": STATES["REVOKED"],
    }


def test_durations_are_the_same_in_all_places(http: httpx.Client, data: Path) -> None:
    tasks = {task["uuid"]: task for task in list_tasks(http)}
    waits = [task["wait"] for task in tasks.values() if task["wait"] is not None]
    # from sent to the first start, without the time between the attempts
    assert set(waits) == {0.5}
    retried = [task for task in tasks.values() if task["backoff"] is not None]
    assert len(retried) == 3
    assert {task["backoff"] for task in retried} == {1.5}
    total = v1(http, "stats")["total"]
    assert total["wait"]["count"] == v1(http, "count", query="wait:0.5")["count"] == len(waits)
    shown = json.loads(run(data, "task", retried[0]["uuid"], "--json").stdout)
    assert (shown["wait"], shown["backoff"]) == (retried[0]["wait"], retried[0]["backoff"])
    scraped = ScrapedMetrics(http.get("/metrics").text)
    assert scraped.total("flower_task_queue_wait_seconds_count") == len(waits)
    assert scraped.total("flower_task_queue_wait_seconds_sum") == sum(waits)
    assert scraped.total("flower_task_backoff_seconds_count") == 2 * len(retried)
    assert scraped.total("flower_task_backoff_seconds_sum") == sum(task["backoff"] for task in retried)


def test_failed_tasks_have_a_derived_run_time(http: httpx.Client) -> None:
    failed = list_tasks(http, query="state:FAILURE runtime:>=0.2")
    assert len(failed) == STATES["FAILURE"]
    assert {(task["runtime"], task["runtime_derived"]) for task in failed} == {(0.25, True)}
    assert {task["runtime_derived"] for task in list_tasks(http, query="state:SUCCESS")} == {False}
    runtimes = v1(http, "stats", query="state:FAILURE")["total"]["runtime"]
    assert runtimes["count"] == STATES["FAILURE"]
    # as in Flower
    assert {task["runtime"] for task in get(http, "/api/tasks", state="FAILURE").values()} == {None}
