"""The documented functions for lists of tasks."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.api.query_params import parse_time
from flower.api.task_lists import build_list_query, parse_sort
from flower.current_events import get_current_events, set_current_events
from flower.errors import InvalidRequest, NotFound, SearchError
from flower.records import Task, Worker
from flower.search.matcher import matches
from flower.search.tree import EVERYTHING, Term
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import NEWEST, Batch, Query, Sort
from flower.utils.search import parse_search_terms, satisfies_search_terms
from flower.utils.tasks import get_task_by_id, iter_tasks, sort_keys, sort_tasks
from tests.helpers.api_v1 import memory
from tests.helpers.events import StoreEvents
from tests.helpers.search_strategies import tasks, trees

NOW = 1_790_000_000.0

TASKS = [
    Task(uuid="a", name="shop.pay", state="SUCCESS", hostname="celery@w1", received=NOW, started=NOW + 1, runtime=2.0),
    Task(uuid="b", name="Shop.mail", state="FAILURE", hostname="celery@w2", received=NOW + 10, parent_id="a"),
    Task(
        uuid="c",
        name="shop.mail",
        state="STARTED",
        hostname="celery@w1",
        received=NOW + 5,
        started=NOW + 6,
        parent_id="a",
    ),
    Task(uuid="d", name=None, state="PENDING", args="('ORD-17',)"),
]


@pytest.fixture
def events() -> StoreEvents:
    worker = Worker("celery@w1", pid=7, sw_ident="py-celery", sw_ver="5.6", sw_sys="Linux")
    return StoreEvents(memory(TASKS, [worker]))


@pytest.fixture
def _nothing_running() -> Iterator[None]:
    set_current_events(None)
    yield
    set_current_events(None)


def ids(events: StoreEvents, **filters: Any) -> str:
    return "".join(task["uuid"] for task in iter_tasks(events, **filters))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "bcad"),
        ({"limit": 2}, "bc"),
        ({"limit": 2, "offset": 1}, "ca"),
        ({"limit": 0}, ""),
        ({"limit": -1}, ""),
        ({"offset": -3, "limit": 1}, "b"),
        ({"offset": 9}, ""),
        ({"type": "shop.mail"}, "c"),
        ({"type": ""}, "bcad"),
        ({"worker": "celery@w1"}, "ca"),
        ({"worker": "w1"}, ""),
        ({"state": "FAILURE"}, "b"),
        ({"state": "failure"}, ""),
        ({"state": "STARTED", "worker": "celery@w1"}, "c"),
        ({"received_start": NOW + 5}, "bc"),
        ({"received_end": NOW + 5}, "ca"),
        ({"received_start": NOW + 5, "received_end": NOW + 5}, "c"),
        ({"started_start": 0}, "ca"),
        ({"started_end": datetime.fromtimestamp(NOW + 1, UTC)}, "a"),
        ({"search": "name:mail"}, "bc"),
        ({"search": "ord-17 OR state:success"}, "ad"),
        ({"search": "mail OR pay", "worker": "celery@w1"}, "ca"),
        ({"sort_by": "received"}, "acbd"),
        ({"sort_by": "-received"}, "bcad"),
        ({"sort_by": "name,-received"}, "bcad"),
        ({"sort_by": ["name", "received"]}, "cbad"),
        ({"sort_by": "-name"}, "acbd"),
        ({"sort_by": "runtime"}, "abcd"),
        ({"sort_by": "worker,received"}, "acbd"),
        ({"sort_by": ""}, "bcad"),
    ],
    ids=str,
)
def test_filters_order_and_pages(events: StoreEvents, filters: dict[str, Any], expected: str) -> None:
    assert ids(events, **filters) == expected


def test_positional_arguments_are_in_the_documented_order(events: StoreEvents) -> None:
    listed = iter_tasks(events, 5, 0, "shop.mail", "celery@w1", "STARTED", "name", NOW, NOW + 9, NOW, NOW + 9, "mail")
    assert [task["uuid"] for task in listed] == ["c"]


def test_tasks_are_joined_with_worker_and_children(events: StoreEvents) -> None:
    first = next(iter_tasks(events, type="shop.pay"))
    assert first["children"] == ["b", "c"]
    assert first["worker"] == {
        "hostname": "celery@w1",
        "pid": 7,
        "sw_ident": "py-celery",
        "sw_ver": "5.6",
        "sw_sys": "Linux",
    }


def test_one_task(events: StoreEvents) -> None:
    task = get_task_by_id(events, "a")
    assert task is not None
    assert (task["name"], task["children"]) == ("shop.pay", ["b", "c"])
    assert get_task_by_id(events, "missing") is None


def test_tasks_are_read_lazily() -> None:
    taken = 0

    class CountingReader(MemoryReader):
        def tasks(self, query: Query, **options: Any) -> Iterator[Task]:
            nonlocal taken
            for task in super().tasks(query, **options):
                taken += 1
                yield task

    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=[Task(uuid=str(number), received=float(number)) for number in range(2000)]))
    listed = iter_tasks(StoreEvents(CountingReader(store)))
    assert taken == 0
    assert next(listed)["uuid"] == "1999"
    assert taken <= 500
    assert sum(1 for _ in listed) == 1999


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"sort_by": "colour"},
            "Invalid sort_by 'colour', expected one of name, received, runtime, started, state, worker",
        ),
        ({"sort_by": "name,-uuid"}, "Invalid sort_by '-uuid', expected one of name"),
        ({"received_start": "soon"}, "'soon' is not a time"),
        ({"search": "abc ("}, "at position"),
    ],
)
def test_invalid_arguments_raise_at_the_call(events: StoreEvents, filters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        iter_tasks(events, **filters)  # before the first task is requested


@pytest.mark.usefixtures("_nothing_running")
def test_the_default_are_the_running_events(events: StoreEvents) -> None:
    with pytest.raises(NotFound, match="No Events object is running"):
        iter_tasks()
    with pytest.raises(LookupError):
        get_task_by_id(None, "a")
    set_current_events(events)
    assert get_current_events() is events
    assert [task["uuid"] for task in iter_tasks(None, limit=1)] == ["b"]
    assert get_task_by_id(None, "a") is not None


@given(st.data())
def test_lists_and_search_terms_agree(data: st.DataObject) -> None:
    stored = data.draw(st.lists(tasks(), max_size=4, unique_by=lambda task: task.uuid))
    query = data.draw(st.sampled_from(["a", "-a", "ß OR state:success", 'kwargs:"id=1"', "exception:( ", "NOT (a b)"]))
    watch = StoreEvents(memory(stored))
    try:
        terms = parse_search_terms(query)
    except SearchError:
        with pytest.raises(SearchError):
            iter_tasks(watch, search=query)
        return
    listed = {task["uuid"] for task in iter_tasks(watch, search=query)}
    assert listed == {task["uuid"] for task in iter_tasks(watch) if satisfies_search_terms(task, terms)}
    assert listed == {task.uuid for task in stored if satisfies_search_terms(task, terms)}


@given(st.data())
def test_queries_and_matcher_agree(data: st.DataObject) -> None:
    task = data.draw(tasks())
    node = data.draw(trees(task))
    store = memory([task])
    assert bool(list(store.tasks(Query(node)))) is matches(node, task, store.slow_thresholds())


# sort_tasks, sort_keys


def test_sorting_objects_and_dicts() -> None:
    infos = list(iter_tasks(StoreEvents(memory(TASKS))))
    plain = [SimpleNamespace(uuid=task.uuid, name=task.name, received=task.received) for task in TASKS]
    shapes: tuple[list[Any], ...] = (TASKS, infos, plain)
    for listed in shapes:
        before = list(listed)
        names = [(t["uuid"] if isinstance(t, dict) else t.uuid) for t in sort_tasks(listed, "-received")]
        assert names == ["b", "c", "a", "d"]
        assert list(listed) == before


@pytest.mark.parametrize("key", [*sort_keys, "-name", "-runtime", "-worker"])
def test_tasks_without_the_value_are_last_in_either_direction(key: str) -> None:
    ordered = sort_tasks(TASKS, key)
    attribute = {"worker": "hostname"}.get(key.lstrip("-"), key.lstrip("-"))
    missing = [getattr(task, attribute) is None for task in ordered]
    assert missing == sorted(missing)


def test_sorting_is_stable() -> None:
    same = [Task(uuid=str(number), name="x", received=1.0) for number in range(20)]
    for key in ("name", "-name", "received", "-received", "name,-received"):
        assert sort_tasks(same, key) == same


def test_several_keys() -> None:
    ordered = sort_tasks(TASKS, "worker,-received")
    assert [task.uuid for task in ordered] == ["c", "a", "b", "d"]


@given(st.lists(tasks(), max_size=8), st.sampled_from([*sort_keys, *(f"-{key}" for key in sort_keys)]))
def test_any_tasks_can_be_sorted(listed: list[Task], key: str) -> None:
    ordered = sort_tasks(listed, key)
    assert sorted(map(id, ordered)) == sorted(map(id, listed))


def test_sort_keys_work_on_objects() -> None:
    assert list(sort_keys) == ["name", "state", "received", "started", "runtime", "worker"]
    assert [sort_keys[key](TASKS[0]) for key in sort_keys] == ["shop.pay", "SUCCESS", NOW, NOW + 1, 2.0, "celery@w1"]
    assert [sort_keys[key](Task(uuid="x")) for key in sort_keys] == ["", "PENDING", 0, 0, 0, ""]


# parse_sort


@pytest.mark.parametrize(
    ("given", "sorts"),
    [
        (None, NEWEST),
        ("", NEWEST),
        ("name", (Sort("name"),)),
        ("-name", (Sort("name", True),)),
        ("--name", (Sort("name", True),)),
        (" name , -state ,", (Sort("name"), Sort("state", True))),
        (["worker", "-runtime"], (Sort("worker"), Sort("runtime", True))),
    ],
)
def test_parse_sort(given: Any, sorts: tuple[Sort, ...]) -> None:
    assert parse_sort(given) == sorts


def test_parse_sort_with_other_keys() -> None:
    assert parse_sort("-timestamp", ("timestamp",)) == (Sort("timestamp", True),)


@pytest.fixture
def _new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_new_york")
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5.0),
        (1_700_000_000.25, 1_700_000_000.25),
        ("1700000000.25", 1_700_000_000.25),
        ("1700000000", 1_700_000_000.0),
        (datetime(1970, 1, 1, tzinfo=UTC), 0.0),
        (datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1))), -3600.0),
        (datetime(1970, 1, 1), 5 * 3600.0),  # naive: local time
        (date(1970, 1, 1), 5 * 3600.0),
        ("1970-01-01 00:00", 5 * 3600.0),
        (" 1970-01-01T00:00 ", 5 * 3600.0),
        ("1970-01-01", 5 * 3600.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5+00:00", 1.5),
    ],
    ids=repr,
)
def test_valid_times(given: Any, seconds: float) -> None:
    assert parse_time(given) == seconds


@pytest.mark.parametrize(
    "given", ["", "soon", "2026", "2026-02-30", "nan", math.nan, math.inf, True, object(), 10**400, "9" * 25, date.min]
)
def test_invalid_times(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="is not a time"):
        parse_time(given)


def test_the_query_of_filters() -> None:
    assert build_list_query() == Query(EVERYTHING, NEWEST)
    assert build_list_query(state="failure", compare="is").where == Term("state", "is", "failure")
    assert build_list_query(received=("1970-01-01T00:00Z", None)).where == Term("received", "range", (0.0, None))
