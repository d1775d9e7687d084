"""Completion with real values: which are offered, where they go, how long it takes."""

import time

import httpx
import pytest

from flower.api import completion as known_values
from flower.api.completion import MAX_PATHS, ValueCache, sample_arguments
from flower.api.queries import suggestions
from flower.records import Task
from flower.search.parser import parse_search
from flower.store.protocols import Reader
from tests.helpers.api_v1 import ClientOf, error, get, memory


def offered(http: httpx.Client, text: str, **parameters: object) -> dict[str, int | None]:
    found = get(http, "suggest", text=text, **parameters)
    return {completion["text"]: completion["count"] for completion in found["completions"]}


def test_fields_then_values_with_counts(http: httpx.Client) -> None:
    assert next(iter(offered(http, "ret"))) == "retries:"
    assert offered(http, "state:F") == {"FAILURE": 1}
    assert offered(http, "name:sh") == {"shop.charge": 2, "shop.order": 2, "shop.mail": 1}
    assert offered(http, "-worker:w2") == {"celery@w2": 2}
    assert "name:shop.mail" in offered(http, "mai")
    assert offered(http, "is:fa") == {"failed": None}
    assert offered(http, "exception:card")["shop.billing.CardDeclined"] == 1


def test_keys_and_values_inside_arguments(http: httpx.Client) -> None:
    assert offered(http, "kwargs.") == {"amount:": 2, "customer.": 1}
    assert offered(http, "has:kwargs.am") == {"amount": 2}
    assert offered(http, "KWARGS.Customer.") == {"id:": 1}
    assert offered(http, "kwargs.customer.id:7") == {"7731": 1}
    assert offered(http, "args.0:1") == {"17": 3, "18": 1, "19": 1}


def test_a_completion_takes_the_place_of_what_is_typed(http: httpx.Client) -> None:
    text = "state:FAIL name:mail"
    found = get(http, "suggest", text=text, position=8)
    completed = text[: found["start"]] + found["completions"][0]["text"] + text[found["end"] :]
    assert completed == "state:FAILURE name:mail"


def test_what_is_offered_can_be_asked_for(client_of: ClientOf) -> None:
    names = ["a b", 'quo"te', "star*", "x,y", "(in)", "AND", "back\\slash", ">1", "a..b"]
    http = client_of(memory([Task(uuid=f"t{n}", name=name) for n, name in enumerate(names)]))
    found = offered(http, "name:", limit=len(names))
    assert len(found) == len(names)
    for text in found:
        parse_search(f"name:{text}")
        assert get(http, "count", query=f"name:={text}")["count"] == 1, text


def test_hostile_arguments() -> None:
    deep = "{'a': " * 50 + "1" + "}" * 50
    wide = str({f"k{n}": n for n in range(300)})
    odd = "{'a b': 1, 'c.d': 2, 3: ..., 'long': '" + "x" * 500 + "', 'cut': 'abc...', 'n': " + "9" * 50 + "}"
    tasks = [Task(uuid=f"t{n}", kwargs=text) for n, text in enumerate([deep, wide, odd, "{'cut", "[" * 5000])]
    found = sample_arguments(memory(tasks))
    assert len(found.tasks) <= 3 * MAX_PATHS
    assert ("kwargs", "3") in found.tasks
    assert not {path[1] for path in found.tasks} & {"a b", "c.d"}
    assert found.values.keys() >= {("kwargs", "k0"), ("kwargs", "cut")}
    assert ("kwargs", "long") not in found.values


def test_the_position_is_checked(http: httpx.Client) -> None:
    assert "from 0 to" in error(http, "suggest", text="a", position=-1)["hint"]
    assert get(http, "suggest", text="a", position=2000)["end"] == 1


def test_it_is_quick_once_the_values_are_known() -> None:
    tasks = [
        Task(uuid=f"t{n}", name=f"app.task_{n % 500}", hostname=f"w{n % 50}", kwargs=str({f"k{n % 20}": n}))
        for n in range(3_000)
    ]
    store = memory(tasks)
    suggestions(store, "task")
    taken = []
    for text in ("task", "name:task_4", "kwargs.k", "worker:w", "kwargs.k3:2") * 4:
        before = time.perf_counter()
        assert suggestions(store, text).completions
        taken.append(time.perf_counter() - before)
    assert sorted(taken)[len(taken) // 2] < 0.02


def test_old_values_are_given_while_new_ones_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [Task(uuid="a", name="old")]
    store: Reader = memory(tasks)
    there = ValueCache(store)
    assert [value.value for value in there.values("name")] == ["old"]
    monkeypatch.setattr(known_values, "FRESH", -1.0)
    monkeypatch.setattr(store, "_store", memory([Task(uuid="b", name="new")])._store)
    assert [value.value for value in there.values("name")] == ["old"]
    deadline = time.monotonic() + 10
    while [value.value for value in there.values("name")] != ["new"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
