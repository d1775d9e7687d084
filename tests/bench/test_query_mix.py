"""What is asked, and what is made of the answers."""

import http.server
import json
import random
import threading
from collections.abc import Iterator

import pytest

from bench.dataset import Population
from bench.event_stream import NOTES, Workload
from bench.http_timing import ask, figures, interview
from bench.paired_requests import lines
from bench.query_mix import Request, Row, rows
from bench.results import Bar, Figure, percentile, single, slow_end
from bench.visibility_check import View
from flower.search.parser import parse_search
from flower.search.tree import EVERYTHING

POPULATION = Population(3_000, now=1_790_000_000.0)
KINDS = [(row, kind) for row in rows(POPULATION) for kind in row.kinds]


@pytest.mark.parametrize(("row", "kind"), KINDS, ids=lambda value: value.name if isinstance(value, Row) else value)
def test_every_question_is_in_the_language(row: Row, kind: str) -> None:
    chance = random.Random(3)
    for _ in range(30):
        request = row.kinds[kind](chance)
        query = request.parameters.get("query", "")
        assert (parse_search(query) == EVERYTHING) == (query == "")


def test_the_table_has_the_rows_and_bars_of_the_issue() -> None:
    bars = {row.name: (row.bar(1_000_000), row.bar(10_000_000), row.bar(10_000_001)) for row in rows(POPULATION)}
    assert bars["first page, any key"] == (10, 30, None)
    assert bars["page with filters"] == (15, 40, None)
    assert bars["task by id"] == (3, 5, None)
    assert len(bars) == 13


def test_parameters_vary() -> None:
    chance = random.Random(1)
    once = {"sort", "everything", "last activity"}
    for row, kind in KINDS:
        asked = {str(row.kinds[kind](chance)) for _ in range(30)}
        assert len(asked) > 1 or row.name == "first page, any key" or any(word in kind for word in once)


def test_both_systems_are_asked_the_same() -> None:
    workload = Workload(3_000, pace=11, notes=True)
    chance = random.Random(2)
    for line in lines(workload):
        for way, make in line.ways.items():
            for _ in range(20):
                theirs, ours = make(chance)
                if way == "API":
                    assert theirs == ours
                else:
                    assert theirs.parameters["search[value]"] == ours.parameters["query"]
                    assert theirs.parameters["start"] == ours.parameters["offset"]
                parse_search(theirs.parameters.get("search") or theirs.parameters.get("search[value]"))


def test_notes_are_in_the_arguments_of_some() -> None:
    quiet, noted = Workload(400, pace=11), Workload(400, pace=11, notes=True)
    assert quiet.outcomes().keys() == noted.outcomes().keys()
    with_notes = [each.kwargs for each in noted.outcomes().values() if "'note'" in each.kwargs]
    assert len(with_notes) == 10
    assert sum(NOTES[0] in kwargs for kwargs in with_notes) == 2
    assert not any("'note'" in each.kwargs for each in quiet.outcomes().values())


def test_percentiles_are_by_nearest_rank() -> None:
    rising = list(map(float, range(1, 101)))
    assert [percentile(rising, percent) for percent in (50, 95, 100)] == [50, 95, 100]
    assert percentile([7.0], 95) == 7
    assert percentile([1.0, 2.0], 95) == 2
    sample = slow_end(rising[::-1])
    assert (sample.value, sample.low, sample.high) == (95, 1, 100)


def test_how_many_times_faster() -> None:
    bar = Bar("faster", ">=", 30)
    figure = Figure("page", "ms", {"flower": single(300.0), "bellflower": single(9.0)}, bar)
    assert figure.compared == pytest.approx(33.3, abs=0.1)
    assert figure.met is True
    assert Figure("page", "ms", {"flower": single(300.0), "bellflower": single(float("inf"))}, bar).met is False
    assert Figure("page", "ms", {"bellflower": single(9.0)}, bar).met is None


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by the path, as the product might."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, answer = {
            "/good": (200, {"uuid": "abc"}),
            "/partial": (200, {"count": 3, "partial": "narrow it"}),
        }.get(self.path.partition("?")[0], (404, {"error": {"message": "no such page"}}))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def view() -> Iterator[View]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    view = View(server.server_address[1])
    yield view
    view.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer_that_is_wrong_is_an_error(view: View) -> None:
    assert ask(view, Request("/good", {"a": "b c"}, "abc")).error is None
    assert "does not hold" in (ask(view, Request("/good", {}, "xyz")).error or "")
    assert (ask(view, Request("/partial", {})).error or "") == "partial: narrow it"
    assert (ask(view, Request("/bad", {})).error or "").startswith("404: ")
    view.close()
    view.port = 1
    assert "Refused" in (ask(view, Request("/good", {})).error or "")


def test_a_row_with_errors_has_missed_its_bar(view: View) -> None:
    asked = (
        Row("good", (1e6, 1e6), {"one": lambda chance: Request("/good", {})}),
        Row(
            "mixed", (1e6, 1e6), {"one": lambda chance: Request("/good", {}), "two": lambda chance: Request("/bad", {})}
        ),
        Row("never", (1e6, 1e6), {"one": lambda chance: Request("/bad", {})}),
    )
    times = interview(view, asked, random.Random(1), rounds=4)
    assert len(times["good"]["one"].milliseconds) == 4
    assert len(times["mixed"]["two"].errors) == 3  # it is given up then
    made = {figure.name: figure for figure in figures("x", asked, times, 1_000)}
    assert {name: figure.met for name, figure in made.items()} == {
        "x: good": True,
        "x: mixed": False,
        "x: mixed: two": False,
        "x: never": False,
    }
    assert "404" in made["x: never"].note
    assert made["x: good"].note.startswith("n 4, p50 ")


def test_a_slow_kind_is_told_from_its_row() -> None:
    asked = (Row("row", (10, 10), {"fast": lambda chance: Request("", {}), "slow": lambda chance: Request("", {})}),)
    times = interview(View(1), asked, random.Random(1), rounds=0)
    times["row"]["fast"].milliseconds = [1.0] * 99
    times["row"]["slow"].milliseconds = [25.0]
    made = figures("x", asked, times, 1_000)
    assert [(figure.name, figure.met) for figure in made] == [("x: row", True), ("x: row: slow", False)]
    assert figures("x", asked, times, 1_000, factor=3)[-1].name == "x: row"
    assert figures("x", asked, times, 20_000_000)[0].met is None


def test_what_nobody_asked_is_neither_met_nor_missed() -> None:
    asked = (Row("row", (10, 10), {"one": lambda chance: Request("", {})}),)
    times = interview(View(1), asked, random.Random(1), rounds=0)
    (figure,) = figures("x", asked, times, 1_000)
    assert figure.met is None
    assert figure.note == "not asked"
