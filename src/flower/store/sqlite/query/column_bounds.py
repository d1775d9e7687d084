"""Lowest and highest value of a column in one segment, for sort keys whose bounds the catalog does not contain."""

from typing import Final, NamedTuple

import numpy as np

from flower.store.sqlite.catalog import SortKeyBounds
from flower.store.sqlite.query.context import SegmentView


class _Bounds(NamedTuple):
    value: SortKeyBounds


_NO_VALUES: Final = _Bounds(None)


def find_column_bounds(view: SegmentView, column: str) -> SortKeyBounds:
    """Return the bounds of a column of real numbers over all rows; None if no row has a value. Cached until the segment
    changes."""
    cache = view.ctx.resources.result_cache
    cache_key = (view.snapshot_id, view.count, "bounds", column)
    found: _Bounds | None = cache.get(cache_key)
    if found is None:
        found = _compute(view, column)
        cache.put(cache_key, found)
    return found.value


def _compute(view: SegmentView, column: str) -> _Bounds:
    values = view.column(column)
    if not len(values):
        return _NO_VALUES
    # unlike min and max, they ignore NaN unless all values are
    low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
    return _NO_VALUES if np.isnan(low) else _Bounds((low, high))
