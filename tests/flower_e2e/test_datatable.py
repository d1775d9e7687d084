"""5 the tasks table's rows, 6 the search language (both of its routes)."""

from typing import Any

import pytest

from tests.flower_e2e.conftest import Ran
from tests.helpers.compat_site import Site

FIELDS = ["name", "uuid", "state", "args", "retries", "received", "runtime", "worker"]


def asked(**more: Any) -> dict[str, Any]:
    columns = {f"columns[{place}][data]": name for place, name in enumerate(FIELDS)}
    return {**columns, "draw": 3, "start": 0, "length": 10, "order[0][column]": 5, "order[0][dir]": "desc", **more}


def rows(site: Site, **more: Any) -> list[dict[str, Any]]:
    return list(site.json("/tasks/datatable", **asked(**more))["data"])


def ids(site: Site, **more: Any) -> list[str]:
    return [task["uuid"] for task in rows(site, **more)]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_protocol(site: Site, ran: Ran, method: str) -> None:
    given = asked(length=2)
    answer = (site.http.get("/tasks/datatable", params=given) if method == "GET"
              else site.http.post("/tasks/datatable", data=given))  # fmt: skip
    assert answer.status_code == 200
    found = answer.json()
    assert found.keys() == {"draw", "recordsTotal", "recordsFiltered", "data"}
    assert (found["draw"], len(found["data"])) == (3, 2)
    assert found["recordsTotal"] == found["recordsFiltered"] == len(site.json("/api/tasks"))
    first = found["data"][0]
    assert first == site.task(first["uuid"])


@pytest.mark.parametrize("missing", ["draw", "start", "length", "order[0][column]"])
def test_what_must_be_there(site: Site, missing: str) -> None:
    without = {key: value for key, value in asked().items() if key != missing}
    assert site.http.get("/tasks/datatable", params=without).status_code == 400
    assert site.http.get("/tasks/datatable", params=asked(**{missing: "x"})).status_code == 400


def test_search_and_what_is_wrong_with_it(site: Site, ran: Ran) -> None:
    found = site.json("/tasks/datatable", **asked(**{"search[value]": f"uuid:{ran.added} OR {ran.added}"}))
    assert found["recordsFiltered"] == len(found["data"]) == 1
    assert found["recordsTotal"] > 1
    wrong = site.json("/tasks/datatable", **asked(**{"search[value]": '"open'}))
    assert wrong["searchError"] == "Unterminated quoted phrase at position 0."
    assert (wrong["data"], wrong["recordsFiltered"], wrong["draw"]) == ([], 0, 3)
    assert wrong["recordsTotal"] > 1


def test_orders(site: Site, ran: Ran) -> None:
    def values(field: str, direction: str) -> list[Any]:
        order = {"order[0][column]": FIELDS.index(field), "order[0][dir]": direction}
        return [task[field] for task in rows(site, length=1000, **order)]

    for field in ("received", "runtime"):
        numbers = values(field, "asc")
        assert numbers == sorted(numbers, key=lambda value: value or 0)
        assert values(field, "desc") == numbers[::-1]
    for field in ("name", "state", "worker"):
        texts = values(field, "asc")
        assert texts == sorted(texts, key=lambda value: (value or "").casefold())
    assert values("args", "desc")[0] is not None
    assert ids(site, **{"order[0][column]": 99})


def test_slices(site: Site, ran: Ran) -> None:
    everything = ids(site, length=100_000)
    assert len(everything) == len(site.json("/api/tasks"))
    assert ids(site, start=1, length=2) == everything[1:3]
    assert ids(site, start=100_000) == []
    assert ids(site, length=-1) == ([] if site.is_flower else everything)


#: queries that find `marked` (shop.echo, args needle-in-args, kwargs order='ORD-1704', n=7) and not `failed`
FIND = [
    "needle", "NEEDLE-in", '"needle-in-args"', "args:needle", 'args:"needle-in"', "kwargs:ORD-1704", "KWARGS:ord-17",
    "kwargs:order=ORD-1704", "kwargs:order=ord-1704", "kwargs:n=7", "result:needle", "name:shop.echo needle",
    "needle AND name:echo", "(needle)", "((needle OR nothing) AND (state:success))", "nothing OR needle",
    "state:SUCCESS needle", "state:success AND needle", "name:echo(needle)", "worker:shop needle",
]  # fmt: skip
FIND_NOT = [
    "state:SUCC needle", "args:ORD-1704", "kwargs:order=ORD-17", "kwargs:order=ORD-17041", "needle nothing",
    "needle AND nothing", "nothing OR nowhere", "result:nothing", '"needle in args"', "nor needle",
]  # fmt: skip


@pytest.mark.parametrize("query", FIND)
def test_what_a_search_finds(site: Site, ran: Ran, query: str) -> None:
    found = site.json("/api/tasks", search=query)
    assert ran.marked in found
    assert ran.failed not in found
    assert {task["uuid"] for task in rows(site, length=1000, **{"search[value]": query})} == found.keys()


@pytest.mark.parametrize("query", FIND_NOT)
def test_what_a_search_does_not_find(site: Site, ran: Ran, query: str) -> None:
    assert ran.marked not in site.json("/api/tasks", search=query)


def test_an_empty_search_is_everything(site: Site, ran: Ran) -> None:
    assert site.json("/api/tasks", search="  ").keys() == site.json("/api/tasks").keys()


WRONG = {
    '"open': "Unterminated quoted phrase at position 0.",
    '""': "Empty search term at position 0.",
    "needle OR": "OR must be followed by a search term at position 7.",
    "needle AND": "AND must be followed by a search term at position 7.",
    "OR needle": "Expected a search term at position 0.",
    "((((((needle))))))": "Query nesting exceeds 5 levels at position 5.",
    "()": "Empty group at position 0.",
    "(needle": "Missing closing parenthesis at position 0.",
    "needle)": "Unexpected ')' at position 6.",
    "name:": "Search qualifier requires a value at position 0.",
    "a" * 2049: "Query exceeds 2048 characters.",
}


@pytest.mark.parametrize("query", WRONG)
def test_what_is_wrong_with_a_search(site: Site, query: str) -> None:
    answer = site.http.get("/api/tasks", params={"search": query})
    if answer.status_code == 200 and not site.is_flower:
        return  # longer and deeper queries are taken
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.json()["error"] == WRONG[query]


@pytest.mark.parametrize("query", ["ab", "NOT needle", "-needle"])
def test_what_only_one_of_them_takes(site: Site, query: str) -> None:
    assert site.http.get("/api/tasks", params={"search": query}).status_code == (400 if site.is_flower else 200)
