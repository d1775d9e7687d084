"""Tests of workflows, on every store: roots, progress, and pages during writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flower.errors import InvalidRequest
from flower.records import Lost, Task
from flower.search.parser import parse_search
from flower.store.protocols import Batch, Retention
from flower.store.query_results import Workflow
from tests.helpers.stores import Store, opened
from tests.helpers.task_factory import uuid_of


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request.param, tmp_path, segment_tasks=5) as made:
        yield made


def root(number: int, **fields: object) -> Task:
    values: dict[str, object] = {"name": "order", "state": "SUCCESS", "root_id": uuid_of(number), "sent": float(number)}
    return Task(uuid_of(number), **{**values, **fields})  # type: ignore[arg-type]


def child(number: int, of: int, state: str = "SUCCESS", **fields: object) -> Task:
    return Task(uuid_of(number), "charge", state, root_id=uuid_of(of), parent_id=uuid_of(of), **fields)  # type: ignore[arg-type]


def test_progress_of_workflows(store: Store) -> None:
    begun = root(1, timestamp=3.0)
    mark = Lost(30.0, "worker_offline", "The worker stopped.")
    states = ["SUCCESS", "FAILURE", "STARTED", "PROGRESS", "PENDING", "RETRY", "RECEIVED", "REVOKED"]
    others = [child(10 + n, 1, state, received=0.5 + n, timestamp=20.0 + n) for n, state in enumerate(states)]
    others.append(child(20, 1, "STARTED", received=10.0, timestamp=21.0, lost=mark))
    alone, orphan = root(2), child(30, 99)
    store.writer.write(Batch(new=[others[0], begun, alone, orphan]))
    store.writer.write(Batch(new=others[1:]))
    [found] = store.reader.workflows().workflows
    assert found == Workflow(begun, 10, finished=4, failed=1, running=2, started_at=0.5, last_event_at=27.0)


def test_query_applies_to_the_root(store: Store) -> None:
    store.writer.write(Batch(new=[root(1), child(2, 1, "FAILURE"), root(3, state="FAILURE"), child(4, 3)]))
    found = store.reader.workflows(parse_search("state:FAILURE")).workflows
    assert [(each.root.uuid, each.failed) for each in found] == [(uuid_of(3), 1)]
    assert store.reader.workflows(parse_search("name:charge")).workflows == ()


def test_pages_during_writes(store: Store) -> None:
    numbers = range(0, 60, 3)
    store.writer.write(Batch(new=[task for n in numbers for task in (root(n), child(n + 1, n), root(n + 2))]))
    page = store.reader.workflows(limit=7)
    found = [each.root.uuid for each in page.workflows]
    while page.cursor is not None:
        number = 1_000 + 10 * len(found)
        # a new workflow, and the first child of a task that had none
        store.writer.write(Batch(new=[root(number), child(number + 1, number), child(number + 2, 2)]))
        page = store.reader.workflows(limit=7, cursor=page.cursor)
        found += [each.root.uuid for each in page.workflows]
    assert found == [uuid_of(n) for n in sorted([*numbers, 2], reverse=True)]


def test_cursor_of_another_query_is_rejected(store: Store) -> None:
    store.writer.write(Batch(new=[task for n in (0, 10, 20) for task in (root(n), child(n + 1, n))]))
    cursor = store.reader.workflows(limit=1).cursor
    with pytest.raises(InvalidRequest, match="another query"):
        store.reader.workflows(parse_search("state:FAILURE"), limit=1, cursor=cursor)
    with pytest.raises(InvalidRequest, match="Invalid cursor"):
        store.reader.workflows(limit=1, cursor="nonsense")
    assert store.reader.workflows(limit=0).workflows == ()


def test_ids_that_are_not_uuids(store: Store) -> None:
    tasks = [Task("order-1", "order"), Task("mail-1", "mail", root_id="order-1"), Task("order-2", "order")]
    store.writer.write(Batch(new=tasks))
    assert [(each.root.uuid, each.tasks) for each in store.reader.workflows().workflows] == [("order-1", 2)]


def test_removed_tasks_are_not_counted(store: Store) -> None:
    old = [child(n, 1, timestamp=float(n)) for n in range(2, 12)]
    store.writer.write(Batch(new=[root(1, timestamp=100.0), *old]))
    assert store.reader.workflows().workflows[0].tasks == 11
    while store.writer.prune(Retention(max_age=10.0), now=18.5):
        pass
    assert store.reader.workflows().workflows[0].tasks == 4
    while store.writer.prune(Retention(max_age=10.0), now=50.0):
        pass
    assert store.reader.workflows().workflows == ()
