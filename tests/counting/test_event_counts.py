"""Counting by sequences of ordinary events, compared with counting each event by itself."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flower.capture.protocols import CapturedBatch
from flower.counters import CounterLimits, TaskCounters
from flower.counting import EventAggregator, EventCounts, TaskCounts, count_step
from flower.fold import ClockOffsets, fold
from flower.recorder import Recorder, RecorderTuning
from flower.records import Event, Evidence, Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from tests.test_recorder import FakeCapture

NOW = 1_000.0
#: Unfinished tasks are held back in every write but the last one.
BUSY = RecorderTuning(busy_rate=0.000_001, hold_delay=60.0)
KINDS = ("sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected", "progress")

events = st.builds(
    Event,
    type=st.sampled_from([f"task-{kind}" for kind in KINDS]),
    # of few values, and multiples of 1/4, so that sums are exact
    timestamp=st.sampled_from([990.0 + quarters / 4 for quarters in range(24)]),
    uuid=st.sampled_from(["a", "b"]),
    hostname=st.sampled_from(["w1", "w1", "w1", "w2", None]),
    pid=st.sampled_from([1, 1, 1, 2]),
    name=st.sampled_from([None, "add", "add", "other"]),
    retries=st.sampled_from([None, 0, 1]),
    eta=st.sampled_from([None, None, None, "2030-01-01"]),
    runtime=st.sampled_from([None, None, 0.25, 2.0]),
    clock=st.none(),
)


#: kinds of ordinary sequences, with their usual fields
ORDINARY: list[list[tuple[str, dict[str, Any]]]] = [
    [
        ("sent", {"hostname": "client", "name": "add"}),
        ("received", {"name": "add"}),
        ("started", {}),
        ("succeeded", {"runtime": 0.25}),
    ],
    [
        ("received", {"name": "add", "retries": 0}),
        ("started", {}),
        ("retried", {}),
        ("received", {"name": "add", "retries": 1}),
        ("started", {}),
        ("succeeded", {"runtime": 0.5}),
    ],
]


@st.composite
def _ordinary_tasks(draw: st.DrawFn) -> list[Event]:
    """The events of an ordinary task, some of which differ in one field."""
    uuid, steps = draw(st.sampled_from(["a", "b"])), draw(st.sampled_from(ORDINARY))
    changed = draw(st.sampled_from(["", "", "hostname", "name", "runtime"]))
    changed_at = draw(st.integers(0, len(steps) - 1))
    value = {"": None, "hostname": None, "name": draw(st.sampled_from([None, "other"])), "runtime": 2.0}[changed]
    return [
        Event(
            type=f"task-{kind}",
            timestamp=980.0 + number,
            uuid=uuid,
            **{"hostname": "w1", "pid": 1, **fields, **({changed: value} if changed and number == changed_at else {})},
        )
        for number, (kind, fields) in enumerate(steps)
    ]


streams = st.lists(st.one_of(st.lists(events, max_size=3), _ordinary_tasks()), max_size=4).map(
    lambda parts: [event for part in parts for event in part]
)


def _count_one_by_one(stream: list[Event]) -> list[TaskCounters]:
    aggregator, counts, clocks = EventAggregator([], CounterLimits(), NOW), EventCounts(), ClockOffsets()
    tasks: dict[str, Task] = {}
    for event in stream:
        assert event.uuid is not None
        before = tasks.get(event.uuid)
        task = tasks[event.uuid] = fold(before, event, clocks)
        if task is not before:
            counts.add(event, task)
    return sorted(aggregator.collect([(counts, None)], NOW).counters, key=repr)


@given(streams, st.lists(st.integers(0, 30), max_size=3), st.booleans())
def test_counts_agree_with_those_of_single_events(stream: list[Event], writes: list[int], is_busy: bool) -> None:
    store = MemoryStore()
    recorder = Recorder(
        FakeCapture(), MemoryWriter(store), tuning=BUSY if is_busy else RecorderTuning(), clock=lambda: NOW
    )
    for number, event in enumerate(stream):
        recorder._apply_batch(CapturedBatch([event], number + 1, NOW))
        if number in writes:
            recorder._flush()
    recorder._flush(write_all=True)
    counted = sorted((counters for _, counters in store.counters.values()), key=repr)
    assert counted == _count_one_by_one(stream)


def test_evidence_does_not_change_what_is_counted() -> None:
    """The events before it are counted under the name that was known then."""
    store = MemoryStore()
    recorder = Recorder(FakeCapture(), MemoryWriter(store), clock=lambda: NOW)
    recorder._apply_batch(CapturedBatch([Event(type="task-started", timestamp=980.0, uuid="a", hostname="w1")], 1, NOW))
    recorder._apply_observations([Evidence("a", "result_backend", NOW, "SUCCESS", ("STARTED", 980.0), name="add")])
    recorder._flush(write_all=True)
    task = MemoryReader(store).task("a")
    assert task is not None
    assert task.name == "add"
    assert set(store.counters) == {("w1", "")}


def test_ordinary_steps_of_tasks_share_their_counts() -> None:
    """An object per task would take as long as folding it."""
    counts = []
    for uuid in "ab":
        task: Task | None = None
        sequence: TaskCounts | None = None
        for kind, fields in ORDINARY[0]:
            event = Event(type=f"task-{kind}", timestamp=980.0, uuid=uuid, **{"hostname": "w1", **fields})
            before, task = task, fold(task, event)
            sequence = count_step(sequence, before, event, task)
        counts.append(sequence)
    assert counts[0] is counts[1]
