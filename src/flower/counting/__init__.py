"""Updates counters while events are folded: the recorder's part of `/metrics`.

event_counts  what is to be counted of one task in the next write
aggregator    events to counters, exactly once
cardinality   limit of label values
"""

from flower.counting.aggregator import CounterUpdate, EventAggregator
from flower.counting.event_counts import EventCounts, TaskCounts, count_event, count_step, expand_counts, find_sequence

__all__ = [
    "CounterUpdate",
    "EventAggregator",
    "EventCounts",
    "TaskCounts",
    "count_event",
    "count_step",
    "expand_counts",
    "find_sequence",
]
