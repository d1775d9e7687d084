"""Updates counters while events are folded: the recorder's part of `/metrics`.

aggregator   events to counters, exactly once
cardinality  limit of label values
"""

from flower.counting.aggregator import CounterUpdate, EventAggregator, EventCounts

__all__ = ["CounterUpdate", "EventAggregator", "EventCounts"]
