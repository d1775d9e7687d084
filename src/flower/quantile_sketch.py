"""Mergeable quantile sketch of durations: a histogram whose bucket bounds grow by 2 %.

A value in the bucket [b, 1.02 b) is reported as the midpoint b · 2·1.02/(1 + 1.02), so the relative error is at most 1
% (the bound of DDSketch: Masson, Rim, Lee, VLDB 2019, lemma 2). Values below 0.1 ms, including negative ones (clocks
differ), count as 0; values above 3 years count as 3 years. Sketches merge by adding their counts, without additional
error: sketches of segments, workers or minutes give the sketch of all of them.

The bucket of a value is found by comparison with a table of bounds, not by a logarithm, so that every implementation of
the table puts a value into the same bucket. The ddsketch library is not used, because the column store needs the same
table for numpy arrays.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

#: Maximum relative error of a quantile.
RELATIVE_ERROR: Final = 0.01
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_MIN_VALUE: Final = 1e-4
_MAX_VALUE: Final = 1e8


def _bounds() -> tuple[float, ...]:
    bounds = [_MIN_VALUE]
    while bounds[-1] < _MAX_VALUE:
        bounds.append(bounds[-1] * _GROWTH)
    return tuple(bounds)


#: Bucket i contains the values in [SKETCH_BOUNDS[i - 1], SKETCH_BOUNDS[i]); bucket 0 contains all smaller values.
SKETCH_BOUNDS: Final = _bounds()
BUCKET_COUNT: Final = len(SKETCH_BOUNDS) + 1


def bucket_index(value: float) -> int:
    return bisect_right(SKETCH_BOUNDS, value)


def bucket_midpoint(number: int) -> float:
    """The value that is reported for the values of a bucket."""
    if number == 0:
        return 0.0
    return SKETCH_BOUNDS[number - 1] * (2 * _GROWTH / (1 + _GROWTH) if number < len(SKETCH_BOUNDS) else 1.0)


class Sketch(msgspec.Struct, frozen=True):
    """Number of values in each bucket, by bucket index. Empty buckets are absent."""

    counts: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, fraction: float) -> float | None:
        """The nearest-rank quantile: the value that `fraction` (0 to 1) of the values do not exceed. None if the sketch
        is empty."""
        number = self._bucket_at(fraction)
        return None if number is None else bucket_midpoint(number)

    def upper_bound(self, fraction: float) -> float | None:
        """The upper bound of the bucket of that quantile: at most 1 - `fraction` of the values are above it. None if
        the sketch is empty."""
        number = self._bucket_at(fraction)
        return None if number is None else SKETCH_BOUNDS[min(number, len(SKETCH_BOUNDS) - 1)]

    def _bucket_at(self, part: float) -> int | None:
        rank = max(1, -int(-part * self.count // 1))
        seen = 0
        for number in sorted(self.counts):
            seen += self.counts[number]
            if seen >= rank:
                return number
        return None


def create_sketch(values: Iterable[float]) -> Sketch:
    counts: dict[int, int] = {}
    for value in values:
        number = bucket_index(value)
        counts[number] = counts.get(number, 0) + 1
    return Sketch(counts)


def derive_slow_thresholds(sketches: Mapping[str, Sketch]) -> dict[str, float]:
    """By task type, the run time above which a task is slow: the 95th percentile of the type, overestimated by at most
    2 %. It is the upper bound of the bucket and not the midpoint, so that no task is slow if all tasks run equally
    long."""
    bounds = {name: sketch.upper_bound(SLOW_QUANTILE) for name, sketch in sketches.items()}
    return {name: value for name, value in bounds.items() if value is not None}


#: A task is slow if its run time is above this quantile of its type.
SLOW_QUANTILE: Final = 0.95
