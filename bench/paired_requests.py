"""The same question to Flower and to us: in Flower's API, which both have, and as Flower's page asks it (the table's
route) beside our own API. Both are asked about the tasks of a `Workload` with notes."""

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bench.event_stream import NAMES, NOTES, THINGS, TOWNS, WEIGHTS, WORKERS, Workload, order_of
from bench.failure_fixtures import any_phrase
from bench.query_mix import PAGE, Request
from bench.search_mix import quoted

#: What Flower's API can sort by; None is its order if nothing is asked for.
API_KEYS = (None, "name", "received", "started", "state")
#: Columns of Flower's page by which we can sort too.
PAGE_KEYS = ("name", "state", "received", "started", "runtime", "worker")
STATES = ("FAILURE", "SUCCESS", "REVOKED", "STARTED")


class Pair(NamedTuple):
    flower: Request
    bellflower: Request


Make = Callable[[random.Random], Pair]


class Line(NamedTuple):
    """A line of the table: how many times faster it has to be, and the two ways to ask."""

    name: str
    faster: float
    ways: Mapping[str, Make]


def lines(workload: Workload) -> tuple[Line, ...]:
    low, high = int(0.88 * workload.tasks), int(0.92 * workload.tasks)

    def deep(chance: random.Random) -> int:
        return chance.randint(low, high)

    def rare(chance: random.Random) -> str:
        return order_of(chance.randrange(workload.tasks))

    return (
        Line("first page, any key", 30, {"API": _api_page(), "page": _table_page()}),
        Line("page with filters", 10, {"API": _api_filters(workload), "page": _search(_filters)}),
        Line("offset 90 %", 30, {"API": _api_page(deep), "page": _table_page(deep)}),
        Line("rare text", 10, {"API": _api_search(rare), "page": _search(rare)}),
        Line("common text", 10, {"API": _api_search(_common), "page": _search(_common)}),
        Line("phrase of 30", 10, {"API": _api_search(_phrase), "page": _search(_phrase)}),
    )


def _none(chance: random.Random) -> int:
    return 0


def _api(**parameters: Any) -> Pair:
    request = Request("/api/tasks", {"limit": PAGE, **parameters})
    return Pair(request, request)


def _api_page(offset: Callable[[random.Random], int] = _none) -> Make:
    def make(chance: random.Random) -> Pair:
        key = chance.choice(API_KEYS)
        order = {} if key is None else {"sort_by": chance.choice(("", "-")) + key}
        return _api(offset=offset(chance), **order)

    return make


def _api_filters(workload: Workload) -> Make:
    """One to four of state, type, worker, and a stretch of the time in which it all happened."""

    def make(chance: random.Random) -> Pair:
        start = workload.start + chance.random() * workload.tasks / workload.pace
        possible = {
            "state": chance.choice(STATES),
            "taskname": chance.choices(NAMES, WEIGHTS)[0],
            "workername": chance.choice(WORKERS),
            "received_start": f"{datetime.fromtimestamp(start):%Y-%m-%d %H:%M}",
        }
        return _api(
            **{name: possible[name] for name in chance.sample(tuple(possible), chance.randint(1, len(possible)))}
        )

    return make


def _api_search(search: Callable[[random.Random], str]) -> Make:
    return lambda chance: _api(search=search(chance))


def _table(
    chance: random.Random, search: str = "", key: str = "received", *, down: bool = True, offset: int = 0
) -> Pair:
    table = {
        "draw": chance.randint(1, 1_000), "start": offset, "length": PAGE, "search[value]": search,
        "columns[0][data]": key, "order[0][column]": 0, "order[0][dir]": "desc" if down else "asc",
    }  # fmt: skip
    own = {"query": search, "sort": f"{'-' if down else ''}{key}", "limit": PAGE, "offset": offset}
    return Pair(Request("/tasks/datatable", table), Request("/api/v1/tasks", own))


def _table_page(offset: Callable[[random.Random], int] = _none) -> Make:
    return lambda chance: _table(
        chance, key=chance.choice(PAGE_KEYS), down=chance.choice((True, False)), offset=offset(chance)
    )


def _search(search: Callable[[random.Random], str]) -> Make:
    return lambda chance: _table(chance, search(chance))


def _filters(chance: random.Random) -> str:
    """As Flower's page has them: words in the search."""
    possible = (
        f"state:{chance.choice(STATES)}",
        f"name:{chance.choices(NAMES, WEIGHTS)[0]}",
        f"worker:{chance.choice(WORKERS)}",
    )
    return " ".join(chance.sample(possible, chance.randint(1, len(possible))))


def _common(chance: random.Random) -> str:
    return chance.choice((*TOWNS, *THINGS, "example.com", "customer"))


def _phrase(chance: random.Random) -> str:
    """Out of a note, for Flower cannot look into tracebacks."""
    return quoted(any_phrase(chance, NOTES))
