"""The DataTables route."""

from typing import Any

import pytest

from flower.records import Task
from flower.store.protocols import Batch, Writer
from tests.helpers.web_server import WebServer

FIELDS = ["name", "uuid", "state", "args", "retries", "received", "runtime", "worker"]


def params(**more: Any) -> dict[str, Any]:
    columns = {f"columns[{place}][data]": name for place, name in enumerate(FIELDS)}
    return {**columns, "draw": 3, "start": 0, "length": 10, "order[0][column]": 5, "order[0][dir]": "desc", **more}


def by(field: str, direction: str = "asc") -> dict[str, Any]:
    return {"order[0][column]": FIELDS.index(field), "order[0][dir]": direction}


def ids(response: Any) -> list[str]:
    return [task["uuid"] for task in response["data"]]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_protocol(live: WebServer, method: str) -> None:
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
def test_required_parameters(live: WebServer, missing: str) -> None:
    without = {key: value for key, value in params().items() if key != missing}
    response = live.http.get("/tasks/datatable", params=without)
    assert (response.status_code, response.text) == (400, f"Missing argument {missing}")
    assert live.http.get("/tasks/datatable", params=params(**{missing: "x"})).status_code == 400


def test_search_and_search_errors(live: WebServer) -> None:
    result = live.http.get("/tasks/datatable", params=params(**{"search[value]": "state:FAILURE"})).json()
    assert (ids(result), result["recordsTotal"], result["recordsFiltered"]) == (["b"], 4, 1)
    wrong = live.http.get("/tasks/datatable", params=params(**{"search[value]": '"open'}))
    assert wrong.status_code == 200
    assert wrong.json()["searchError"].endswith("at position 0.")
    assert (wrong.json()["data"], wrong.json()["recordsFiltered"], wrong.json()["recordsTotal"]) == ([], 0, 4)


def test_sorting(live: WebServer, writer: Writer) -> None:
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


def test_all_rows_and_slices(live: WebServer) -> None:
    def rows(**given: Any) -> list[str]:
        return ids(live.http.get("/tasks/datatable", params=params(**given)).json())

    everything = rows(length=-1)
    assert len(everything) == 4
    assert rows(start=1, length=2) == everything[1:3]
    assert (rows(start=9), rows(length=0)) == ([], [])
    assert rows(start=-3) == everything
