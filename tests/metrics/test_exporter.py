"""The answer as a whole, out of real stores."""

import time
from collections.abc import Sequence
from math import inf

import pytest

from flower.counters import OTHER, DurationHistogram, TaskCounters
from flower.metrics import Metrics, MetricsSettings
from flower.metrics.definitions import METRIC_FAMILIES
from flower.records import Gap, Task, Worker
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Batch
from tests.helpers.prometheus_scrape import Scraped
from tests.helpers.stores import Store, store

__all__ = ["store"]

NOW = 1_800_000_000.0
HOSTILE = 'a"b\\c\nd}{e="1"\u202e😀'


class Samples:
    def __init__(self, *samples: QueueSample) -> None:
        self._samples = samples

    def latest(self, after: float = 0.0) -> Sequence[QueueSample]:
        return [sample for sample in self._samples if sample.at > after]


def scrape(metrics: Metrics, store: Store, *samples: QueueSample, now: float = NOW) -> Scraped:
    return Scraped(metrics.render(store.reader, Samples(*samples), now).decode())


def tally(worker: str | None, task: str, count: int = 1, *, runtime: DurationHistogram | None = None) -> TaskCounters:
    return TaskCounters(worker, task, {"task-received": (count, 5.0)}, runtime)


def alive(name: str, **more: object) -> Worker:
    return Worker(name, heartbeat=NOW - 1, freq=2.0, **more)  # type: ignore[arg-type]


def test_every_family_has_its_head_in_an_empty_store(store: Store) -> None:
    found = scrape(Metrics(), store)
    for family in METRIC_FAMILIES:
        told = found.families[family.name]
        assert told.type == family.kind, family.name
        assert told.documentation == family.help, family.name
    assert found.value("flower_recorder_running") == 0
    assert {"python_info", "process_resident_memory_bytes", "python_gc_objects_collected"} <= found.families.keys()


def test_what_was_counted(store: Store) -> None:
    took = DurationHistogram({0.1: 2, 0.5: 3, inf: 1}, 33.25, 7.0)
    store.writer.write(Batch(counters=[tally("w", "add", 6, runtime=took), TaskCounters(None, "add", {}, None, took)]))
    found = scrape(Metrics(MetricsSettings(bucket_bounds=(0.1, 0.25, 1.0))), store)
    where = {"worker": "w", "task": "add"}
    assert found.value("flower_events_total", type="task-received", **where) == 6
    assert found.value("flower_events_created", type="task-received", **where) == 5.0
    for bound, count in (("0.1", 2), ("0.25", 2), ("1.0", 5), ("+Inf", 6)):
        assert found.value("flower_task_runtime_seconds_bucket", le=bound, **where) == count
        assert found.value("flower_task_type_runtime_seconds_bucket", le=bound, task="add") == count
        assert found.value("flower_task_queue_wait_seconds_bucket", le=bound, task="add") == count
    assert found.value("flower_task_runtime_seconds_count", **where) == 6
    assert found.value("flower_task_runtime_seconds_sum", **where) == 33.25
    assert found.value("flower_task_runtime_seconds_created", **where) == 7.0
    assert found.value("flower_task_queue_wait_seconds_sum", task="add") == 33.25


def test_a_scrape_tells_what_changed_since_the_last(store: Store) -> None:
    metrics = Metrics()
    for count in (1, 2, 40):
        store.writer.write(Batch(counters=[tally("w", f"t{count}"), tally("w", "add", count)]))
        found = scrape(metrics, store)
        assert found.value("flower_events_total", worker="w", type="task-received", task="add") == count
    store.writer.write(Batch(dropped_counters=[("w", "t2")]))
    assert found.text != (last := scrape(metrics, store)).text
    assert set(last.labelled("flower_events_total", "task")) == {"t1", "t40", "add"}


def test_run_times_of_a_type_are_those_of_all_its_workers(store: Store) -> None:
    """Those of workers that were forgotten too."""
    metrics, expected = Metrics(), 0
    for number in range(1, 6):
        expected += number
        took = DurationHistogram({0.5: number}, 0.1 * number, float(number))
        place = None if number == 3 else f"w{number}"
        store.writer.write(Batch(counters=[tally(place, "add", runtime=took)]))
        found = scrape(metrics, store)
        assert found.value("flower_task_type_runtime_seconds_count", task="add") == expected
        assert found.value("flower_task_type_runtime_seconds_sum", task="add") == pytest.approx(0.1 * expected)
        assert found.value("flower_task_type_runtime_seconds_created", task="add") == 1.0


def test_hostile_names_stay_one_label(store: Store) -> None:
    store.writer.write(Batch(workers=[alive(HOSTILE)], counters=[tally(HOSTILE, HOSTILE)]))
    found = scrape(Metrics(), store, QueueSample(HOSTILE, NOW, 3))
    assert found.value("flower_events_total", worker=HOSTILE, type="task-received", task=HOSTILE) == 1
    assert found.value("flower_worker_online", worker=HOSTILE) == 1
    assert found.value("flower_queue_messages", queue=HOSTILE) == 3


def test_a_worker_that_died_silently_is_offline_and_has_nothing(store: Store) -> None:
    workers = [alive("a", active=3), Worker("b", heartbeat=NOW - 60, freq=2.0, active=4), Worker("c", online=False)]
    tasks = [
        Task(f"{name}{n}", "add", state="RECEIVED", hostname=name, received=NOW - 9.0, timestamp=NOW)
        for name in ("a", "b")
        for n in range(2)
    ]
    tasks += [
        Task(f"{name}s", "add", state="STARTED", hostname=name, received=NOW - 9.0, started=NOW - 5.0, timestamp=NOW)
        for name in ("a", "b")
    ]
    counted = [
        TaskCounters(name, "add", dict.fromkeys(("task-received", "task-started"), (3, 1.0))) for name in ("a", "b")
    ]
    store.writer.write(Batch(workers=workers, new=tasks, counters=counted))
    found = scrape(Metrics(), store)
    assert found.labelled("flower_worker_online", "worker") == {"a": 1, "b": 0, "c": 0}
    assert found.labelled("flower_worker_number_of_currently_executing_tasks", "worker") == {"a": 3, "b": 0}
    assert found.labelled("flower_worker_prefetched_tasks", "worker") == {"a": 2, "b": 0}
    assert found.labelled("flower_task_prefetch_time_seconds", "worker") == {"a": 4, "b": 0}


def test_workers_that_went_long_ago_and_producers_are_left_out_when_asked(store: Store) -> None:
    workers = [alive("a"), Worker("late", heartbeat=NOW - 20, freq=2.0), Worker("gone", heartbeat=NOW - 100, freq=2.0)]
    senders = ["a", "late", "gone", "producer", OTHER]
    took = DurationHistogram({0.5: 1}, 0.5, 1.0)
    store.writer.write(Batch(workers=workers, counters=[tally(each, "add", runtime=took) for each in senders]))
    everybody = scrape(Metrics(), store)
    assert set(everybody.labelled("flower_events_total", "worker")) == set(senders)
    metrics = Metrics(MetricsSettings(purge_offline_workers=60))
    found = scrape(metrics, store)
    assert set(found.labelled("flower_events_total", "worker")) == {"a", "late", OTHER}
    assert set(found.labelled("flower_task_runtime_seconds_count", "worker")) == {"a", "late", OTHER}
    assert set(found.labelled("flower_worker_online", "worker")) == {"a", "late"}
    assert found.value("flower_task_type_runtime_seconds_count", task="add") == 5
    store.writer.write(Batch(workers=[alive("gone")]))
    assert "gone" in scrape(metrics, store).labelled("flower_events_total", "worker")


def test_more_workers_and_queues_than_told_apart_are_one(store: Store) -> None:
    workers = [alive(f"w{n}", active=1) for n in range(3)] + [Worker(f"old{n}", heartbeat=1.0, freq=2.0) for n in "ab"]
    store.writer.write(Batch(workers=workers))
    queues = [QueueSample(f"q{n}", NOW - n, n, None if n == 1 else n, 1, 1.5 * n) for n in range(5)]
    found = scrape(Metrics(MetricsSettings(max_label_values=2)), store, *queues)
    assert found.labelled("flower_worker_online", "worker") == {"w0": 1, "w1": 1, OTHER: 1}
    assert found.labelled("flower_worker_number_of_currently_executing_tasks", "worker")[OTHER] == 1
    assert found.labelled("flower_queue_messages", "queue") == {"q3": 3, "q4": 4, OTHER: 3}
    assert found.labelled("flower_queue_unacknowledged_messages", "queue") == {"q3": 3, "q4": 4, OTHER: 2}
    assert found.labelled("flower_queue_oldest_message_seconds", "queue")[OTHER] == 3.0


def test_what_is_not_known_of_a_queue_is_absent_and_an_old_sample_too(store: Store) -> None:
    found = scrape(Metrics(), store, QueueSample("dim", NOW, None, None, 0), QueueSample("old", NOW - 600, 7))
    assert found.labelled("flower_queue_messages", "queue") == {}
    assert found.labelled("flower_queue_oldest_message_seconds", "queue") == {}
    assert found.labelled("flower_queue_consumers", "queue") == {"dim": 0}


def test_recorder_and_store(store: Store) -> None:
    store.writer.write(Batch(new=[Task("a", timestamp=1.0)], gaps=[Gap(10.0, 30.0, "x"), Gap(NOW - 5, None, "y")]))
    said = {
        "at": NOW - 1, "running": True, "events_per_second": 12.5, "lag": 0.25, "last_event": NOW - 3, "trouble": None,
        "capture": {"connected": True, "backlog_bytes": 10, "spilled_bytes": 90},
    }  # fmt: skip
    store.writer.set_status(said)
    metrics = Metrics(MetricsSettings(max_bytes=10**9, max_tasks=10))
    found = scrape(metrics, store)
    expected = {
        "flower_recorder_running": 1, "flower_recorder_connected": 1, "flower_recorder_events_per_second": 12.5,
        "flower_recorder_lag_seconds": 0.25, "flower_recorder_backlog_bytes": 100, "flower_recorder_blocked": 0,
        "flower_recorder_last_event_timestamp_seconds": NOW - 3, "flower_recorder_gaps": 2,
        "flower_recorder_gap_seconds": 25, "flower_recorder_gap_open": 1, "flower_store_tasks": 1,
        "flower_store_limit_bytes": 1e9, "flower_store_limit_tasks": 10, "flower_store_damaged_files": 0,
    }  # fmt: skip
    assert {name: found.value(name) for name in expected} == expected
    assert found.value("flower_store_bytes") is not None
    # it died, and could not say so
    silent = scrape(metrics, store, now=NOW + 60)
    assert silent.value("flower_recorder_running") == silent.value("flower_recorder_connected") == 0
    assert silent.value("flower_recorder_events_per_second") == 0
    store.writer.set_status({"at": "odd", "capture": 7, "lag": "long"})
    assert scrape(metrics, store).value("flower_recorder_running") == 0


def test_an_answer_is_quick_to_repeat(store: Store) -> None:
    """Nothing is read or written anew while nothing changes: that is what makes it fast."""
    tallies = [
        tally(f"w{w}", f"t{t}", runtime=DurationHistogram({0.5: 1}, 0.5, 1.0)) for w in range(50) for t in range(60)
    ]
    store.writer.write(Batch(counters=tallies))
    metrics = Metrics()

    def took() -> float:
        begun = time.perf_counter()
        metrics.render(store.reader, Samples(), NOW)
        return time.perf_counter() - begun

    first = took()
    assert min(took() for _ in range(5)) < first / 2


def test_keeping_up_between_answers_changes_none(store: Store) -> None:
    metrics, lone = Metrics(), Metrics()
    assert not metrics.is_in_use
    for count in range(1, 5):
        store.writer.write(Batch(counters=[tally("w", "add", count), tally(f"w{count}", "add")]))
        if count == 3:
            store.writer.write(Batch(dropped_counters=[("w1", "add")]))
        metrics.refresh(store.reader, NOW)
        if count % 2:
            assert scrape(metrics, store).families["flower_events"] == scrape(lone, store).families["flower_events"]
    assert metrics.is_in_use
