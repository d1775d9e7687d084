"""The requests of the benchmark, and the measurements made of their responses."""

import http.server
import json
import random
import threading
from collections.abc import Iterator

import pytest

from bench.dataset import Dataset
from bench.event_stream import NOTES, Workload
from bench.http_timing import make_measurements, time_request, time_requests
from bench.paired_requests import table_lines
from bench.query_mix import QueryRow, Request, query_rows
from bench.results import Measurement, Target, p95_sample, percentile, single_sample
from bench.visibility_check import HttpClient
from flower.search.parser import parse_search
from flower.search.tree import EVERYTHING

DATASET = Dataset(3_000, now=1_790_000_000.0)
KINDS = [(row, kind) for row in query_rows(DATASET) for kind in row.kinds]


@pytest.mark.parametrize(("row", "kind"), KINDS, ids=lambda value: value.name if isinstance(value, QueryRow) else value)
def test_every_query_is_valid(row: QueryRow, kind: str) -> None:
    rng = random.Random(3)
    for _ in range(30):
        request = row.kinds[kind](rng)
        query = request.parameters.get("query", "")
        assert (parse_search(query) == EVERYTHING) == (query == "")


def test_table_has_the_documented_rows_and_targets() -> None:
    targets = {
        row.name: (row.target(1_000_000), row.target(10_000_000), row.target(10_000_001)) for row in query_rows(DATASET)
    }
    assert targets["first page, any key"] == (10, 30, None)
    assert targets["page with filters"] == (15, 40, None)
    assert targets["task by id"] == (3, 5, None)
    assert len(targets) == 13


def test_parameters_vary() -> None:
    rng = random.Random(1)
    once = {"sort", "everything", "last activity"}
    for row, kind in KINDS:
        rows = {str(row.kinds[kind](rng)) for _ in range(30)}
        assert len(rows) > 1 or row.name == "first page, any key" or any(word in kind for word in once)


def test_paired_requests_are_equivalent() -> None:
    workload = Workload(3_000, pace=11, notes=True)
    rng = random.Random(2)
    for line in table_lines(workload):
        for api, make in line.apis.items():
            for _ in range(20):
                flower, bellflower = make(rng)
                if api == "API":
                    assert flower == bellflower
                else:
                    assert flower.parameters["search[value]"] == bellflower.parameters["query"]
                    assert flower.parameters["start"] == bellflower.parameters["offset"]
                parse_search(flower.parameters.get("search") or flower.parameters.get("search[value]"))


def test_notes_are_in_the_arguments_of_some_tasks() -> None:
    without_notes, with_notes = Workload(400, pace=11), Workload(400, pace=11, notes=True)
    assert without_notes.outcomes().keys() == with_notes.outcomes().keys()
    notes = [each.kwargs for each in with_notes.outcomes().values() if "'note'" in each.kwargs]
    assert len(notes) == 10
    assert sum(NOTES[0] in kwargs for kwargs in notes) == 2
    assert not any("'note'" in each.kwargs for each in without_notes.outcomes().values())


def test_percentile_uses_the_nearest_rank() -> None:
    values = list(map(float, range(1, 101)))
    assert [percentile(values, percent) for percent in (50, 95, 100)] == [50, 95, 100]
    assert percentile([7.0], 95) == 7
    assert percentile([1.0, 2.0], 95) == 2
    sample = p95_sample(values[::-1])
    assert (sample.value, sample.low, sample.high) == (95, 1, 100)


def test_speedup_target() -> None:
    target = Target("faster", ">=", 30)
    measurement = Measurement("page", "ms", {"flower": single_sample(300.0), "bellflower": single_sample(9.0)}, target)
    assert measurement.compared_value == pytest.approx(33.3, abs=0.1)
    assert measurement.met is True
    assert (
        Measurement(
            "page", "ms", {"flower": single_sample(300.0), "bellflower": single_sample(float("inf"))}, target
        ).met
        is False
    )
    assert Measurement("page", "ms", {"bellflower": single_sample(9.0)}, target).met is None


class Server(http.server.BaseHTTPRequestHandler):
    """Responds by path, as the product does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, response = {
            "/good": (200, {"uuid": "abc"}),
            "/partial": (200, {"count": 3, "partial": "narrow it"}),
        }.get(self.path.partition("?")[0], (404, {"error": {"message": "no such page"}}))
        body = json.dumps(response).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[HttpClient]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = HttpClient(server.server_address[1])
    yield client
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_wrong_response_is_an_error(client: HttpClient) -> None:
    assert time_request(client, Request("/good", {"a": "b c"}, "abc")).error is None
    assert "does not contain" in (time_request(client, Request("/good", {}, "xyz")).error or "")
    assert (time_request(client, Request("/partial", {})).error or "") == "partial: narrow it"
    assert (time_request(client, Request("/bad", {})).error or "").startswith("404: ")
    client.close()
    client.port = 1
    assert "Refused" in (time_request(client, Request("/good", {})).error or "")


def test_row_with_errors_misses_its_target(client: HttpClient) -> None:
    rows = (
        QueryRow("good", (1e6, 1e6), {"one": lambda rng: Request("/good", {})}),
        QueryRow(
            "mixed", (1e6, 1e6), {"one": lambda rng: Request("/good", {}), "two": lambda rng: Request("/bad", {})}
        ),
        QueryRow("never", (1e6, 1e6), {"one": lambda rng: Request("/bad", {})}),
    )
    times = time_requests(client, rows, random.Random(1), rounds=4)
    assert len(times["good"]["one"].milliseconds) == 4
    assert len(times["mixed"]["two"].errors) == 3  # MAX_ERRORS
    measurements = {measurement.name: measurement for measurement in make_measurements("x", rows, times, 1_000)}
    assert {name: measurement.met for name, measurement in measurements.items()} == {
        "x: good": True,
        "x: mixed": False,
        "x: mixed: two": False,
        "x: never": False,
    }
    assert "404" in measurements["x: never"].note
    assert measurements["x: good"].note.startswith("n 4, p50 ")


def test_slow_kind_has_its_own_measurement() -> None:
    rows = (QueryRow("row", (10, 10), {"fast": lambda rng: Request("", {}), "slow": lambda rng: Request("", {})}),)
    times = time_requests(HttpClient(1), rows, random.Random(1), rounds=0)
    times["row"]["fast"].milliseconds = [1.0] * 99
    times["row"]["slow"].milliseconds = [25.0]
    measurements = make_measurements("x", rows, times, 1_000)
    assert [(measurement.name, measurement.met) for measurement in measurements] == [
        ("x: row", True),
        ("x: row: slow", False),
    ]
    assert make_measurements("x", rows, times, 1_000, factor=3)[-1].name == "x: row"
    assert make_measurements("x", rows, times, 20_000_000)[0].met is None


def test_row_without_requests_neither_meets_nor_misses_its_target() -> None:
    rows = (QueryRow("row", (10, 10), {"one": lambda rng: Request("", {})}),)
    times = time_requests(HttpClient(1), rows, random.Random(1), rounds=0)
    (measurement,) = make_measurements("x", rows, times, 1_000)
    assert measurement.met is None
    assert measurement.note == "no requests"
