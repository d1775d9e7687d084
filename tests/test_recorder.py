"""The recorder loop on the in-memory store, with a capture that returns the batches of the test."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from flower.capture.protocols import CapturedBatch
from flower.counters import CounterLimits
from flower.errors import StoreFull
from flower.recorder import ObservationSource, Recorder, RecorderTuning
from flower.records import Event, Evidence, Gap, Task, WorkerAnswer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.servers import wait_for


class FakeCapture:
    """A capture that returns given batches and records acknowledgements."""

    def __init__(self) -> None:
        self.batches: deque[CapturedBatch] = deque()
        self.acknowledged = 0
        self.stopped = False
        self.connected = True
        self._token = 0

    def give(self, *events: Event, gap: Gap | None = None, messages: int = 0) -> int:
        self._token += 1
        self.batches.append(CapturedBatch(events, self._token, time.time(), gap, messages=messages))
        return self._token

    def start(self) -> None:
        pass

    def read(self, timeout: float) -> CapturedBatch | None:
        if self.batches:
            return self.batches.popleft()
        time.sleep(min(timeout, 0.005))
        return None

    def ack(self, token: int) -> None:
        self.acknowledged = token

    def progress(self, token: int) -> bytes:
        return b"%d" % token

    def stop(self) -> None:
        self.stopped = True

    def status(self) -> dict[str, object]:
        return {"connected": self.connected}


class DiskFullWriter(MemoryWriter):
    """A writer whose disk is full until `full` is reset."""

    full = True

    def write(self, batch: Batch) -> Sequence[int]:
        if self.full:
            raise StoreFull("No space left for the store")
        return super().write(batch)


class RecorderBench:
    """A recorder that runs in a thread while the context is open."""

    def __init__(
        self,
        tuning: RecorderTuning,
        writer: type[MemoryWriter] = MemoryWriter,
        store: MemoryStore | None = None,
        observations: ObservationSource | None = None,
    ) -> None:
        store = self.store = store or MemoryStore()
        self.capture = FakeCapture()
        self.writer = writer(store)
        self.reader = MemoryReader(store)
        self.recorder = Recorder(self.capture, self.writer, tuning=tuning, observations=observations)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.recorder.run, args=(self._stop,))

    def __enter__(self) -> "RecorderBench":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def task(self, uuid: str) -> Task | None:
        return self.reader.task(uuid)


QUICK = RecorderTuning(max_delay=0.01, status_interval=0.02)


def event(kind: str, uuid: str, at: float = 1.0, **fields: Any) -> Event:
    return Event(type=f"task-{kind}", timestamp=at, uuid=uuid, hostname="celery@one", **fields)


def until(condition: Callable[[], bool]) -> None:
    wait_for("the condition", condition)


def test_folds_writes_and_then_acknowledges() -> None:
    with RecorderBench(QUICK) as bench:
        token = bench.capture.give(event("received", "a", name="add"), event("started", "a", 2.0))
        until(lambda: bench.capture.acknowledged == token)
        task = bench.task("a")
        assert task is not None
        assert (task.state, task.name) == ("STARTED", "add")
        # later events update the task, in memory or in the store
        bench.capture.give(event("succeeded", "a", 3.0, result="3"))
        token = bench.capture.give(event("started", "a", 2.0))
        until(lambda: bench.capture.acknowledged == token)
        task = bench.task("a")
        assert task is not None
        assert (task.state, task.started, task.result) == ("SUCCESS", 2.0, "3")
    assert bench.capture.stopped


def test_a_single_event_is_written_without_waiting_for_more() -> None:
    with RecorderBench(RecorderTuning(max_delay=60.0, busy_delay=60.0)) as bench:
        bench.capture.give(event("received", "a"))
        until(lambda: bench.task("a") is not None)


def test_a_burst_is_written_when_nothing_more_arrives() -> None:
    with RecorderBench(RecorderTuning(max_delay=60.0, busy_delay=600.0, busy_rate=0.02)) as bench:
        for number in range(50):
            bench.capture.give(event("received", f"t{number}"), event("succeeded", f"t{number}", 2.0))
        until(lambda: bench.reader.count() == 50)


class SlowWriter(MemoryWriter):
    """Each write takes a while."""

    DURATION = 0.02
    writes = 0

    def write(self, batch: Batch) -> Sequence[int]:
        self.writes += 1
        time.sleep(self.DURATION)
        return super().write(batch)


def test_writing_takes_a_limited_share_of_the_time() -> None:
    tuning = RecorderTuning(max_delay=60.0, write_share=0.25, status_interval=60.0)
    started = time.monotonic()
    with RecorderBench(tuning, SlowWriter) as bench:
        for number in range(60):
            bench.capture.give(event("received", f"t{number}"))
            time.sleep(0.01)
        elapsed = time.monotonic() - started
        assert isinstance(bench.writer, SlowWriter)
        assert 2 <= bench.writer.writes <= elapsed * tuning.write_share / SlowWriter.DURATION + 2
    assert bench.reader.count() == 60


def test_busy_recorder_holds_running_tasks_for_a_limited_time() -> None:
    """Events of held tasks must be redelivered after a crash: they are not acknowledged."""
    tuning = RecorderTuning(max_delay=60.0, busy_delay=60.0, busy_rate=0.02, flush_events=3, hold_delay=0.2)
    with RecorderBench(tuning) as bench:
        held = bench.capture.give(event("received", "running"), event("received", "x"), event("succeeded", "x"))
        until(lambda: bench.task("x") is not None)
        assert bench.capture.acknowledged < held
        assert bench.task("running") is None
        given_at, tokens = time.monotonic(), []

        def running_is_written() -> bool:
            tokens.append(bench.capture.give(*(event(kind, "y") for kind in ("received", "started", "succeeded"))))
            return bench.task("running") is not None

        until(running_is_written)
        assert time.monotonic() - given_at > tuning.hold_delay / 2
        until(lambda: bench.capture.acknowledged == tokens[-1])


def test_with_small_messages_held_tasks_are_parked_in_the_store_and_acknowledged() -> None:
    """The next recorder loads them, because their events are not redelivered."""
    tuning = RecorderTuning(
        max_delay=60.0, busy_delay=60.0, busy_rate=0.02, flush_events=3, hold_delay=60.0, shutdown_timeout=0.0
    )
    with RecorderBench(tuning) as bench:
        done = (event("received", "done"), event("succeeded", "done", 2.0))
        token = bench.capture.give(event("received", "running", name="long"), *done, messages=3)
        until(lambda: bench.capture.acknowledged == token)
        assert bench.task("done") is not None
        assert bench.task("running") is None
        killed = MemoryStore()  # a copy of the current content of the disk
        killed.tasks, killed.keys = dict(bench.store.tasks), dict(bench.store.keys)
        killed.parked, killed.next_key = bench.store.parked, bench.store.next_key
    with RecorderBench(QUICK, store=killed) as after:
        token = after.capture.give(event("started", "running", 3.0))
        until(lambda: after.capture.acknowledged == token)
        task = after.task("running")
        assert task is not None
        assert (task.name, task.state) == ("long", "STARTED")
        until(lambda: not killed.parked)


def test_parked_task_does_not_overwrite_a_newer_row() -> None:
    store = MemoryStore()
    MemoryWriter(store).write(
        Batch(new=[Task("a", state="SUCCESS", timestamp=5.0)], parked=[Task("a", state="STARTED", timestamp=4.0)])
    )
    with RecorderBench(QUICK, store=store) as bench:
        token = bench.capture.give(event("received", "b"))
        until(lambda: bench.capture.acknowledged == token)
        task = bench.task("a")
        assert task is not None
        assert task.state == "SUCCESS"


def test_full_disk_pauses_recording_without_loss() -> None:
    with RecorderBench(
        RecorderTuning(max_delay=0.01, disk_retry_interval=0.02, status_interval=0.02), DiskFullWriter
    ) as bench:
        token = bench.capture.give(event("received", "a"))
        until(lambda: bench.reader.recorder_status().get("trouble") == "No space left for the store")
        bench.capture.give(event("received", "b"))
        assert bench.capture.acknowledged == 0
        bench.writer.full = False  # type: ignore[attr-defined]
        until(lambda: bench.capture.acknowledged == token + 1)
        until(lambda: bench.reader.recorder_status().get("trouble") is None)
        assert bench.task("a") is not None
        assert bench.task("b") is not None


def test_cache_is_bounded_and_evicted_tasks_are_reloaded() -> None:
    tuning = RecorderTuning(max_delay=0.01, max_cached_tasks=10)
    with RecorderBench(tuning) as bench:
        for number in range(100):
            bench.capture.give(event("received", f"t{number}", name=f"n{number}"))
        token = bench.capture.give(event("started", "t0", 2.0))
        until(lambda: bench.capture.acknowledged == token)
        assert len(bench.recorder._cache) <= 11
        task = bench.task("t0")
        assert task is not None
        assert (task.name, task.state) == ("n0", "STARTED")


def test_stop_writes_captured_events() -> None:
    with RecorderBench(RecorderTuning(max_delay=60.0, busy_delay=60.0, busy_rate=0.02, hold_delay=60.0)) as bench:
        for number in range(50):
            bench.capture.give(event("received", f"t{number}"))
    assert bench.reader.count() == 50
    assert bench.reader.recorder_status()["running"] is False


def test_gaps_and_workers_are_written_without_tasks() -> None:
    with RecorderBench(QUICK) as bench:
        gap = Gap(1.0, 2.0, "not connected")
        bench.capture.give(gap=gap)
        until(lambda: list(bench.reader.gaps()) == [gap])
        bench.capture.give(Event(type="worker-heartbeat", timestamp=5.0, hostname="celery@one", active=3))
        until(lambda: "celery@one" in bench.reader.workers())
        assert bench.reader.workers()["celery@one"].active == 3


@pytest.mark.parametrize("jump", [-10_000_000.0, 10_000_000.0])
def test_clock_jump_does_not_stop_recording(jump: float) -> None:
    now = [time.time()]
    store = MemoryStore()
    capture, reader = FakeCapture(), MemoryReader(store)
    recorder = Recorder(capture, MemoryWriter(store), tuning=QUICK, clock=lambda: now[0])
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    try:
        for number in range(3):
            token = capture.give(event("received", f"t{number}"))
            until(lambda token=token: capture.acknowledged == token)  # type: ignore[misc]
            now[0] += jump
    finally:
        stop.set()
        thread.join(10)
    assert reader.count() == 3


class Observed:
    """An observation source that returns what the test adds."""

    def __init__(self) -> None:
        self.found: deque[Evidence | WorkerAnswer] = deque()

    def read(self) -> Sequence[Evidence | WorkerAnswer]:
        return [self.found.popleft() for _ in range(len(self.found))]

    def status(self) -> dict[str, Any]:
        return {"examined": 3}


def test_evidence_is_folded_and_written_without_events() -> None:
    observed = Observed()
    with RecorderBench(QUICK, observations=observed) as bench:
        token = bench.capture.give(event("received", "a", name="add"), event("started", "a", 2.0))
        until(lambda: bench.capture.acknowledged == token)
        observed.found.append(
            Evidence("a", "result_backend", 9.0, "SUCCESS", basis=("STARTED", 2.0), ended=3.0, result="1")
        )
        observed.found.append(Evidence("b", "worker", 9.0, "STARTED", basis=None, hostname="celery@two", name="add"))
        observed.found.append(WorkerAnswer("celery@two", time.time(), pid=7))
        until(lambda: (bench.task("b") or Task("b")).state == "STARTED")
        task = bench.task("a")
        assert task is not None
        assert (task.state, task.source, task.result) == ("SUCCESS", "result_backend", "1")
        assert bench.capture.acknowledged == token
        until(lambda: bench.reader.recorder_status().get("reconcile") == {"examined": 3})
        assert "celery@two" in bench.reader.workers()


def test_clock_of_a_worker_is_recorded_for_the_worker_and_its_tasks() -> None:
    ahead = time.time() + 3600
    with RecorderBench(QUICK) as bench:
        heartbeat = Event(type="worker-heartbeat", timestamp=ahead, hostname="celery@one", pid=7, clock=1)
        token = bench.capture.give(heartbeat, event("received", "a", ahead), event("started", "a", ahead + 1))
        until(lambda: bench.capture.acknowledged == token)
        task = bench.task("a")
        assert task is not None
        assert task.clock_offset == pytest.approx(3600, abs=30)
        assert (task.received, task.wait) == (ahead, pytest.approx(1))
        assert bench.reader.workers()["celery@one"].clock_offset == pytest.approx(3600, abs=30)


def test_events_that_are_delivered_again_leave_no_task_in_memory() -> None:
    events = [event(kind, "a", at) for at, kind in enumerate(("received", "started", "succeeded"), 1)]
    with RecorderBench(QUICK) as bench:
        for _ in range(2):
            token = bench.capture.give(*events)
            until(lambda token=token: bench.capture.acknowledged == token)  # type: ignore[misc]
            assert not bench.recorder._cache


def test_workers_beyond_the_maximum_are_removed_oldest_first() -> None:
    tuning = RecorderTuning(max_delay=0.01, status_interval=0.02, max_workers=20)
    with RecorderBench(tuning) as bench:
        for number in range(100):
            heartbeat = Event(type="worker-heartbeat", timestamp=float(number), hostname=f"w{number}", freq=2.0)
            bench.capture.give(heartbeat)
            if number % 10 == 9:
                until(lambda: not bench.capture.batches and f"w{number}" in bench.reader.workers())  # noqa: B023
        token = bench.capture.give(event("received", "a", name="add"))
        until(lambda: bench.capture.acknowledged == token)
        until(lambda: len(bench.reader.workers()) <= 20)
        assert "w99" in bench.reader.workers()
        assert "w0" not in bench.reader.workers()
        until(lambda: bench.reader.recorder_status()["removed_workers"] >= 80)
        # a worker that was removed is recorded again with its next event
        bench.capture.give(Event(type="worker-heartbeat", timestamp=1.0, hostname="w0", freq=2.0))
        until(lambda: "w0" in bench.reader.workers())


def test_a_connection_is_reported_before_its_events() -> None:
    bench = RecorderBench(RecorderTuning(status_interval=600.0))
    bench.capture.connected = False
    with bench:
        until(lambda: "capture" in bench.reader.recorder_status())
        assert bench.reader.recorder_status()["capture"]["connected"] is False
        bench.capture.connected = True
        bench.capture.give(event("received", "a"))
        until(lambda: bench.task("a") is not None)
        assert bench.reader.recorder_status()["capture"]["connected"] is True


def test_status_names_the_labels_of_metrics_that_are_full() -> None:
    store = MemoryStore()
    capture, writer = FakeCapture(), MemoryWriter(store)
    recorder = Recorder(capture, writer, limits=CounterLimits(max_names=2), tuning=QUICK)
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    for number in range(5):
        capture.give(event("received", f"id{number}", name=f"t{number}"))
    reader = MemoryReader(store)
    until(lambda: reader.recorder_status().get("full_labels") == ["task types"])
    stop.set()
    thread.join(10)
