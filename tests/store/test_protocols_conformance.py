"""Conformance tests of the Writer and Reader protocols, on every store."""

from dataclasses import replace

import msgspec
import pytest

from flower.errors import InvalidRequest
from flower.records import Attempt, Gap, Task, Worker
from flower.search.tree import And, Node, Not, Or, Term
from flower.store.protocols import Batch, Query, Retention, Sort, TaskChange
from tests.helpers.stores import Store
from tests.helpers.task_factory import make, uuid_of

THIRD = Term("name", "is", "SHOP.mail")


def fill(store: Store, count: int, **fields: object) -> list[Task]:
    tasks = [make(number, **fields) for number in range(count)]
    store.writer.write(Batch(new=tasks))
    return tasks


def test_empty_store(store: Store) -> None:
    reader = store.reader
    assert reader.task(uuid_of(1)) is None
    assert list(reader.tasks(Query())) == []
    assert (reader.count(), reader.names(), reader.workers(), reader.gaps()) == (0, [], {}, ())
    assert reader.children([uuid_of(1)]) == {}
    assert reader.changes(0) == type(reader.changes(0))(0, ())
    assert reader.status().tasks == reader.status().sequence == 0
    assert store.writer.load([uuid_of(1)]) == {}
    assert store.writer.prune(Retention(1, 1, 1), 1e9) == 0


def test_round_trip_of_every_field(store: Store) -> None:
    # fmt: off
    full = Task(
        uuid="not a uuid", name="n", state="PROGRESS", hostname="w@h", pid=7, timestamp=9.25, clock=2**40, sent=1.0,
        received=2.0, started=3.0, succeeded=4.0, failed=5.0, retried=6.0, revoked=7.0, rejected=8.0, runtime=0.1,
        retries=3, eta="2026-11-22T00:00:00", expires="2100-01-01", queue="q", exchange="x", routing_key="r",
        priority=9, client="gen@web", root_id=uuid_of(1), parent_id="p", args="('ä',)", kwargs="{'k': 1}", result="😀",
        exception="E", traceback="T\n", earlier=(Attempt(0, hostname="a", state="RETRY"),),
        data={"task-progress": {"done": 3, "of": [1]}},
    )
    # fmt: on
    bare = Task(uuid=uuid_of(2))
    keys = store.writer.write(Batch(new=[full, bare]))
    assert len(set(keys)) == 2
    for task in (full, bare):
        assert store.reader.task(task.uuid) == task
    assert {uuid: stored.task for uuid, stored in store.restart().load([full.uuid, bare.uuid, "no"]).items()} == {
        full.uuid: full,
        bare.uuid: bare,
    }


@pytest.mark.parametrize(
    "text", ["", "\0", "a\0b", "\x1b[31m\x7f", "x" * 10_000_000, "😀" * 1000, "\ufeff", "\udcff\ud800 lone", "'\"\\%_"],
    ids=["empty", "nul", "inner nul", "control", "10 MB", "emoji", "bom", "surrogates", "quotes"],
)  # fmt: skip
def test_hostile_texts(store: Store, text: str) -> None:
    task = make(1, args=text, name=text[:100], hostname=text[:100], data={"task-x": {"field": text[:100]}})
    store.writer.write(Batch(new=[task]))
    stored = store.reader.task(task.uuid)
    assert stored is not None
    if "\ud800" not in text:
        assert stored == task
    list(store.reader.tasks(Query(Term("args", "contains", text[:50]))))
    list(store.reader.tasks(Query(Term("name", "is", text[:50]))))
    list(store.reader.tasks(Query(Term("uuid", "contains", text[:50]))))
    assert len(store.reader.names()) == 1


@pytest.mark.parametrize("value", [2**63, -(2**70)])
def test_large_numbers_are_clamped(store: Store, value: int) -> None:
    store.writer.write(Batch(new=[make(1, clock=value, pid=value)]))
    assert store.reader.task(uuid_of(1)) is not None


@pytest.mark.parametrize("when", [0.0, 4102444800.0, -1.0, 1e300])
def test_odd_timestamps(store: Store, when: float) -> None:
    fill(store, 120)
    odd = make(500, received=when, timestamp=when, started=when)
    store.writer.write(Batch(new=[odd]))
    for descending in (True, False):
        found = list(store.reader.tasks(Query(sort=(Sort("received", descending),))))
        assert len(found) == 121
        assert found.index(odd) == (0 if (when > 2000) == descending else 120)


def test_changes_are_written_and_announced(store: Store) -> None:
    tasks = fill(store, 130, state="STARTED", runtime=None)
    known = store.writer.load([tasks[3].uuid, tasks[120].uuid])
    changes = []
    for stored in known.values():
        after = msgspec.structs.replace(stored.task, state="SUCCESS", runtime=1.5, name="other", args="ünï")
        changes.append(TaskChange(stored.key or 0, stored.task, after))
    assert store.writer.write(Batch(changed=changes)) == []
    for change in changes:
        assert store.reader.task(change.after.uuid) == change.after
    assert store.reader.count(Term("state", "is", "success")) == 2
    assert store.reader.names() == ["other", "shop.Mail", "shop.order"]
    news = store.reader.changes(1)
    assert (news.sequence, set(news.uuids), news.complete) == (2, {tasks[3].uuid, tasks[120].uuid}, True)
    assert store.reader.changes(2).uuids == ()
    assert not store.reader.changes(99).complete


def test_empty_batch_is_not_a_change(store: Store) -> None:
    assert store.writer.write(Batch()) == []
    assert store.reader.changes(0).sequence == 0


def test_new_task_replaces_a_stored_one(store: Store) -> None:
    tasks = fill(store, 60)
    again = make(55, result="'again'")
    keys = store.writer.write(Batch(new=[again, make(77)]))
    assert store.reader.count() == 61
    assert store.reader.task(tasks[55].uuid) == again
    assert [store.writer.load([uuid])[uuid].key for uuid in (uuid_of(55), uuid_of(77))] == list(keys)


def test_changed_task_that_was_removed_is_inserted(store: Store) -> None:
    tasks = fill(store, 60)
    stored = store.writer.load([tasks[0].uuid])[tasks[0].uuid]
    while store.writer.prune(Retention(max_tasks=5), 0.0):
        pass
    after = make(0, result="'late'")
    store.writer.write(Batch(changed=[TaskChange(stored.key or 0, stored.task, after)]))
    assert store.reader.task(after.uuid) == after
    assert store.reader.count() == 6


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (And(), 120),
        (Or(), 0),
        (THIRD, 40),
        (Not(THIRD), 80),
        (And((THIRD, Term("worker", "equals", "celery@w0"))), 10),
        (Term("", "contains", "ord-00077"), 1),
        (Term("received", "range", (1100.0, None)), 20),
        (Term("kwargs", "pair", ("ORDER_ID", "7")), 1),
        (Term("uuid", "equals", uuid_of(7)), 1),
        (Term("uuid", "contains", uuid_of(7)[3:21]), 1),
        (Term("retries", "range", (None, None)), 0),
    ],
)
def test_queries(store: Store, where: Node, expected: int) -> None:
    fill(store, 120)
    assert store.reader.count(where) == expected
    assert len(list(store.reader.tasks(Query(where)))) == expected
    assert len(list(store.reader.tasks(Query(where), limit=7))) == min(7, expected)


@pytest.mark.parametrize("term", [Term("nope", "is", "x"), Term("runtime", "is", "x"), Term("name", "range", (1, 2))])
def test_invalid_queries_are_rejected(store: Store, term: Term) -> None:
    with pytest.raises(InvalidRequest):
        store.reader.tasks(Query(term))
    with pytest.raises(InvalidRequest):
        store.reader.count(Not(term))
    with pytest.raises(InvalidRequest, match="colour"):
        store.reader.tasks(Query(sort=(Sort("colour"),)))


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_of_zero_returns_nothing(store: Store, limit: int) -> None:
    fill(store, 3)
    assert list(store.reader.tasks(Query(), limit=limit)) == []


@pytest.mark.parametrize(
    "key", ["received", "started", "timestamp", "runtime", "name", "worker", "state", "uuid", "name,-received"]
)
@pytest.mark.parametrize("prefix", ["", "-"])
def test_pages_never_repeat_or_skip(store: Store, key: str, prefix: str) -> None:
    """Also with many equal or missing values."""
    tasks = [
        make(
            number,
            received=None if number % 7 == 0 else float(number // 20),
            started=float(number % 2),
            runtime=None if number % 3 else 1.0,
            name=None if number % 5 == 0 else f"n{number % 3}",
        )
        for number in range(170)
    ]
    for place in range(0, 170, 30):
        store.writer.write(Batch(new=tasks[place : place + 30]))
    sort = tuple(Sort(part.lstrip("-"), part.startswith("-")) for part in (prefix + key).split(","))
    whole = list(store.reader.tasks(Query(sort=sort)))
    assert {task.uuid for task in whole} == {task.uuid for task in tasks}
    paged = [
        task for offset in range(0, 180, 11) for task in store.reader.tasks(Query(sort=sort), limit=11, offset=offset)
    ]
    assert paged == whole


def test_workers_and_gaps(store: Store) -> None:
    worker = Worker("celery@a", pid=1, heartbeat=5.0, loadavg=(1.0, 2.0, 3.0))
    store.writer.write(Batch(workers=[worker, Worker("celery@b")], gaps=[Gap(10.0, None, "broker away")]))
    store.writer.write(Batch(workers=[Worker("celery@b", online=False)], gaps=[Gap(10.0, 12.0, "broker away")]))
    assert store.reader.workers() == {"celery@a": worker, "celery@b": Worker("celery@b", online=False)}
    assert store.restart().workers() == store.reader.workers()
    assert list(store.reader.gaps()) == [Gap(10.0, 12.0, "broker away")]
    assert store.reader.changes(0).uuids == ()


def test_children(store: Store) -> None:
    parent, other = uuid_of(0), "odd parent"
    fill(store, 60)
    store.writer.write(
        Batch(new=[make(number, parent_id=parent if number % 2 else other) for number in range(60, 120)])
    )
    children = store.reader.children([parent, other, uuid_of(1)])
    assert children == {
        parent: [uuid_of(n) for n in range(61, 120, 2)],
        other: [uuid_of(n) for n in range(60, 120, 2)],
    }


def test_names_are_those_in_use(store: Store) -> None:
    fill(store, 10)
    store.writer.write(Batch(new=[make(99, name="late")]))
    while store.writer.prune(Retention(max_tasks=1), 0.0):
        pass
    assert store.reader.names() == ["late"]


def test_many_names(store: Store) -> None:
    store.writer.write(Batch(new=[make(number, name=f"name-{number}") for number in range(2000)]))
    assert len(store.reader.names()) == 2000
    by_name = Query(sort=(Sort("name"),))
    assert [task.name for task in store.reader.tasks(by_name, limit=2, offset=1998)] == ["name-998", "name-999"]
    assert store.reader.count(Term("name", "contains", "NAME-1")) == 1111


def test_recorder_status(store: Store) -> None:
    assert store.reader.recorder_status() == {}
    store.writer.set_status({"broker": "away", "backlog": 3})
    assert store.reader.recorder_status() == {"broker": "away", "backlog": 3}
    store.writer.set_status({})
    assert store.reader.recorder_status() == {}


def test_retention_by_count_keeps_unfinished_tasks(store: Store) -> None:
    running = [make(number, state="STARTED") for number in range(0, 200, 20)]
    store.writer.write(Batch(new=[make(number) for number in range(200) if number % 20] + running))
    gone = 0
    while step := store.writer.prune(Retention(max_tasks=30), 0.0):
        gone += step
    left = list(store.reader.tasks(Query(), limit=None))
    assert (gone, len(left), store.reader.count(), store.reader.status().tasks) == (170, 30, 30, 30)
    assert {task.uuid for task in running} <= {task.uuid for task in left}
    while store.writer.prune(replace(Retention(), max_tasks=4), 0.0):
        pass
    assert {task.state for task in store.reader.tasks(Query())} == {"STARTED"}
    assert store.reader.count() == 4


def test_retention_by_age(store: Store) -> None:
    tasks = [make(number, state="RETRY" if number % 50 == 7 else "FAILURE") for number in range(200)]
    store.writer.write(Batch(new=tasks))
    while store.writer.prune(Retention(max_age=100.0), 1220.0):
        pass
    left = {task.uuid for task in store.reader.tasks(Query())}
    assert left == {
        task.uuid for task in tasks if task.timestamp is None or task.timestamp >= 1120 or task.state == "RETRY"
    }
    for uuid in left:
        assert store.writer.load([uuid])
    assert store.restart().prune(Retention(max_age=100.0), 1220.0) == 0
    assert {task.uuid for task in store.reader.tasks(Query())} == left


def test_parked_tasks_are_invisible_and_survive_a_restart(store: Store) -> None:
    waiting = Task(
        uuid="waiting", name="a", earlier=(Attempt(0, state="RETRY"),), data={"task-progress": {"current": 3}}
    )
    assert tuple(store.writer.parked_tasks()) == ()
    store.writer.write(Batch(parked=[waiting, Task(uuid="other")]))
    assert store.reader.task("waiting") is None
    assert store.reader.count() == 0
    store.writer.write(Batch(new=[Task(uuid="row")], parked=[waiting]))
    store.writer.write(Batch(new=[Task(uuid="next")]))
    assert tuple(store.restart().parked_tasks()) == (waiting,)
    store.writer.write(Batch(new=[waiting], parked=()))
    assert tuple(store.restart().parked_tasks()) == ()
    assert store.reader.task("waiting") == waiting


def test_unencodable_custom_data_is_dropped(store: Store) -> None:
    store.writer.write(Batch(parked=[Task(uuid="big", name="a", data={"task-progress": {"n": 2**200}})]))
    (held,) = store.restart().parked_tasks()
    assert (held.uuid, held.name) == ("big", "a")


def test_removed_workers_are_not_listed_and_can_return(store: Store) -> None:
    workers = [Worker(f"w{number}", heartbeat=1_000.0, timestamp=1_000.0) for number in range(3)]
    store.writer.write(Batch(workers=workers))
    store.writer.remove_workers(["w0", "w2", "unknown"])
    assert set(store.writer.workers()) == set(store.reader.workers()) == {"w1"}
    assert set(store.restart().workers()) == {"w1"}
    store.writer.write(Batch(workers=[workers[0]]))
    assert set(store.reader.workers()) == {"w0", "w1"}
