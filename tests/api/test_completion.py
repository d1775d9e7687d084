"""Autocompletion with values from the records: completions, the replaced text, response time."""

import time
from typing import Any

import httpx
import pytest

from flower.api import completion as completion_module
from flower.api.completion import MAX_PATHS, ValueCache, sample_arguments
from flower.api.queries import suggestions
from flower.records import Task
from flower.search.parser import parse_search
from flower.store.protocols import Reader
from tests.helpers.api_v1 import ClientOf, error, get, memory


def complete(http: httpx.Client, text: str, **parameters: Any) -> dict[str, int | None]:
    result = get(http, "search/completions", text=text, **parameters)
    return {completion["text"]: completion["count"] for completion in result["completions"]}


def test_fields_come_before_values_with_counts(http: httpx.Client) -> None:
    assert next(iter(complete(http, "ret"))) == "retries:"
    assert complete(http, "state:F") == {"FAILURE": 1}
    assert complete(http, "name:sh") == {"shop.charge": 2, "shop.order": 2, "shop.mail": 1}
    assert complete(http, "-worker:w2") == {"celery@w2": 2}
    assert "name:shop.mail" in complete(http, "mai")
    assert complete(http, "is:fa") == {"failed": None}
    assert complete(http, "exception:card")["shop.billing.CardDeclined"] == 1


def test_keys_and_values_inside_arguments(http: httpx.Client) -> None:
    assert complete(http, "kwargs.") == {"amount:": 2, "customer.": 1}
    assert complete(http, "has:kwargs.am") == {"amount": 2}
    assert complete(http, "KWARGS.Customer.") == {"id:": 1}
    assert complete(http, "kwargs.customer.id:7") == {"7731": 1}
    assert complete(http, "args.0:1") == {"17": 3, "18": 1, "19": 1}


def test_a_completion_replaces_the_typed_text(http: httpx.Client) -> None:
    text = "state:FAIL name:mail"
    result = get(http, "search/completions", text=text, position=8)
    completed = text[: result["start"]] + result["completions"][0]["text"] + text[result["end"] :]
    assert completed == "state:FAILURE name:mail"


def test_completions_are_valid_queries(client_of: ClientOf) -> None:
    names = ["a b", 'quo"te', "star*", "x,y", "(in)", "AND", "back\\slash", ">1", "a..b"]
    http = client_of(memory([Task(uuid=f"t{n}", name=name) for n, name in enumerate(names)]))
    completions = complete(http, "name:", limit=len(names))
    assert len(completions) == len(names)
    for text in completions:
        parse_search(f"name:{text}")
        assert get(http, "count", query=f"name:={text}")["count"] == 1, text


def test_hostile_arguments() -> None:
    deep = "{'a': " * 50 + "1" + "}" * 50
    wide = str({f"k{n}": n for n in range(300)})
    odd = "{'a b': 1, 'c.d': 2, 3: ..., 'long': '" + "x" * 500 + "', 'cut': 'abc...', 'n': " + "9" * 50 + "}"
    tasks = [Task(uuid=f"t{n}", kwargs=text) for n, text in enumerate([deep, wide, odd, "{'cut", "[" * 5000])]
    sample = sample_arguments(memory(tasks))
    assert len(sample.tasks) <= 3 * MAX_PATHS
    assert ("kwargs", "3") in sample.tasks
    assert not {path[1] for path in sample.tasks} & {"a b", "c.d"}
    assert sample.values.keys() >= {("kwargs", "k0"), ("kwargs", "cut")}
    assert ("kwargs", "long") not in sample.values


def test_the_position_is_validated(http: httpx.Client) -> None:
    assert "from 0 to" in error(http, "search/completions", text="a", position=-1)["hint"]
    assert get(http, "search/completions", text="a", position=2000)["end"] == 1


def test_it_is_fast_when_the_values_are_cached() -> None:
    tasks = [
        Task(uuid=f"t{n}", name=f"app.task_{n % 500}", hostname=f"w{n % 50}", kwargs=str({f"k{n % 20}": n}))
        for n in range(3_000)
    ]
    store = memory(tasks)
    suggestions(store, "task")
    durations = []
    for text in ("task", "name:task_4", "kwargs.k", "worker:w", "kwargs.k3:2") * 4:
        started = time.thread_time()
        assert suggestions(store, text).completions
        durations.append(time.thread_time() - started)
    assert sorted(durations)[len(durations) // 2] < 0.02


def test_expired_values_are_returned_during_the_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [Task(uuid="a", name="old")]
    store: Reader = memory(tasks)
    cache = ValueCache(store)
    assert [value.value for value in cache.values("name")] == ["old"]
    monkeypatch.setattr(completion_module, "REFRESH_INTERVAL", -1.0)
    monkeypatch.setattr(store, "_store", memory([Task(uuid="b", name="new")])._store)
    assert [value.value for value in cache.values("name")] == ["old"]
    deadline = time.monotonic() + 10
    while [value.value for value in cache.values("name")] != ["new"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
