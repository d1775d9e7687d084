"""Counts what happened while events are folded: the recorder's part of `/metrics`."""

from flower.counting.counting import Counted, Counting, Limits, Portion

__all__ = ["Counted", "Counting", "Limits", "Portion"]
