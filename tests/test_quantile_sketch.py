"""Quantile sketches, compared with the sorted values."""

import math
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.quantile_sketch import (
    BUCKET_COUNT,
    RELATIVE_ERROR,
    SKETCH_BOUNDS,
    Sketch,
    bucket_index,
    bucket_midpoint,
    create_sketch,
    derive_slow_thresholds,
)

durations = st.floats(1e-4, 9e7) | st.sampled_from(SKETCH_BOUNDS[:-1]) | st.floats(0.001, 10)
#: also values that no clock should return
anything = durations | st.sampled_from([0.0, -1.0, 1e-9, 1e300, math.inf, -math.inf])
parts = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0])


def nearest_rank(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[max(1, math.ceil(part * len(ordered))) - 1]


@given(st.lists(durations, min_size=1, max_size=60), parts)
def test_relative_error_of_quantiles(values: list[float], part: float) -> None:
    true = nearest_rank(values, part)
    found = create_sketch(values).quantile(part)
    assert found is not None
    assert abs(found - true) <= RELATIVE_ERROR * true * (1 + 1e-9)


@given(st.lists(st.lists(anything, max_size=20), max_size=5), parts)
def test_sketches_merge_without_error(groups: list[list[float]], part: float) -> None:
    whole = create_sketch(value for group in groups for value in group)
    counts = sum((Counter(create_sketch(group).counts) for group in groups), Counter())
    together = Sketch(dict(counts))
    assert together == whole
    assert together.count == sum(map(len, groups))
    assert together.quantile(part) == whole.quantile(part)


@given(anything, anything)
def test_bucket_indexes_are_monotonic(one: float, other: float) -> None:
    assert 0 <= bucket_index(one) < BUCKET_COUNT
    assert (bucket_index(one) <= bucket_index(other)) or one > other
    assert math.isfinite(bucket_midpoint(bucket_index(one)))


def test_nearest_rank() -> None:
    """Nearest-rank quantiles of one to ten seconds."""
    sketch = create_sketch(map(float, range(1, 11)))
    found = {part: sketch.quantile(part) for part in (0.0, 0.1, 0.11, 0.5, 0.51, 0.95, 1.0)}
    expected = {0.0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.51: 6, 0.95: 10, 1.0: 10}
    assert found == {part: pytest.approx(value, rel=RELATIVE_ERROR) for part, value in expected.items()}


def test_bucket_bounds() -> None:
    assert create_sketch([]).quantile(0.5) is None
    assert Sketch().count == 0
    assert create_sketch([0.0, -5.0, 9e-5]).quantile(1.0) == 0.0
    assert create_sketch([math.inf]).quantile(0.5) == SKETCH_BOUNDS[-1]
    assert bucket_index(SKETCH_BOUNDS[0]) == 1


def test_sketch_encodes_to_json() -> None:
    sketch = create_sketch([0.5, 0.5, 20.0])
    assert msgspec.json.decode(msgspec.json.encode(sketch), type=Sketch) == sketch


def test_slow_thresholds() -> None:
    found = derive_slow_thresholds({"mail": create_sketch(map(float, range(1, 101))), "never ran": Sketch()})
    assert found == {"mail": pytest.approx(96.0, rel=RELATIVE_ERROR)}


@given(st.lists(durations, min_size=1, max_size=60))
def test_at_most_five_percent_are_slow(values: list[float]) -> None:
    threshold = derive_slow_thresholds({"mail": create_sketch(values)})["mail"]
    assert sum(value > threshold for value in values) * 20 <= len(values)
    assert derive_slow_thresholds({"mail": create_sketch([values[0]] * 30)})["mail"] >= values[0]
