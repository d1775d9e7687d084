"""The DataTables route, and `format_task` in everything that shows a task."""

from types import SimpleNamespace
from typing import Any

import pytest

from flower.api.format_task import with_format_task
from flower.records import Task
from flower.store.protocols import Batch, Reader, Writer
from tests.helpers.web_server import Live

FIELDS = ["name", "uuid", "state", "args", "retries", "received", "runtime", "worker"]


def params(**more: Any) -> dict[str, Any]:
    columns = {f"columns[{place}][data]": name for place, name in enumerate(FIELDS)}
    return {**columns, "draw": 3, "start": 0, "length": 10, "order[0][column]": 5, "order[0][dir]": "desc", **more}


def by(field: str, direction: str = "asc") -> dict[str, Any]:
    return {"order[0][column]": FIELDS.index(field), "order[0][dir]": direction}


def ids(response: Any) -> list[str]:
    return [task["uuid"] for task in response["data"]]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_protocol(live: Live, method: str) -> None:
    given = params(length=2)
    response = (live.http.get("/tasks/datatable", params=given) if method == "GET"
              else live.http.post("/tasks/datatable", data=given))  # fmt: skip
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    result = response.json()
    assert {key: result[key] for key in ("draw", "recordsTotal", "recordsFiltered")} == {
        "draw": 3, "recordsTotal": 4, "recordsFiltered": 4,
    }  # fmt: skip
    assert ids(result) == ["b", "a"]
    assert result["data"][1] == live.http.get("/api/task/info/a").json()


@pytest.mark.parametrize("missing", ["draw", "start", "length", "order[0][column]"])
def test_required_parameters(live: Live, missing: str) -> None:
    without = {key: value for key, value in params().items() if key != missing}
    response = live.http.get("/tasks/datatable", params=without)
    assert (response.status_code, response.text) == (400, f"Missing argument {missing}")
    assert live.http.get("/tasks/datatable", params=params(**{missing: "x"})).status_code == 400


def test_search_and_search_errors(live: Live) -> None:
    result = live.http.get("/tasks/datatable", params=params(**{"search[value]": "state:FAILURE"})).json()
    assert (ids(result), result["recordsTotal"], result["recordsFiltered"]) == (["b"], 4, 1)
    wrong = live.http.get("/tasks/datatable", params=params(**{"search[value]": '"open'}))
    assert wrong.status_code == 200
    assert wrong.json()["searchError"].endswith("at position 0.")
    assert (wrong.json()["data"], wrong.json()["recordsFiltered"], wrong.json()["recordsTotal"]) == ([], 0, 4)


def test_sorting(live: Live, writer: Writer) -> None:
    more = [Task(uuid=f"r{number}", retries=number, received=1.0, timestamp=1.0) for number in (10, 2)]
    writer.write(Batch(new=more))

    def order(field: str, direction: str) -> list[str]:
        return ids(live.http.get("/tasks/datatable", params=params(**by(field, direction))).json())

    ascending = order("retries", "asc")
    assert ascending[-4:] == ["a", "b", "r2", "r10"]  # as numbers; what has none comes first
    assert order("retries", "desc")[:4] == ["r10", "r2", "b", "a"]
    assert order("received", "asc")[0] == "c/d"
    assert order("received", "desc")[-1] == "c/d"
    assert order("name", "asc")[2:] == ["<script>alert(1)</script>/a b", "a", *order("name", "asc")[4:]]
    unknown = params(**{"order[0][column]": 77})
    assert ids(live.http.get("/tasks/datatable", params=unknown).json())[0] == "<script>alert(1)</script>/a b"


def test_all_rows_and_slices(live: Live) -> None:
    def rows(**given: Any) -> list[str]:
        return ids(live.http.get("/tasks/datatable", params=params(**given)).json())

    everything = rows(length=-1)
    assert len(everything) == 4
    assert rows(start=1, length=2) == everything[1:3]
    assert (rows(start=9), rows(length=0)) == ([], [])
    assert rows(start=-3) == everything


def masking(task: Any) -> Any:
    task.kwargs = "hidden"
    task.result = [1]
    task.worker.hostname  # noqa: B018 - as functions of users read it, and it is missing in some
    return task


@pytest.mark.parametrize(
    "path", ["/api/tasks", "/api/task/info/a", "/tasks/datatable", "/api/v1/tasks", "/api/v1/tasks/a"]
)
def test_format_task_is_applied_everywhere(store: Reader, opened: None, path: str) -> None:
    with Live(with_format_task(store, masking)) as live:
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
