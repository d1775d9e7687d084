"""The complete response of /metrics, from real stores."""

import time
from collections.abc import Sequence
from math import inf
from typing import cast

import pytest

from flower.counters import OTHER, DurationHistogram, TaskCounters
from flower.metrics import Metrics, MetricsSettings
from flower.metrics.definitions import METRIC_FAMILIES
from flower.records import Gap, Lost, Task, Worker
from flower.store.ledger.queue_samples import QueueSample, QueueSamples
from flower.store.protocols import Batch
from tests.helpers.prometheus_scrape import ScrapedMetrics
from tests.helpers.stores import Store, store

__all__ = ["store"]

NOW = 1_800_000_000.0
HOSTILE = 'a"b\\c\nd}{e="1"\u202e😀'


class Samples:
    """Queue samples of which only the latest are read."""

    def __init__(self, *samples: QueueSample) -> None:
        self._samples = samples

    def latest(self, after: float = 0.0) -> Sequence[QueueSample]:
        return [sample for sample in self._samples if sample.at > after]


def scrape(metrics: Metrics, store: Store, *samples: QueueSample, now: float = NOW) -> ScrapedMetrics:
    return ScrapedMetrics(metrics.render(store.reader, cast(QueueSamples, Samples(*samples)), now).decode())


def counters(
    worker: str | None, task: str, count: int = 1, *, runtime: DurationHistogram | None = None
) -> TaskCounters:
    return TaskCounters(worker, task, {"task-received": (count, 5.0)}, runtime)


def online(name: str, **fields: object) -> Worker:
    return Worker(name, heartbeat=NOW - 1, freq=2.0, **fields)  # type: ignore[arg-type]


def test_an_empty_store_has_the_header_of_every_family(store: Store) -> None:
    scraped = scrape(Metrics(), store)
    for family in METRIC_FAMILIES:
        parsed = scraped.families[family.name]
        assert parsed.type == family.kind, family.name
        assert parsed.documentation == family.help, family.name
    assert scraped.value("flower_recorder_running") == 0
    assert {"python_info", "process_resident_memory_bytes", "python_gc_objects_collected"} <= scraped.families.keys()


def test_counters_and_histograms(store: Store) -> None:
    runtime = DurationHistogram({0.1: 2, 0.5: 3, inf: 1}, 33.25, 7.0)
    store.writer.write(
        Batch(
            counters=[counters("w", "add", 6, runtime=runtime), TaskCounters(None, "add", {}, None, runtime, runtime)]
        )
    )
    scraped = scrape(Metrics(MetricsSettings(bucket_bounds=(0.1, 0.25, 1.0))), store)
    labels = {"worker": "w", "task": "add"}
    assert scraped.value("flower_events_total", type="task-received", **labels) == 6
    assert scraped.value("flower_events_created", type="task-received", **labels) == 5.0
    for bound, count in (("0.1", 2), ("0.25", 2), ("1.0", 5), ("+Inf", 6)):
        assert scraped.value("flower_task_runtime_seconds_bucket", le=bound, **labels) == count
        assert scraped.value("flower_task_type_runtime_seconds_bucket", le=bound, task="add") == count
        assert scraped.value("flower_task_queue_wait_seconds_bucket", le=bound, task="add") == count
    assert scraped.value("flower_task_runtime_seconds_count", **labels) == 6
    assert scraped.value("flower_task_runtime_seconds_sum", **labels) == 33.25
    assert scraped.value("flower_task_runtime_seconds_created", **labels) == 7.0
    assert scraped.value("flower_task_queue_wait_seconds_sum", task="add") == 33.25
    assert scraped.value("flower_task_backoff_seconds_sum", task="add") == 33.25
    assert scraped.value("flower_task_backoff_seconds_bucket", le="1.0", task="add") == 5


def test_a_scrape_contains_changes_since_the_last(store: Store) -> None:
    metrics = Metrics()
    for count in (1, 2, 40):
        store.writer.write(Batch(counters=[counters("w", f"t{count}"), counters("w", "add", count)]))
        scraped = scrape(metrics, store)
        assert scraped.value("flower_events_total", worker="w", type="task-received", task="add") == count
    store.writer.write(Batch(dropped_counters=[("w", "t2")]))
    assert scraped.text != (last := scrape(metrics, store)).text
    assert set(last.labelled("flower_events_total", "task")) == {"t1", "t40", "add"}


def test_run_times_of_a_type_include_all_workers(store: Store) -> None:
    """Also workers whose counters were removed."""
    metrics, expected = Metrics(), 0
    for number in range(1, 6):
        expected += number
        runtime = DurationHistogram({0.5: number}, 0.1 * number, float(number))
        worker = None if number == 3 else f"w{number}"
        store.writer.write(Batch(counters=[counters(worker, "add", runtime=runtime)]))
        scraped = scrape(metrics, store)
        assert scraped.value("flower_task_type_runtime_seconds_count", task="add") == expected
        assert scraped.value("flower_task_type_runtime_seconds_sum", task="add") == pytest.approx(0.1 * expected)
        assert scraped.value("flower_task_type_runtime_seconds_created", task="add") == 1.0


def test_hostile_names_are_escaped(store: Store) -> None:
    store.writer.write(Batch(workers=[online(HOSTILE)], counters=[counters(HOSTILE, HOSTILE)]))
    scraped = scrape(Metrics(), store, QueueSample(HOSTILE, NOW, 3))
    assert scraped.value("flower_events_total", worker=HOSTILE, type="task-received", task=HOSTILE) == 1
    assert scraped.value("flower_worker_online", worker=HOSTILE) == 1
    assert scraped.value("flower_queue_messages", queue=HOSTILE) == 3


def test_a_silent_worker_is_offline_and_its_prefetched_tasks_are_not_counted(store: Store) -> None:
    workers = [online("a", active=3), Worker("b", heartbeat=NOW - 60, freq=2.0, active=4), Worker("c", online=False)]
    tasks = [
        Task(f"{name}{n}", "add", state="RECEIVED", hostname=name, received=NOW - 9.0, timestamp=NOW)
        for name in ("a", "b")
        for n in range(2)
    ]
    tasks += [
        Task(f"{name}s", "add", state="STARTED", hostname=name, received=NOW - 9.0, started=NOW - 5.0, timestamp=NOW)
        for name in ("a", "b")
    ]
    counts = [
        TaskCounters(name, "add", dict.fromkeys(("task-received", "task-started"), (3, 1.0))) for name in ("a", "b")
    ]
    store.writer.write(Batch(workers=workers, new=tasks, counters=counts))
    scraped = scrape(Metrics(), store)
    assert scraped.labelled("flower_worker_online", "worker") == {"a": 1, "b": 0, "c": 0}
    assert scraped.labelled("flower_worker_number_of_currently_executing_tasks", "worker") == {"a": 1, "b": 1, "c": 0}
    assert scraped.labelled("flower_worker_prefetched_tasks", "worker") == {"a": 2, "b": 0}
    assert scraped.labelled("flower_task_prefetch_time_seconds", "worker") == {"a": 4, "b": 0}


def test_executing_tasks_are_those_of_the_store_which_are_not_lost(store: Store) -> None:
    """Not those of the last heartbeat: `/api/tasks` and this metric show one number."""
    lost = Lost(NOW, "worker_offline", "The worker is offline.")
    tasks = [
        Task("a", "add", "STARTED", "w", timestamp=NOW),
        Task("b", "add", "PROGRESS", "w", timestamp=NOW),
        Task("c", "add", "STARTED", "w", timestamp=NOW, lost=lost),
        Task("d", "add", "RECEIVED", "w", timestamp=NOW),
        Task("e", "add", "STARTED", "dead", timestamp=NOW),
    ]
    store.writer.write(Batch(workers=[online("w", active=9), Worker("dead", heartbeat=NOW - 60)], new=tasks))
    executing = scrape(Metrics(), store).labelled("flower_worker_number_of_currently_executing_tasks", "worker")
    assert executing == {"w": 2, "dead": 1}


def test_a_living_worker_stays_online_while_the_recorder_cannot_write(store: Store) -> None:
    store.writer.write(Batch(workers=[Worker("w", heartbeat=NOW - 61, freq=2.0), Worker("dead", heartbeat=NOW - 99)]))
    store.writer.set_status({"at": NOW, "running": True, "trouble": "disk full", "current_at": NOW - 60})
    scraped = scrape(Metrics(MetricsSettings(purge_offline_workers=120)), store)
    assert scraped.labelled("flower_worker_online", "worker") == {"w": 1, "dead": 0}
    assert scraped.labelled("flower_worker_last_seen_timestamp_seconds", "worker") == {"w": NOW - 61, "dead": NOW - 99}
    assert scraped.value("flower_recorder_blocked") == 1


def test_the_clock_offset_of_a_worker_is_a_metric(store: Store) -> None:
    store.writer.write(Batch(workers=[online("a", clock_offset=3_600.0), online("b")]))
    assert scrape(Metrics(), store).labelled("flower_worker_clock_offset_seconds", "worker") == {"a": 3_600}


def test_purge_offline_workers_hides_workers_and_producers(store: Store) -> None:
    workers = [online("a"), Worker("late", heartbeat=NOW - 20, freq=2.0), Worker("gone", heartbeat=NOW - 100, freq=2.0)]
    senders = ["a", "late", "gone", "producer", OTHER]
    runtime = DurationHistogram({0.5: 1}, 0.5, 1.0)
    store.writer.write(Batch(workers=workers, counters=[counters(each, "add", runtime=runtime) for each in senders]))
    unfiltered = scrape(Metrics(), store)
    assert set(unfiltered.labelled("flower_events_total", "worker")) == set(senders)
    metrics = Metrics(MetricsSettings(purge_offline_workers=60))
    scraped = scrape(metrics, store)
    assert set(scraped.labelled("flower_events_total", "worker")) == {"a", "late", OTHER}
    assert set(scraped.labelled("flower_task_runtime_seconds_count", "worker")) == {"a", "late", OTHER}
    assert set(scraped.labelled("flower_worker_online", "worker")) == {"a", "late"}
    assert scraped.value("flower_task_type_runtime_seconds_count", task="add") == 5
    store.writer.write(Batch(workers=[online("gone")]))
    assert "gone" in scrape(metrics, store).labelled("flower_events_total", "worker")


def test_workers_and_queues_beyond_the_limit_are_combined(store: Store) -> None:
    workers = [online(f"w{n}") for n in range(3)] + [Worker(f"old{n}", heartbeat=1.0, freq=2.0) for n in "ab"]
    running = [Task(f"t{n}", "add", state="STARTED", hostname=f"w{n}", timestamp=NOW) for n in range(3)]
    store.writer.write(Batch(workers=workers, new=running))
    queues = [QueueSample(f"q{n}", NOW - n, n, None if n == 1 else n, 1, 1.5 * n) for n in range(5)]
    scraped = scrape(Metrics(MetricsSettings(max_label_values=2)), store, *queues)
    assert scraped.labelled("flower_worker_online", "worker") == {"w0": 1, "w1": 1, OTHER: 1}
    assert scraped.labelled("flower_worker_number_of_currently_executing_tasks", "worker")[OTHER] == 1
    assert scraped.labelled("flower_queue_messages", "queue") == {"q3": 3, "q4": 4, OTHER: 3}
    assert scraped.labelled("flower_queue_unacknowledged_messages", "queue") == {"q3": 3, "q4": 4, OTHER: 2}
    assert scraped.labelled("flower_queue_oldest_message_seconds", "queue")[OTHER] == 3.0


def test_unknown_values_and_old_samples_of_queues_are_absent(store: Store) -> None:
    scraped = scrape(Metrics(), store, QueueSample("dim", NOW, None, None, 0), QueueSample("old", NOW - 600, 7))
    assert scraped.labelled("flower_queue_messages", "queue") == {}
    assert scraped.labelled("flower_queue_oldest_message_seconds", "queue") == {}
    assert scraped.labelled("flower_queue_consumers", "queue") == {"dim": 0}


def test_recorder_and_store(store: Store) -> None:
    store.writer.write(Batch(new=[Task("a", timestamp=1.0)], gaps=[Gap(10.0, 30.0, "x"), Gap(NOW - 5, None, "y")]))
    report = {
        "at": NOW - 1, "running": True, "events_per_second": 12.5, "lag": 0.25, "last_event": NOW - 3, "trouble": None,
        "capture": {"connected": True, "backlog_bytes": 100, "spilled_bytes": 90},
    }  # fmt: skip
    store.writer.set_status(report)
    metrics = Metrics(MetricsSettings(max_bytes=10**9, max_tasks=10))
    scraped = scrape(metrics, store)
    expected = {
        "flower_recorder_running": 1, "flower_recorder_connected": 1, "flower_recorder_events_per_second": 12.5,
        "flower_recorder_lag_seconds": 0.25, "flower_recorder_backlog_bytes": 100, "flower_recorder_blocked": 0,
        "flower_recorder_last_event_timestamp_seconds": NOW - 3, "flower_recorder_gaps": 2,
        "flower_recorder_gap_seconds": 25, "flower_recorder_gap_open": 1, "flower_store_tasks": 1,
        "flower_store_limit_bytes": 1e9, "flower_store_limit_tasks": 10, "flower_store_damaged_files": 0,
    }  # fmt: skip
    assert {name: scraped.value(name) for name in expected} == expected
    assert scraped.labelled("flower_gaps_total", "cause")["unknown"] == 2
    assert scraped.labelled("flower_gap_seconds_total", "cause")["unknown"] == 25
    assert scraped.labelled("flower_gaps_total", "cause")["recorder_crashed"] == 0
    assert scraped.value("flower_store_bytes") is not None
    # the recorder was killed and wrote no final report
    stopped = scrape(metrics, store, now=NOW + 60)
    assert stopped.value("flower_recorder_running") == stopped.value("flower_recorder_connected") == 0
    assert stopped.value("flower_recorder_events_per_second") == 0
    store.writer.set_status({"at": "odd", "capture": 7, "lag": "long"})
    assert scrape(metrics, store).value("flower_recorder_running") == 0


def test_a_repeated_scrape_is_fast(store: Store) -> None:
    """Without changes nothing is read or formatted again."""
    batch = [
        counters(f"w{w}", f"t{t}", runtime=DurationHistogram({0.5: 1}, 0.5, 1.0)) for w in range(50) for t in range(60)
    ]
    store.writer.write(Batch(counters=batch))
    metrics = Metrics()

    def measure() -> float:
        started = time.perf_counter()
        metrics.render(store.reader, cast(QueueSamples, Samples()), NOW)
        return time.perf_counter() - started

    first = measure()
    assert min(measure() for _ in range(5)) < first / 2


def test_a_refresh_between_scrapes_changes_no_result(store: Store) -> None:
    metrics, unrefreshed = Metrics(), Metrics()
    assert not metrics.is_in_use
    for count in range(1, 5):
        store.writer.write(Batch(counters=[counters("w", "add", count), counters(f"w{count}", "add")]))
        if count == 3:
            store.writer.write(Batch(dropped_counters=[("w1", "add")]))
        metrics.refresh(store.reader, NOW)
        if count % 2:
            assert (
                scrape(metrics, store).families["flower_events"] == scrape(unrefreshed, store).families["flower_events"]
            )
    assert metrics.is_in_use


def test_current_depths_replace_the_recorded_samples(store: Store) -> None:
    recorded, current = QueueSample("mail", NOW - 14, 5), QueueSample("mail", NOW, 7)
    for depths, ready in ((None, 5), ([current], 7)):
        text = Metrics().render(store.reader, cast(QueueSamples, Samples(recorded)), NOW, depths).decode()
        assert ScrapedMetrics(text).labelled("flower_queue_messages", "queue")["mail"] == ready
