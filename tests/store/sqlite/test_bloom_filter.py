"""Bloom filters: no false negatives, few false positives, and an unchanged stored form."""

import hashlib
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from flower.store.sqlite.bloom_filter import (
    BloomFilter,
    BloomFilters,
    bloom_bits,
    bloom_hash,
    bloom_hashes,
)
from flower.store.sqlite.row_codec import pack_id

CAPACITY = 500
#: UUIDs and other ids, in the form in which rows store them
IDS = [pack_id(str(UUID(int=n * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))) for n in range(200)]
IDS += [f"task-{n}" for n in range(50)]
OTHERS = [pack_id(str(UUID(int=n * 0xD1342543DE82EF95C2B2AE3D27D4EB4F % 2**128))) for n in range(1, 5_001)]


def filters_of(*numbers: int) -> BloomFilters:
    """Filters of these segments; segment N has every id whose index is a multiple of N."""
    filters = BloomFilters()
    for number in numbers:
        filters.add_filter(number, CAPACITY)
        filters.add_ids(number, IDS[::number])
    return filters


def test_the_stored_form_does_not_change() -> None:
    content = filters_of(1).to_bytes(1)
    assert len(content) * 8 == bloom_bits(CAPACITY)
    assert hashlib.sha256(content).hexdigest() == "8824e841b1091898b349aac858034491db4b5e63ec6aa9f1e663d6f712e87228"


def test_one_hash_and_many_hashes_agree() -> None:
    assert bloom_hashes(IDS).tolist() == [bloom_hash(packed) for packed in IDS]


def test_a_stored_filter_contains_its_ids() -> None:
    stored = BloomFilter.from_bytes(filters_of(1).to_bytes(1))
    assert all(stored.might_contain(bloom_hash(packed)) for packed in IDS)
    assert stored.might_contain_each(bloom_hashes(IDS)).all()
    assert stored.might_contain_each(bloom_hashes(OTHERS)).sum() < 10
    with pytest.raises(TypeError, match="read-only"):
        stored.add(bloom_hashes(OTHERS))


@pytest.mark.parametrize(("probes", "kind"), [(1, np.uint32), (1, np.uint64), (7, np.uint64)])
def test_a_filter_in_memory_contains_its_hashes(probes: int, kind: type[Any]) -> None:
    hashes = bloom_hashes(IDS).astype(kind)
    bloom_filter = BloomFilter(1 << 16, probes=probes)
    bloom_filter.add(hashes)
    assert bloom_filter.might_contain_each(hashes).all()
    others = bloom_hashes(OTHERS).astype(kind)
    expected = [bloom_filter.might_contain(number) for number in others.tolist()]
    assert bloom_filter.might_contain_each(others).tolist() == expected
    assert sum(expected) < 50


def test_candidate_segments_newest_first() -> None:
    filters = filters_of(*range(1, 13))
    candidates = dict(filters.iter_candidates(bloom_hashes(IDS)))
    assert list(candidates) == list(range(12, 0, -1))
    for number, indexes in candidates.items():
        assert set(range(0, len(IDS), number)) <= set(indexes)


def test_a_removed_filter_leaves_no_bits() -> None:
    filters = filters_of(1, 2)
    filters.remove_filter(1)
    filters.remove_filter(1)
    filters.add_filter(3, CAPACITY)
    assert filters.to_bytes(3) == bytes(bloom_bits(CAPACITY) // 8)
    assert list(dict(filters.iter_candidates(bloom_hashes(IDS)))) == [2]


def test_a_filter_is_restored_from_its_stored_form() -> None:
    content = filters_of(1).to_bytes(1)
    filters = BloomFilters()
    filters.add_filter(4, CAPACITY, content)
    assert filters.to_bytes(4) == content
    with pytest.raises(ValueError, match="Invalid Bloom filter"):
        filters.add_filter(5, CAPACITY, content[:-1])
