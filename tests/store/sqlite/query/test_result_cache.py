"""The cache of query results is limited by size, separately for large and small results."""

from flower.store.sqlite.query.result_cache import ResultCache


def test_the_least_recently_used_result_is_evicted() -> None:
    cache = ResultCache(max_large_bytes=100_000, max_small_bytes=10_000)
    for number in range(9):
        cache.put(number, f"result {number}", 10_000)
        cache.get(0)
    cache.put("next", "result", 10_000)
    assert cache.get(0) == "result 0"
    assert cache.get(1) is None
    assert cache.get("next") == "result"


def test_large_results_do_not_evict_small_ones() -> None:
    cache = ResultCache(max_large_bytes=100_000, max_small_bytes=10_000)
    cache.put("count", 5)
    for number in range(100):
        cache.put(number, "mask", 10_000)
    assert cache.get("count") == 5


def test_a_result_that_exceeds_an_eighth_of_the_limit_is_not_cached() -> None:
    cache = ResultCache(max_large_bytes=100_000)
    cache.put("mask", "result", 13_000)
    assert cache.get("mask") is None


def test_a_result_replaces_one_of_another_size() -> None:
    cache = ResultCache()
    cache.put("term", "small", 10)
    cache.put("term", "large", 10_000)
    assert cache.get("term") == "large"
    cache.put("term", "small again", 10)
    assert cache.get("term") == "small again"
