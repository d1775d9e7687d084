"""Events that a cached task collects, compared with folding and counting each at once."""

from hypothesis import given
from hypothesis import strategies as st

from flower.counters import CounterLimits, TaskCounters
from flower.counting import EventAggregator, TaskCounts
from flower.fold import ClockOffsets
from flower.recorder.cached_task import CachedTask, create_cached_task
from flower.records import Event, Task
from tests.helpers.event_sequences import deliveries, orderly

NOW = 1_000.0


def count(counts: TaskCounts | None, task: Task | None) -> list[TaskCounters]:
    update = EventAggregator([], CounterLimits(), NOW).collect([] if counts is None else [(counts, task)], NOW)
    return sorted(update.counters, key=lambda each: (each.worker or "", each.task))


@given(st.one_of(orderly(), deliveries()), st.data())
def test_collected_events_are_folded_and_counted_as_single_ones(fields: list[dict], data: st.DataObject) -> None:  # type: ignore[type-arg]
    events = [Event(**each) for each in fields if set(each) <= set(Event.__struct_fields__)]
    if data.draw(st.booleans(), "disordered"):
        events = data.draw(st.permutations(events))
    clocks = ClockOffsets()
    single = CachedTask(None)
    collected: CachedTask | None = None
    for event in events:
        single.apply(event, clocks)
        if collected is None:
            collected = create_cached_task(event, clocks, 0, NOW)
        else:
            collected.apply(event, clocks)
        if data.draw(st.integers(0, 3), "write") == 0:
            collected.fold_collected(clocks)
            assert collected.record == single.record
    if collected is not None:
        collected.fold_collected(clocks)
        assert collected.record == single.record
        assert count(collected.counts, collected.record) == count(single.counts, single.record)


def test_the_events_of_an_ordinary_run_are_collected() -> None:
    clocks = ClockOffsets()
    entry = create_cached_task(
        Event(type="task-received", timestamp=1.0, uuid="a", hostname="w", name="add"), clocks, 5, NOW
    )
    assert not entry.is_final
    for at, kind in enumerate(("started", "succeeded"), 2):
        assert entry.apply(Event(type=f"task-{kind}", timestamp=float(at), uuid="a", hostname="w"), clocks)
    assert entry.record is None
    assert entry.is_final
    entry.fold_collected(clocks)
    assert (entry.task.state, entry.task.received, entry.task.succeeded) == ("SUCCESS", 1.0, 3.0)
    # delivered again
    assert not entry.apply(Event(type="task-started", timestamp=2.0, uuid="a", hostname="w"), clocks)
