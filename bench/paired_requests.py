"""Equivalent requests to Flower and Bellflower: in Flower's API, which both have, and in the API of the tasks page:
`/tasks/datatable` of Flower and `/api/v1/tasks` of Bellflower. The tasks are those of a `Workload` with notes."""

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bench.event_stream import NAMES, NOTES, THINGS, TOWNS, WEIGHTS, WORKERS, Workload, order_number
from bench.failure_fixtures import random_phrase
from bench.query_mix import PAGE, Request
from bench.search_mix import quoted

#: Sort keys of Flower's API; None is its default order.
API_KEYS = (None, "name", "received", "started", "state")
#: Columns of Flower's page that are sort keys of Bellflower as well.
PAGE_KEYS = ("name", "state", "received", "started", "runtime", "worker")
STATES = ("FAILURE", "SUCCESS", "REVOKED", "STARTED")


class RequestPair(NamedTuple):
    flower: Request
    bellflower: Request


MakePair = Callable[[random.Random], RequestPair]


class TableLine(NamedTuple):
    """A row of the table: the speedup to reach, and the requests in the two APIs."""

    name: str
    min_speedup: float
    apis: Mapping[str, MakePair]


def table_lines(workload: Workload) -> tuple[TableLine, ...]:
    low, high = int(0.88 * workload.tasks), int(0.92 * workload.tasks)

    def deep(rng: random.Random) -> int:
        return rng.randint(low, high)

    def rare(rng: random.Random) -> str:
        return order_number(rng.randrange(workload.tasks))

    return (
        TableLine("first page, any key", 30, {"API": _api_page(), "page": _table_page()}),
        TableLine("page with filters", 10, {"API": _api_filters(workload), "page": _search(_filters)}),
        TableLine("offset 90 %", 30, {"API": _api_page(deep), "page": _table_page(deep)}),
        TableLine("rare text", 10, {"API": _api_search(rare), "page": _search(rare)}),
        TableLine("common text", 10, {"API": _api_search(_common), "page": _search(_common)}),
        TableLine("phrase of 30", 10, {"API": _api_search(_phrase), "page": _search(_phrase)}),
    )


def _none(rng: random.Random) -> int:
    return 0


def _api(**parameters: Any) -> RequestPair:
    request = Request("/api/tasks", {"limit": PAGE, **parameters})
    return RequestPair(request, request)


def _api_page(offset: Callable[[random.Random], int] = _none) -> MakePair:
    def make(rng: random.Random) -> RequestPair:
        key = rng.choice(API_KEYS)
        order = {} if key is None else {"sort_by": rng.choice(("", "-")) + key}
        return _api(offset=offset(rng), **order)

    return make


def _api_filters(workload: Workload) -> MakePair:
    """One to four of state, type, worker, and a start of the time window."""

    def make(rng: random.Random) -> RequestPair:
        start = workload.start + rng.random() * workload.tasks / workload.pace
        possible = {
            "state": rng.choice(STATES),
            "taskname": rng.choices(NAMES, WEIGHTS)[0],
            "workername": rng.choice(WORKERS),
            "received_start": f"{datetime.fromtimestamp(start):%Y-%m-%d %H:%M}",
        }
        return _api(**{name: possible[name] for name in rng.sample(tuple(possible), rng.randint(1, len(possible)))})

    return make


def _api_search(search: Callable[[random.Random], str]) -> MakePair:
    return lambda rng: _api(search=search(rng))


def _table(
    rng: random.Random, search: str = "", key: str = "received", *, down: bool = True, offset: int = 0
) -> RequestPair:
    table = {
        "draw": rng.randint(1, 1_000), "start": offset, "length": PAGE, "search[value]": search,
        "columns[0][data]": key, "order[0][column]": 0, "order[0][dir]": "desc" if down else "asc",
    }  # fmt: skip
    v1_page = {"query": search, "sort": f"{'-' if down else ''}{key}", "limit": PAGE, "offset": offset}
    return RequestPair(Request("/tasks/datatable", table), Request("/api/v1/tasks", v1_page))


def _table_page(offset: Callable[[random.Random], int] = _none) -> MakePair:
    return lambda rng: _table(rng, key=rng.choice(PAGE_KEYS), down=rng.choice((True, False)), offset=offset(rng))


def _search(search: Callable[[random.Random], str]) -> MakePair:
    return lambda rng: _table(rng, search(rng))


def _filters(rng: random.Random) -> str:
    """Filters as Flower's page has them: words in the search."""
    possible = (
        f"state:{rng.choice(STATES)}",
        f"name:{rng.choices(NAMES, WEIGHTS)[0]}",
        f"worker:{rng.choice(WORKERS)}",
    )
    return " ".join(rng.sample(possible, rng.randint(1, len(possible))))


def _common(rng: random.Random) -> str:
    return rng.choice((*TOWNS, *THINGS, "example.com", "customer"))


def _phrase(rng: random.Random) -> str:
    """A phrase from a note, because Flower does not search tracebacks."""
    return quoted(random_phrase(rng, NOTES))
