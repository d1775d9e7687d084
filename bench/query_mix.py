"""The HTTP requests to a store with the dataset: the rows of the table, each with its kinds of requests.

Every request of one scenario has different names, workers, times and texts, so that cached responses do not count. The
targets are in milliseconds and depend on the number of tasks in the store.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench import search_mix
from bench.dataset import Dataset
from bench.search_mix import Search
from flower.store.protocols import SORT_KEYS

MILLION, TEN_MILLIONS = 1_000_000, 10_000_000
#: Tasks on a page.
PAGE = 50
DAY = "-24h"


class Request(NamedTuple):
    """`holds` is a text that a right answer has in it."""

    path: str
    parameters: Mapping[str, Any]
    contains: str = ""


MakeRequest = Callable[[random.Random], Request]


class QueryRow(NamedTuple):
    """A row of the table. `targets`: the p95 to reach with 1 and with 10 million tasks, in milliseconds."""

    name: str
    targets: tuple[float, float]
    kinds: Mapping[str, MakeRequest]

    def target(self, tasks: int) -> float | None:
        """The target for this number of tasks; None above ten million."""
        if tasks <= MILLION:
            return self.targets[0]
        return self.targets[1] if tasks <= TEN_MILLIONS else None


def query_rows(dataset: Dataset) -> Sequence[QueryRow]:
    window, text = f"received:>{DAY}", _texts(dataset)
    filters: dict[str, Search] = {
        "state": search_mix.by_state,
        "type": search_mix.by_type,
        "worker": search_mix.by_worker,
        "queue": search_mix.by_queue,
        "time": search_mix.by_time(dataset),
        "any of them": search_mix.any_of_them(dataset),
    }
    searches: dict[str, Search] = {"everything": lambda rng: "", **filters, "run time, retries": search_mix.by_cost}
    windowed_searches = {kind: _joined(window, search) for kind, search in {**searches, **text}.items()}
    return (
        QueryRow("first page, any key", (10, 30), {key: _sorted_page(key) for key in _both_ways(SORT_KEYS)}),
        QueryRow("page with filters", (15, 40), _filtered_pages(filters)),
        QueryRow("offset 90 %", (30, 100), _deep_pages(dataset)),
        QueryRow("rare text", (30, 100), {"one hit": _rare(dataset)}),
        QueryRow("common text", (30, 100), {"common": _page(search_mix.common_text)}),
        QueryRow("phrase of 30", (30, 100), {"traceback": _page(search_mix.phrase)}),
        QueryRow(
            "count, 24 h",
            (60, 200),
            {kind: _api_request("count", search) for kind, search in windowed_searches.items()},
        ),
        QueryRow("facets, 24 h", (60, 200), {kind: _facets(search) for kind, search in windowed_searches.items()}),
        QueryRow(
            "histogram, 24 h",
            (80, 250),
            {kind: _window_request("histogram", search) for kind, search in searches.items()},
        ),
        QueryRow("percentiles, 24 h", (80, 250), _stats(searches)),
        QueryRow(
            "failure groups, 24 h",
            (80, 250),
            {k: _window_request("failures", search) for k, search in searches.items()},
        ),
        QueryRow("task by id", (3, 5), {"task": _one_task(dataset)}),
        QueryRow("its relatives", (10, 20), {"family": _family(dataset)}),
    )


def _texts(dataset: Dataset) -> dict[str, Search]:
    rare = search_mix.rare_text(dataset)
    return {
        "rare text": lambda rng: rare(rng)[0],
        "common text": search_mix.common_text,
        "phrase": search_mix.phrase,
    }


def _both_ways(keys: Sequence[str]) -> list[str]:
    return [sign + key for key in keys for sign in ("", "-")]


def _joined(first: str, search: Search) -> Search:
    return lambda rng: f"{first} {search(rng)}".strip()


def _tasks(contains: str = "", **parameters: Any) -> Request:
    return Request("/api/v1/tasks", {"limit": PAGE, **parameters}, contains)


def _sorted_page(key: str) -> MakeRequest:
    return lambda rng: _tasks(sort=key)


def _page(search: Search) -> MakeRequest:
    return lambda rng: _tasks(query=search(rng))


def _filtered_pages(filters: Mapping[str, Search]) -> dict[str, MakeRequest]:
    any_filters = filters["any of them"]
    ordered: MakeRequest = lambda rng: _tasks(query=any_filters(rng), sort=rng.choice(_both_ways(SORT_KEYS)))  # noqa: E731
    return {**{kind: _page(search) for kind, search in filters.items()}, "any of them, any key": ordered}


def _deep_pages(dataset: Dataset) -> dict[str, MakeRequest]:
    """In Flower's API with its sort keys, and in /api/v1."""
    low, high = int(0.88 * dataset.tasks), int(0.92 * dataset.tasks)

    def flower_page(sort_by: Mapping[str, str]) -> MakeRequest:
        return lambda rng: Request("/api/tasks", {"limit": PAGE, "offset": rng.randint(low, high), **sort_by})

    def page(sort: str) -> MakeRequest:
        return lambda rng: _tasks(sort=sort, offset=rng.randint(low, high))

    orders = _both_ways(("name", "state", "received", "started"))
    return {
        "last activity": flower_page({}),
        **{f"sort_by={order}": flower_page({"sort_by": order}) for order in orders},
        **{f"sort={order}": page(order) for order in ("-received", "-runtime", "worker", "wait")},
    }


def _rare(dataset: Dataset) -> MakeRequest:
    search = search_mix.rare_text(dataset)

    def make(rng: random.Random) -> Request:
        text, number = search(rng)
        return _tasks(dataset.uuid(number), query=text)

    return make


def _api_request(what: str, search: Search, **parameters: Any) -> MakeRequest:
    return lambda rng: Request(f"/api/v1/{what}", {"query": search(rng), **parameters})


def _facets(search: Search) -> MakeRequest:
    return _api_request("facets", search, facets="state,name,worker,queue,exception")


def _window_request(what: str, search: Search, **parameters: Any) -> MakeRequest:
    return _api_request(what, search, start=DAY, **parameters)


def _stats(searches: Mapping[str, Search]) -> dict[str, MakeRequest]:
    groups = {
        f"by {by}": _window_request("stats", searches["any of them"], group_by=by)
        for by in ("name", "worker", "queue", "time")
    }
    everything = {
        f"everything by {by}": _window_request("stats", searches["everything"], group_by=by) for by in ("name", "time")
    }
    return {**{kind: _window_request("stats", search) for kind, search in searches.items()}, **groups, **everything}


def _one_task(dataset: Dataset) -> MakeRequest:
    def make(rng: random.Random) -> Request:
        number = rng.randrange(dataset.tasks)
        return Request(f"/api/v1/tasks/{dataset.uuid(number)}", {}, dataset.order(number))

    return make


def _family(dataset: Dataset) -> MakeRequest:
    """The workflow of any of its members. The response must contain all of them; one is checked."""

    def make(rng: random.Random) -> Request:
        family = dataset.family(dataset.workflow_root(rng.randrange(dataset.workflow_count())))
        requested, expected = rng.choice(family), rng.choice(family)
        return Request(f"/api/v1/tasks/{dataset.uuid(requested)}/workflow", {}, dataset.uuid(expected))

    return make
