"""What a monitor shows, read over HTTP only, as one value for both products."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from chaos.monitors import Bellflower, Monitor

PAGE = 1000
TIMES = ("sent_at", "received_at", "started_at", "wait", "clock_offset", "client_offset")


@dataclass(frozen=True, slots=True)
class ShownTask:
    state: str
    worker: str | None
    #: the task is marked as lost
    lost: bool
    #: the source of the state, if it is not the events of the task
    source: str | None
    wait: float | None
    #: the state of each attempt, oldest first
    attempts: tuple[str | None, ...] = ()
    #: sent, received, started and the clock offsets, for people
    times: str = ""


@dataclass(frozen=True, slots=True)
class ShownGap:
    """Times in epoch seconds."""

    start: float
    end: float | None
    cause: str
    worker: str | None


@dataclass(slots=True)
class View:
    tasks: dict[str, ShownTask] = field(default_factory=dict)
    gaps: list[ShownGap] = field(default_factory=list)
    is_recording: bool = True
    #: (place, worker) to alive, dead or unknown (None)
    worker_signs: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    #: name of a number to (place to value)
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    #: why a place could not be read
    errors: list[str] = field(default_factory=list)

    def add_number(self, name: str, place: str, value: float) -> None:
        self.numbers.setdefault(name, {})[place] = value


def read_view(monitor: Monitor) -> View:
    """Everything that the monitor shows now. A place that cannot be read is listed in `errors`."""
    view = View()
    readers: list[Callable[[Monitor, View], None]] = [_read_flower_tasks, _read_metrics, _read_workers, _read_datatable]
    if isinstance(monitor, Bellflower):
        readers = [_read_status, _read_tasks, *readers, _read_v1_workers, _read_v1_numbers]
    for read in readers:
        try:
            read(monitor, view)
        except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
            view.errors.append(f"{read.__name__}: {error!r}")
    return view


def _get(monitor: Monitor, path: str, **params: Any) -> Any:
    answer = monitor.http.get(path, params=params)
    answer.raise_for_status()
    return answer.json()


def _read_status(monitor: Monitor, view: View) -> None:
    status = _get(monitor, "/api/v1/status")
    view.is_recording = bool(status["recording"])
    rows = status["gaps"]
    with suppress(httpx.HTTPStatusError):
        rows = _get(monitor, "/api/v1/gaps")["gaps"]
    view.gaps = [
        ShownGap(row["started_at"], row["ended_at"], row.get("cause", row["reason"]), row.get("worker")) for row in rows
    ]


def _read_tasks(monitor: Monitor, view: View) -> None:
    for row in iterate_tasks(monitor):
        lost = row.get("lost")
        view.tasks[row["uuid"]] = ShownTask(
            state=row["state"],
            worker=row.get("worker"),
            lost=lost is not None,
            source=row.get("source"),
            wait=row.get("wait"),
            attempts=tuple(attempt.get("state") for attempt in row["attempts"]),
            times=str({name: row.get(name) for name in TIMES if row.get(name) is not None}),
        )


def iterate_tasks(monitor: Monitor) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"columns": "all", "sort": "written", "limit": PAGE}
        page = _get(monitor, "/api/v1/tasks", **params, **({"cursor": cursor} if cursor else {}))
        yield from page["tasks"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _read_flower_tasks(monitor: Monitor, view: View) -> None:
    tasks = _get(monitor, "/api/tasks")
    states: dict[str, int] = {}
    running = 0
    for uuid, row in tasks.items():
        states[row["state"]] = states.get(row["state"], 0) + 1
        marked = bool(row.get("lost"))
        running += row["state"] == "STARTED" and not marked
        if not isinstance(monitor, Bellflower):
            wait = None
            if row.get("started") and (row.get("sent") or row.get("received")):
                wait = row["started"] - (row.get("sent") or row["received"])
            view.tasks[uuid] = ShownTask(row["state"], row.get("worker"), lost=False, source=None, wait=wait)
    view.add_number("tasks", "/api/tasks", len(tasks))
    view.add_number("running", "/api/tasks", running)
    for state in ("SUCCESS", "FAILURE", "REVOKED"):
        view.add_number(state, "/api/tasks", states.get(state, 0))


def _read_datatable(monitor: Monitor, view: View) -> None:
    params = {
        "draw": 1, "start": 0, "length": 10, "search[value]": "", "order[0][column]": 0, "order[0][dir]": "asc",
        "columns[0][data]": "name",
    }  # fmt: skip
    table = _get(monitor, "/tasks/datatable", **params)
    view.add_number("tasks", "/tasks/datatable", table["recordsTotal"])
    for state in ("SUCCESS", "FAILURE", "REVOKED"):
        filtered = _get(monitor, "/tasks/datatable", **{**params, "search[value]": f"state:{state}"})
        view.add_number(state, "/tasks/datatable", filtered["recordsFiltered"])


def _read_metrics(monitor: Monitor, view: View) -> None:
    answer = monitor.http.get("/metrics")
    answer.raise_for_status()
    events: dict[str, float] = {}
    executing = 0.0
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name == "flower_events_total":
                kind = sample.labels["type"]
                events[kind] = events.get(kind, 0) + sample.value
            elif sample.name == "flower_worker_number_of_currently_executing_tasks":
                executing += sample.value
            elif sample.name == "flower_worker_online":
                view.worker_signs["/metrics", sample.labels["worker"]] = sample.value > 0
            elif sample.name == "flower_store_tasks":
                view.add_number("tasks", "/metrics", sample.value)
    view.add_number("running", "/metrics", executing)
    for kind in ("task-succeeded", "task-failed", "task-revoked"):
        view.add_number(kind, "/metrics", events.get(kind, 0))


def _read_workers(monitor: Monitor, view: View) -> None:
    rows = _get(monitor, "/workers", json=1)["data"]
    active = 0
    for row in rows:
        view.worker_signs["/workers", row["hostname"]] = row["status"]
        active += row.get("active") or 0
    view.add_number("running", "/workers", active)
    for kind in ("task-succeeded", "task-failed", "task-revoked"):
        view.add_number(kind, "/workers", sum(row.get(kind) or 0 for row in rows))
    for name, alive in _get(monitor, "/api/workers", status=1).items():
        view.worker_signs["/api/workers", name] = alive


def _read_v1_workers(monitor: Monitor, view: View) -> None:
    for row in _get(monitor, "/api/v1/workers")["workers"]:
        # These states report that the worker's life is not known.
        unknown = row.get("state") in ("unknown", "no_heartbeats")
        view.worker_signs["/api/v1/workers", row["name"]] = None if unknown else row["alive"]
    # All places use the same judgement; the others have no third value.
    for (_, name), alive in list(view.worker_signs.items()):
        if view.worker_signs.get(("/api/v1/workers", name), alive) is None:
            for place in ("/metrics", "/workers", "/api/workers"):
                view.worker_signs[place, name] = None


def _read_v1_numbers(monitor: Monitor, view: View) -> None:
    listed = view.tasks.values()
    view.add_number("tasks", "/api/v1/tasks", len(view.tasks))
    view.add_number("tasks", "/api/v1/count", _get(monitor, "/api/v1/count")["count"])
    view.add_number("running", "/api/v1/tasks", sum(task.state == "STARTED" and not task.lost for task in listed))
    view.add_number("running", "is:running", _get(monitor, "/api/v1/count", query="is:running")["count"])
    histogram = _get(monitor, "/api/v1/histogram")
    statistics = _get(monitor, "/api/v1/stats", group_by="state")
    facets = _get(monitor, "/api/v1/facets", facets="state")
    _add_state_numbers(view, histogram, statistics, facets)
    for state in ("SUCCESS", "FAILURE", "REVOKED"):
        view.add_number(state, "/api/v1/tasks", sum(task.state == state for task in listed))
        view.add_number(state, "/api/v1/count", _get(monitor, "/api/v1/count", query=f"state:{state}")["count"])
    for kind, state in (("task-succeeded", "SUCCESS"), ("task-failed", "FAILURE"), ("task-revoked", "REVOKED")):
        ends = sum(task.attempts.count(state) for task in listed)
        # Ends that another source proves are not events.
        ends -= sum(task.source is not None and task.state == state for task in listed)
        view.add_number(kind, "attempts in /api/v1/tasks", ends)


def _add_state_numbers(
    view: View, histogram: Mapping[str, Any], statistics: Mapping[str, Any], facets: Mapping[str, Any]
) -> None:
    by_facet = {value["value"]: value["count"] for value in facets["facets"]["state"]["values"]}
    by_group = statistics["total"]["states"]
    by_bucket = {state: sum(counts) for state, counts in histogram["states"].items()}
    for state in ("SUCCESS", "FAILURE", "REVOKED"):
        for place, counts in (("facets", by_facet), ("stats", by_group), ("histogram", by_bucket)):
            view.add_number(state, f"/api/v1/{place}", counts.get(state, 0))
    view.add_number("tasks", "/api/v1/facets", facets["count"])
    view.add_number("tasks", "/api/v1/stats", statistics["total"]["count"])
    view.add_number("tasks", "/api/v1/histogram", sum(by_bucket.values()))
