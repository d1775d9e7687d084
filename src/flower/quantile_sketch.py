"""Percentiles of durations that can be added up: a histogram whose buckets grow by 2 %.

A value is known to be in [b, 1.02 b) and is answered as the middle of that bucket, b · 2·1.02/(1 + 1.02): at most
1 % off (the bound of DDSketch: Masson, Rim, Lee, VLDB 2019, lemma 2). Values below 0.1 ms, negative ones included
(clocks differ), count as 0; those above 3 years as 3 years. Two sketches merge by adding their counts, without
any further error, so sketches of segments, workers or minutes give those of everything.

Buckets are found by comparing with a table of bounds, not by a logarithm: every reader of the table, in whatever
language, then puts a value into the same bucket.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

#: The relative error of a percentile.
RELATIVE_ERROR: Final = 0.01
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_MIN_VALUE: Final = 1e-4
_MAX_VALUE: Final = 1e8


def _bounds() -> tuple[float, ...]:
    bounds = [_MIN_VALUE]
    while bounds[-1] < _MAX_VALUE:
        bounds.append(bounds[-1] * _GROWTH)
    return tuple(bounds)


#: Bucket number i holds the values in [BOUNDS[i - 1], BOUNDS[i]); number 0 all that is less.
SKETCH_BOUNDS: Final = _bounds()
BUCKET_COUNT: Final = len(SKETCH_BOUNDS) + 1


def bucket_index(value: float) -> int:
    return bisect_right(SKETCH_BOUNDS, value)


def bucket_midpoint(number: int) -> float:
    """What a value of this bucket is answered as."""
    if number == 0:
        return 0.0
    return SKETCH_BOUNDS[number - 1] * (2 * _GROWTH / (1 + _GROWTH) if number < len(SKETCH_BOUNDS) else 1.0)


class Sketch(msgspec.Struct, frozen=True):
    """How many values were in each bucket, by its number; buckets without any are left out."""

    counts: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, fraction: float) -> float | None:
        """The value that `part` (0 … 1) of the values do not exceed, by nearest rank; None if there is no value."""
        number = self._bucket_at(fraction)
        return None if number is None else bucket_midpoint(number)

    def upper_bound(self, fraction: float) -> float | None:
        """The end of the bucket in which that value is: above it are less than 1 - `part` of the values, for sure."""
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


def merge_sketches(sketches: Iterable[Sketch]) -> Sketch:
    counts: dict[int, int] = {}
    for sketch in sketches:
        for number, count in sketch.counts.items():
            counts[number] = counts.get(number, 0) + count
    return Sketch(counts)


def derive_slow_thresholds(sketches: Mapping[str, Sketch]) -> dict[str, float]:
    """The run time above which a task of each type counts as slow: the type's 95th percentile, at most 2 % more. The
    end of its bucket and not the middle: where all tasks run equally long, none is slow."""
    found = {name: sketch.upper_bound(SLOW_QUANTILE) for name, sketch in sketches.items()}
    return {name: value for name, value in found.items() if value is not None}


#: `is:slow` is above this part of its type's run times.
SLOW_QUANTILE: Final = 0.95
