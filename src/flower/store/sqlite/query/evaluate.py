"""Evaluates a query on one segment: which rows match.

Rows that the columns cannot decide are read once; the result is cached until the segment changes.
"""

from typing import Any, Final, cast

import numpy as np

from flower.search.matcher import needs_slow_thresholds
from flower.search.tree import EVERYTHING, And, Node, Or, RangeBounds, Term, all_of
from flower.store.sqlite.catalog import BOUNDED_KEYS, MAX_BOUND, SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.bitmasks import Masks, evaluate_masks, is_decided_by_columns, iter_undecided_terms
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.term_cache import store_term
from flower.store.sqlite.sql_where import compile_where

#: A range of ids is read with BETWEEN if it has fewer than this many times as many slots as there are rows to read.
_MAX_RANGE_RATIO: Final = 4
#: Rows are not read and cached for each term if that reads more than this many times as many rows.
_MAX_COST_RATIO: Final = 4

MATCHES_NOTHING: Final = Or()


def match_rows(view: SegmentView, node: Node) -> Any:
    """Return a mask over the slots of the segment: the rows that match. Raises SegmentUnavailable, DeadlineExceeded."""
    node = simplify_for_segment(view, node)
    if node == MATCHES_NOTHING:
        return np.zeros(view.count, bool)
    key = (view.snapshot_id, view.count, "mask", node, view.ctx.slow_version_for(node))
    cache = view.ctx.resources.result_cache
    # what the columns alone decide is not cached: computing it takes as long as a cache lookup
    is_cached = view.count > view.ctx.limits.uncached_rows and not is_decided_by_columns(node)
    cached = cache.get(key) if is_cached else None
    if cached is not None:
        is_sparse = cached.dtype == np.int32
        return view.mask_from_slots(cached) if is_sparse else np.unpackbits(cached, count=view.count).view(bool)
    masks, undecided = _find_candidates(view, node)
    if masks.is_exact:
        return masks.definite
    mask = masks.definite.copy()
    mask[undecided[verify_rows(view, node, undecided)]] = True
    if is_cached:
        is_sparse = np.count_nonzero(mask) * 32 < view.count
        cached = np.flatnonzero(mask).astype(np.int32) if is_sparse else np.packbits(mask)
        cache.put(key, cached, cached.nbytes)
    return mask


def _find_candidates(view: SegmentView, node: Node) -> tuple[Masks, Any]:
    """Return the masks of candidate and definite rows, and the undecided slots.

    If there are many of these, the rows are first read and cached for each term: the next query is likely to combine
    one of the terms with other conditions.
    """
    view.ctx.text_candidates.always_use_index = True
    masks = evaluate_masks(view, node)
    undecided = _undecided_slots(masks)
    if len(undecided) <= view.ctx.limits.undecided_rows:
        return masks, undecided
    terms = list(dict.fromkeys(iter_undecided_terms(node)))
    masks_by_term = {term: evaluate_masks(view, term) for term in terms}
    undecided_by_term = {term: _undecided_slots(masks) for term, masks in masks_by_term.items()}
    if sum(map(len, undecided_by_term.values())) > _MAX_COST_RATIO * len(undecided):
        return masks, undecided
    for term, slots in undecided_by_term.items():
        matches = masks_by_term[term].definite.copy()
        matches[slots[verify_rows(view, term, slots)]] = True
        store_term(view, term, matches)
    masks = evaluate_masks(view, node)
    return masks, _undecided_slots(masks)


def _undecided_slots(masks: Masks) -> Any:
    return np.zeros(0, np.int64) if masks.is_exact else np.flatnonzero(masks.candidates & ~masks.definite)


def verify_rows(view: SegmentView, node: Node, slots: Any) -> Any:
    """Return a mask over `slots` (in any order): the rows that match the query."""
    where = compile_where(
        strip_column_terms(node),
        view.dictionary,
        has_non_uuid_ids=view.segment.has_non_uuid_ids,
        slow_thresholds=view.ctx.slow_thresholds if needs_slow_thresholds(node) else None,
    )
    if len(slots) == 0 or where.is_never:
        return np.zeros(len(slots), bool)
    first = view.segment.first
    matches = np.zeros(view.count, bool)
    sorted_slots = np.sort(slots)
    size = view.ctx.limits.verified_rows
    for start in range(0, len(sorted_slots), size):
        part = sorted_slots[start : start + size]
        low, high = int(part[0]) + first, int(part[-1]) + first
        if (high - low) < _MAX_RANGE_RATIO * len(part):
            condition = f"id BETWEEN {low} AND {high}"
        else:
            condition = f"id IN ({','.join(map(str, (part + first).tolist()))})"
        try:
            rows = view.read_rows(f"SELECT id FROM task NOT INDEXED WHERE {condition} AND {where.sql}", where.values)
        except (SegmentUnavailable, UnicodeDecodeError):
            ids = (part + first).tolist()
            rows = view.read_rows_by_id("SELECT id FROM task NOT INDEXED", ids, f" AND {where.sql}", where.values)
        matches[np.fromiter((row[0] for row in rows), np.int64, len(rows)) - first] = True
    return matches[slots]


def strip_column_terms(node: Node) -> Node:
    """Return the part of the query that has to be checked on the rows of the candidates."""
    terms = node.terms if isinstance(node, And) else (node,)
    return all_of(term for term in terms if not is_decided_by_columns(term))


def simplify_for_segment(view: SegmentView, node: Node) -> Node:
    """Drop the terms that the bounds of the segment decide, such as a time window that contains all of the segment.

    So the result of a segment is cached independently of the window.
    """
    terms = node.terms if isinstance(node, And) else (node,)
    remaining: list[Node] = []
    for term in terms:
        decision = _decide_from_bounds(view, term)
        if decision is False:
            return MATCHES_NOTHING
        if decision is None:
            remaining.append(term)
    return remaining[0] if len(remaining) == 1 else And(tuple(remaining))


def can_skip_segment(segment: SegmentInfo, node: Node) -> bool:
    """Return whether the bounds of the segment rule out every match."""
    terms = node.terms if isinstance(node, And) else (node,)
    return any(_is_outside_bounds(segment, term) for term in terms)


def _is_outside_bounds(segment: SegmentInfo, term: Node) -> bool:
    if not isinstance(term, Term) or term.operator != "range" or term.field not in BOUNDED_KEYS:
        return False
    bounds = segment.bound(term.field)
    low, high = _clamp_bounds(term)
    if bounds is None:
        return True
    return bool((low is not None and bounds[1] < low) or (high is not None and bounds[0] > high))


def _clamp_bounds(term: Term) -> tuple[float | None, float | None]:
    """Return the bounds of the term as segments store them: infinity becomes the largest float."""
    low, high = (None if bound is None else float(bound) for bound in cast(RangeBounds, term.value))
    return (
        None if low is None else min(max(low, -MAX_BOUND), MAX_BOUND),
        None if high is None else min(max(high, -MAX_BOUND), MAX_BOUND),
    )


def _decide_from_bounds(view: SegmentView, term: Node) -> bool | None:
    if not isinstance(term, Term) or term.operator != "range" or term.field not in BOUNDED_KEYS:
        return None
    if _is_outside_bounds(view.segment, term):
        return False
    bounds = view.segment.bound(term.field)
    low, high = _clamp_bounds(term)
    assert bounds is not None
    contains_segment = (low is None or low <= bounds[0]) and (high is None or high >= bounds[1])
    return True if contains_segment and _has_no_missing_value(view, term.field) else None


def _has_no_missing_value(view: SegmentView, key: str) -> bool:
    cache_key = (view.snapshot_id, view.count, "no missing value", key)
    cached: bool | None = view.ctx.resources.result_cache.get(cache_key)
    if cached is None:
        values = view.column(key)
        cached = not bool((np.isnan(values) & (view.column("live") == 1)).any())
        view.ctx.resources.result_cache.put(cache_key, cached)
    return cached


def count_matches(ctx: QueryContext, segment: SegmentInfo, node: Node) -> int:
    """Return the number of matching rows of the segment. Raises SegmentUnavailable, DeadlineExceeded."""
    if node == EVERYTHING:
        return segment.rows
    if can_skip_segment(segment, node):
        return 0
    view = ctx.open_view(segment)
    remaining = simplify_for_segment(view, node)
    if remaining == MATCHES_NOTHING:
        return 0
    cache_key = (view.snapshot_id, view.count, "count", remaining, ctx.slow_version_for(remaining))
    cached: int | None = ctx.resources.result_cache.get(cache_key)
    if cached is None:
        cached = int(np.count_nonzero(match_rows(view, remaining)))
        ctx.resources.result_cache.put(cache_key, cached)
    return cached
