"""What is asked over HTTP of a store that holds a population: the rows of the table, each with its kinds of requests.

A kind is asked again and again with other names, workers, times and texts, so that an answer that is remembered helps
nobody. Bars are in milliseconds, by the number of tasks in the store.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench import search_mix
from bench.dataset import Population
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
    holds: str = ""


Make = Callable[[random.Random], Request]


class Row(NamedTuple):
    """A line of the table. `bars`: the p95 in milliseconds that is wanted with 1 and with 10 million tasks."""

    name: str
    bars: tuple[float, float]
    kinds: Mapping[str, Make]

    def bar(self, tasks: int) -> float | None:
        """None: more tasks than the table speaks of."""
        if tasks <= MILLION:
            return self.bars[0]
        return self.bars[1] if tasks <= TEN_MILLIONS else None


def rows(population: Population) -> Sequence[Row]:
    window, text = f"received:>{DAY}", _texts(population)
    filters: dict[str, Search] = {
        "state": search_mix.by_state,
        "type": search_mix.by_type,
        "worker": search_mix.by_worker,
        "queue": search_mix.by_queue,
        "time": search_mix.by_time(population),
        "any of them": search_mix.any_of_them(population),
    }
    asked: dict[str, Search] = {"everything": lambda chance: "", **filters, "run time, retries": search_mix.by_cost}
    within = {kind: _joined(window, search) for kind, search in {**asked, **text}.items()}
    return (
        Row("first page, any key", (10, 30), {key: _sorted_page(key) for key in _both_ways(SORT_KEYS)}),
        Row("page with filters", (15, 40), _filtered_pages(filters)),
        Row("offset 90 %", (30, 100), _deep_pages(population)),
        Row("rare text", (30, 100), {"one hit": _rare(population)}),
        Row("common text", (30, 100), {"common": _page(search_mix.common_text)}),
        Row("phrase of 30", (30, 100), {"traceback": _page(search_mix.phrase)}),
        Row("count, 24 h", (60, 200), {kind: _found("count", search) for kind, search in within.items()}),
        Row("facets, 24 h", (60, 200), {kind: _facets(search) for kind, search in within.items()}),
        Row("histogram, 24 h", (80, 250), {kind: _windowed("histogram", search) for kind, search in asked.items()}),
        Row("percentiles, 24 h", (80, 250), _stats(asked)),
        Row("failure groups, 24 h", (80, 250), {k: _windowed("failures", search) for k, search in asked.items()}),
        Row("task by id", (3, 5), {"task": _one_task(population)}),
        Row("its relatives", (10, 20), {"family": _family(population)}),
    )


def _texts(population: Population) -> dict[str, Search]:
    rare = search_mix.rare_text(population)
    return {
        "rare text": lambda chance: rare(chance)[0],
        "common text": search_mix.common_text,
        "phrase": search_mix.phrase,
    }


def _both_ways(keys: Sequence[str]) -> list[str]:
    return [sign + key for key in keys for sign in ("", "-")]


def _joined(first: str, search: Search) -> Search:
    return lambda chance: f"{first} {search(chance)}".strip()


def _tasks(holds: str = "", **parameters: Any) -> Request:
    return Request("/api/v1/tasks", {"limit": PAGE, **parameters}, holds)


def _sorted_page(key: str) -> Make:
    return lambda chance: _tasks(sort=key)


def _page(search: Search) -> Make:
    return lambda chance: _tasks(query=search(chance))


def _filtered_pages(filters: Mapping[str, Search]) -> dict[str, Make]:
    any_filters = filters["any of them"]
    ordered: Make = lambda chance: _tasks(query=any_filters(chance), sort=chance.choice(_both_ways(SORT_KEYS)))  # noqa: E731
    return {**{kind: _page(search) for kind, search in filters.items()}, "any of them, any key": ordered}


def _deep_pages(population: Population) -> dict[str, Make]:
    """With Flower's parameters in Flower's orders, and with ours."""
    low, high = int(0.88 * population.tasks), int(0.92 * population.tasks)

    def flowers(sort_by: Mapping[str, str]) -> Make:
        return lambda chance: Request("/api/tasks", {"limit": PAGE, "offset": chance.randint(low, high), **sort_by})

    def ours(sort: str) -> Make:
        return lambda chance: _tasks(sort=sort, offset=chance.randint(low, high))

    orders = _both_ways(("name", "state", "received", "started"))
    return {
        "last activity": flowers({}),
        **{f"sort_by={order}": flowers({"sort_by": order}) for order in orders},
        **{f"sort={order}": ours(order) for order in ("-received", "-runtime", "worker", "wait")},
    }


def _rare(population: Population) -> Make:
    search = search_mix.rare_text(population)

    def make(chance: random.Random) -> Request:
        text, number = search(chance)
        return _tasks(population.uuid(number), query=text)

    return make


def _found(what: str, search: Search, **parameters: Any) -> Make:
    return lambda chance: Request(f"/api/v1/{what}", {"query": search(chance), **parameters})


def _facets(search: Search) -> Make:
    return _found("facets", search, facets="state,name,worker,queue,exception")


def _windowed(what: str, search: Search, **parameters: Any) -> Make:
    return _found(what, search, start=DAY, **parameters)


def _stats(asked: Mapping[str, Search]) -> dict[str, Make]:
    groups = {
        f"by {by}": _windowed("stats", asked["any of them"], group_by=by) for by in ("name", "worker", "queue", "time")
    }
    everything = {
        f"everything by {by}": _windowed("stats", asked["everything"], group_by=by) for by in ("name", "time")
    }
    return {**{kind: _windowed("stats", search) for kind, search in asked.items()}, **groups, **everything}


def _one_task(population: Population) -> Make:
    def make(chance: random.Random) -> Request:
        number = chance.randrange(population.tasks)
        return Request(f"/api/v1/tasks/{population.uuid(number)}", {}, population.order(number))

    return make


def _family(population: Population) -> Make:
    """Of any member of a workflow; the answer must have them all, of which one is looked for."""

    def make(chance: random.Random) -> Request:
        family = population.family(population.nth_root(chance.randrange(population.roots())))
        asked, other = chance.choice(family), chance.choice(family)
        return Request(f"/api/v1/tasks/{population.uuid(asked)}/family", {}, population.uuid(other))

    return make
