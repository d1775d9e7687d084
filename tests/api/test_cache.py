"""TTL cache with single-flight loading."""

import threading
import time

import pytest

from flower.api.cache import SingleFlightCache


def test_a_value_is_loaded_once_and_errors_are_not_cached() -> None:
    calls: list[int] = []

    def load() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the disk")
        return len(calls)

    cache: SingleFlightCache[int] = SingleFlightCache(60.0)
    with pytest.raises(OSError, match="the disk"):
        cache.get(load)
    assert [cache.get(load) for _ in range(3)] == [2, 2, 2]


def test_concurrent_callers_share_one_load() -> None:
    calls: list[int] = []

    def load() -> int:
        calls.append(1)
        time.sleep(0.05)
        return len(calls)

    cache: SingleFlightCache[int] = SingleFlightCache(60.0)
    threads = [threading.Thread(target=cache.get, args=(load,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_an_expired_value_is_loaded_again() -> None:
    values = iter(range(1_000))
    cache: SingleFlightCache[int] = SingleFlightCache(0.0)
    assert cache.get(lambda: next(values)) < cache.get(lambda: next(values))
