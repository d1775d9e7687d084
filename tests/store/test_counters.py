"""Tests of event counters, on every store."""

import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from flower.counters import CounterDelta, DurationHistogram, TaskCounters, WorkerIncarnation
from flower.errors import StoreFull
from flower.store.factory import open_writer
from flower.store.protocols import Batch
from flower.store.sqlite import meta_db
from tests.helpers.stores import Store, opened
from tests.helpers.task_factory import make


def tally(worker: str | None, task: str, count: int = 1) -> TaskCounters:
    took = DurationHistogram({0.5: count, float("inf"): 1}, 0.25 * count, 10.5)
    return TaskCounters(worker, task, {"task-sent": (count, 1.5)}, took, took if worker is None else None)


def by_key(found: CounterDelta) -> dict[Any, TaskCounters]:
    assert len({each.key for each in found.changed}) == len(found.changed)
    return {each.key: each for each in found.changed}


def test_no_counters(store: Store) -> None:
    assert store.reader.counters() == CounterDelta(0, (), is_snapshot=True)
    assert list(store.writer.counters()) == []
    assert store.reader.in_flight({"w": WorkerIncarnation()}) == []


def test_counters_have_the_last_value_and_survive_a_restart(store: Store) -> None:
    first, second = tally("w1", "add"), tally(None, "add")
    store.writer.write(Batch(counters=[first, second], new=[make(1)]))
    assert by_key(store.reader.counters()) == {first.key: first, second.key: second}
    after = store.reader.counters().sequence
    assert after == store.reader.changes(0).sequence
    more = tally("w1", "add", 7)
    store.restart().write(Batch(counters=[more]))
    assert by_key(store.reader.counters(after)) == {more.key: more}
    assert not store.reader.counters(after).is_snapshot
    again = store.restart()
    assert {each.key: each for each in again.counters()} == {more.key: more, second.key: second}


def test_dropped_counters_force_a_snapshot(store: Store) -> None:
    kept, gone = tally("w1", "add"), tally("w2", "add")
    store.writer.write(Batch(counters=[kept, gone]))
    before = store.reader.counters().sequence
    store.writer.write(Batch(dropped_counters=[gone.key, ("never", "there")], counters=[tally("w3", "add")]))
    found = store.reader.counters(before)
    assert found.is_snapshot
    assert set(by_key(found)) == {kept.key, ("w3", "add")}
    assert store.reader.counters(found.sequence) == CounterDelta(found.sequence, (), is_snapshot=False)
    # counters that are dropped and stored in the same write start again
    store.writer.write(Batch(dropped_counters=[kept.key], counters=[replaced := tally("w1", "add", 1)]))
    assert by_key(store.reader.counters(found.sequence))[kept.key] == replaced


def test_unknown_sequence_returns_a_snapshot(store: Store) -> None:
    store.writer.write(Batch(counters=[tally("w1", "add")]))
    assert store.reader.counters(1_000).is_snapshot
    assert len(store.reader.counters(1_000).changed) == 1


def test_many_counters_over_many_writes(store: Store) -> None:
    chance = random.Random(7)
    kept: dict[Any, Any] = {}
    followed: dict[Any, TaskCounters] = {}
    at = 0
    for _ in range(40):
        changed = [tally(f"w{chance.randrange(9)}", f"t{chance.randrange(9)}", chance.randrange(99)) for _ in range(9)]
        changed = list({each.key: each for each in changed}.values())
        gone = [key for key in kept if chance.random() < 0.05]
        for key in gone:
            del kept[key]
        kept.update((each.key, each) for each in changed)
        store.writer.write(Batch(counters=changed, dropped_counters=gone))
        if chance.random() < 0.5:
            found = store.reader.counters(at)
            followed = by_key(found) if found.is_snapshot else {**followed, **by_key(found)}
            at = found.sequence
            assert followed == kept
        if chance.random() < 0.1:
            store.restart()
    assert {each.key: each for each in store.restart().counters()} == kept


def test_failed_write_changes_no_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_counters = meta_db.MetaWriter.put_counters

    def put_and_fail(*args: Any) -> None:
        put_counters(*args)
        raise OSError(28, "No space left on device")

    with opened("sqlite", tmp_path) as store:
        store.writer.write(Batch(counters=[tally("w1", "add", 1)]))
        with monkeypatch.context() as patched:
            patched.setattr(meta_db.MetaWriter, "put_counters", put_and_fail)
            with pytest.raises(StoreFull):
                store.writer.write(Batch(counters=[tally("w2", "add"), tally("w1", "add", 2)]))
        assert set(by_key(store.reader.counters())) == {("w1", "add")}
        store.writer.write(Batch(counters=[tally("w3", "add")]))
        found = by_key(store.reader.counters())
        assert found == {("w1", "add"): tally("w1", "add", 1), ("w3", "add"): tally("w3", "add")}


def test_store_of_an_older_version_gets_counters(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as store:
        store.writer.write(Batch(new=[make(1)]))
        store.writer.close()
        with apsw.Connection(str(tmp_path / "data" / "meta.db")) as old:
            old.execute("DROP TABLE tally")
        assert store.reader.counters() == CounterDelta(1, (), is_snapshot=True)
        store.writer = open_writer(tmp_path / "data", text_index=False)
        store.writer.write(Batch(counters=[tally("w1", "add")]))
        assert len(store.reader.counters().changed) == 1
