"""Cached replies of workers."""

import time
from typing import Any

from flower.cluster.inspection_cache import InspectionCache
from flower.records import Worker


def test_statistics_replace_those_of_the_same_process() -> None:
    cache = InspectionCache()
    replies: dict[str, dict[str, Any]] = {
        "stats": {"w1": {"pid": 1, "pool": {"processes": [2]}}},
        "conf": {"w1": {"timezone": "UTC"}},
    }
    cache.store_replies(("w1",), replies, time.time())
    cache.store_stats({"w1": {"pid": 1, "pool": {"processes": [2, 3]}}, "w2": {"pid": 9}, "w3": {"error": "busy"}})
    (inspection,) = cache.all().values()
    assert inspection.get_value("stats")["pool"] == {"processes": [2, 3]}
    assert inspection.get_value("conf") == {"timezone": "UTC"}


def test_a_worker_that_was_restarted_is_still_inspected_as_a_new_one() -> None:
    cache = InspectionCache()
    cache.store_replies(("w1",), {"stats": {"w1": {"pid": 1}}}, time.time())
    cache.store_stats({"w1": {"pid": 2}})
    assert cache.new_workers([Worker(hostname="w1", pid=2)], time.time() + 10) == ["w1"]
