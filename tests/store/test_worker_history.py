"""Tests of the worker history, on every store."""

from pathlib import Path

import apsw
import pytest

from flower.records import Worker
from flower.store import worker_history as history
from flower.store.factory import open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.memory import writer as memory_writer
from flower.store.protocols import Batch
from flower.store.query_results import WorkerSnapshot
from flower.store.sqlite import meta_db
from tests.helpers.stores import Store


def history_of(store: Store, path: Path, hostname: str | None = None, limit: int = 1_000) -> list[WorkerSnapshot]:
    if isinstance(store.reader, MemoryReader):
        return list(store.reader.worker_history(hostname, limit=limit))
    connection = apsw.Connection(str(path / "meta.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return meta_db.read_worker_history(connection, hostname, limit)
    finally:
        connection.close()


def seen(store: Store, *workers: Worker) -> None:
    store.writer.write(Batch(workers=workers))


def up(at: float, hostname: str = "w1", pid: int | None = 7, **fields: object) -> Worker:
    # its clock is one hour off
    return Worker(hostname, pid, timestamp=at + 3600, heartbeat=at, **fields)  # type: ignore[arg-type]


def down(heard: float, gone: float, hostname: str = "w1") -> Worker:
    return Worker(hostname, 7, online=False, timestamp=gone + 3600, heartbeat=heard)


def events(found: list[WorkerSnapshot]) -> list[tuple[str, str, float]]:
    return [(moment.worker, moment.event, moment.recorded_at) for moment in found]


def test_online_and_offline_are_stored(store: Store, path: Path) -> None:
    assert history_of(store, path) == []
    seen(store, up(100.0, active=2, processed=5, loadavg=(0.5, 1.0, 2.0)))
    seen(store, up(102.0))
    seen(store, down(102.0, 103.5))
    seen(store, down(102.0, 103.5))
    seen(store, up(110.0))
    seen(store, up(112.0, pid=8))
    assert events(history_of(store, path)) == [
        ("w1", "online", 112.0),
        ("w1", "online", 110.0),
        ("w1", "offline", 103.5),
        ("w1", "online", 100.0),
    ]
    assert history_of(store, path)[-1] == WorkerSnapshot("w1", 100.0, "online", 7, 2, 5, (0.5, 1.0, 2.0))


def test_one_heartbeat_per_minute_is_stored(store: Store, path: Path) -> None:
    for at in range(0, 200, 2):
        seen(store, up(float(at), processed=at), up(at + 0.5, "w2"))
    assert events(history_of(store, path, "w1")) == [
        ("w1", "heartbeat", 180.0),
        ("w1", "heartbeat", 120.0),
        ("w1", "heartbeat", 60.0),
        ("w1", "online", 0.0),
    ]
    assert [moment.processed for moment in history_of(store, path, "w1", 2)] == [180, 120]
    assert events(history_of(store, path, limit=3)) == [
        ("w2", "heartbeat", 180.5),
        ("w1", "heartbeat", 180.0),
        ("w2", "heartbeat", 120.5),
    ]
    assert history_of(store, path, "w3") == history_of(store, path, limit=0) == history_of(store, path, limit=-1) == []


def test_history_continues_after_a_restart(store: Store, path: Path) -> None:
    seen(store, up(0.0))
    store.restart()
    seen(store, up(30.0))
    seen(store, up(61.0))
    assert events(history_of(store, path)) == [("w1", "heartbeat", 61.0), ("w1", "online", 0.0)]


def test_clock_set_back_does_not_suppress_snapshots(store: Store, path: Path) -> None:
    seen(store, up(10_000.0))
    seen(store, up(5_000.0))
    seen(store, up(5_002.0))
    assert events(history_of(store, path)) == [("w1", "online", 10_000.0), ("w1", "heartbeat", 5_000.0)]


def test_workers_with_missing_fields(store: Store, path: Path) -> None:
    seen(
        store,
        Worker("timeless"),
        Worker("by its own clock", timestamp=5.0),
        Worker("gone", online=False, timestamp=6.0),
    )
    seen(store, Worker("gone too", heartbeat=7.0), Worker("gone too", online=False, heartbeat=7.0))
    seen(store, Worker("gone twice", online=False))
    assert events(history_of(store, path)) == [
        ("gone too", "offline", 7.0),
        ("gone too", "online", 7.0),
        ("gone", "offline", 6.0),
        ("by its own clock", "online", 5.0),
    ]


def test_oldest_snapshots_are_removed(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (meta_db, memory_writer):
        monkeypatch.setattr(module, "MAX_WORKER_SNAPSHOTS", 5)
    for number in range(12):
        seen(store, up(float(number), f"w{number}"))
    assert [moment.worker for moment in history_of(store, path)] == ["w11", "w10", "w9", "w8", "w7"]
    assert history.MAX_WORKER_SNAPSHOTS == 100_000


def test_memory_stores_are_independent() -> None:
    one, other = MemoryStore(), MemoryStore()
    MemoryWriter(one).write(Batch(workers=[up(1.0)]))
    assert MemoryReader(other).worker_history() == []


def test_store_of_an_older_version_gets_a_history(path: Path) -> None:
    writer = open_writer(path)
    writer.write(Batch(workers=[up(1.0)]))
    writer.close()
    connection = apsw.Connection(str(path / "meta.db"))
    connection.execute("DROP TABLE worker_log")
    assert meta_db.read_worker_history(connection, None, 10) == []
    connection.close()
    writer = open_writer(path)
    writer.write(Batch(workers=[up(70.0)]))
    writer.close()
    connection = apsw.Connection(str(path / "meta.db"))
    assert events(meta_db.read_worker_history(connection, "w1", 10)) == [("w1", "heartbeat", 70.0)]
    connection.close()
