"""The cache of decompressed blocks is bounded."""

from flower.store.sqlite.compression.block_cache import BlockCache


def test_least_recently_used_blocks_are_removed() -> None:
    cache = BlockCache(30)
    for number in range(3):
        cache.put((b"a", number), bytes(10))
    assert cache.get((b"a", 0)) == bytes(10)
    cache.put((b"b", 0), bytes(10))
    assert [cache.get(key) is not None for key in ((b"a", 0), (b"a", 1), (b"a", 2), (b"b", 0))] == [
        True, False, True, True,
    ]  # fmt: skip


def test_block_that_is_put_twice_counts_once() -> None:
    cache = BlockCache(20)
    for _ in range(5):
        cache.put((b"a", 1), bytes(10))
    cache.put((b"a", 2), bytes(10))
    assert cache.get((b"a", 1)) is not None


def test_cache_without_space_keeps_nothing() -> None:
    cache = BlockCache(0)
    cache.put((b"a", 1), bytes(10))
    assert cache.get((b"a", 1)) is None
