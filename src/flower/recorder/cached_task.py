"""A task in the memory of the recorder, and its events that are not folded yet."""

from itertools import pairwise
from typing import Final

import msgspec

from flower.counting import TaskCounts, count_event, count_step, expand_counts, find_sequence
from flower.fold import RUN_TYPES, ClockOffsets, fold, fold_next_step, fold_successful_run
from flower.records import FINAL_STATES, Event, Task

#: The type of event that follows each one in an ordinary run.
_NEXT_TYPES: Final = dict(pairwise(RUN_TYPES))
_FIRST_TYPES: Final = frozenset(RUN_TYPES[:2])
_LAST_TYPE: Final = RUN_TYPES[-1]
#: What is to be counted of a whole run, by its number of events.
_RUN_COUNTS: Final = {len(types): find_sequence(types) for types in (RUN_TYPES, RUN_TYPES[1:])}


class CachedTask(msgspec.Struct, gc=False):
    """A task in memory: its current record, its key and record in the store, the batch and the time since which the
    records differ, and the counts of the events since then. A struct is created faster than an ordinary object.

    The first events of a new task are collected in `events` as long as they are those of an ordinary run, and folded
    together by `fold_collected`; `record` is None until then.
    """

    record: Task | None
    key: int | None = None
    stored: Task | None = None
    token: int = 0
    changed_at: float = 0.0
    counts: TaskCounts | None = None
    events: list[Event] | None = None

    @property
    def task(self) -> Task:
        """The current record, without events that are collected."""
        assert self.record is not None
        return self.record

    @property
    def is_final(self) -> bool:
        """Whether the task has ended, as far as its last event states."""
        if self.events is not None:
            return self.events[-1].type == _LAST_TYPE
        return self.task.state in FINAL_STATES

    def apply(self, event: Event, clocks: ClockOffsets) -> bool:
        """Apply an event, or collect it. Returns whether it adds anything."""
        events = self.events
        if events is not None:
            if _NEXT_TYPES.get(events[-1].type) == event.type and not clocks.offsets:
                events.append(event)
                return True
            self.fold_collected(clocks)
        return self._fold(event, clocks)

    def fold_collected(self, clocks: ClockOffsets) -> None:
        """Fold the events that are collected."""
        events = self.events
        if events is None:
            return
        self.events = None
        if (
            events[-1].type == _LAST_TYPE
            and not clocks.offsets
            and (counts := _RUN_COUNTS.get(len(events))) is not None
        ):
            self.record = fold_successful_run(events)
            if self.record is not None:
                self.counts = counts
                return
        for event in events:
            self._fold(event, clocks)

    def expand_counts(self) -> None:
        """Make the counts independent of the record, which is about to be changed by something else than an event."""
        self.counts = expand_counts(self.counts, self.record)

    def _fold(self, event: Event, clocks: ClockOffsets) -> bool:
        before = self.record
        task = fold_next_step(before, event)
        count = count_step
        if task is None or clocks.offsets or task.clock_offset is not None or task.client_offset is not None:
            task = fold(before, event, clocks)
            if task is before:
                return False  # delivered again: the record contains it, and it is counted
            count = count_event
        self.record = task
        self.counts = count(self.counts, before, event, task)
        return True


def create_cached_task(event: Event, clocks: ClockOffsets, token: int, now: float) -> CachedTask:
    """The task whose first event is this. It is folded later if it may begin an ordinary run."""
    if event.type in _FIRST_TYPES and not clocks.offsets:
        return CachedTask(None, None, None, token, now, None, [event])
    entry = CachedTask(None, None, None, token, now)
    entry.apply(event, clocks)
    return entry
