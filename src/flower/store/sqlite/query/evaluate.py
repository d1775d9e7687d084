"""Which rows of a segment fulfil a query. What the columns leave in doubt is read from the rows, once: the answer
is remembered as long as the segment does not change."""

from typing import Any, Final, cast

import numpy as np

from flower.search.tree import EVERYTHING, And, Node, Or, RangeBounds, Term, all_of
from flower.store.sqlite.catalog import BOUNDED_KEYS, MAX_BOUND, SegmentInfo
from flower.store.sqlite.query.bitmasks import Masks, evaluate_masks, is_decided_by_columns, iter_undecided_terms
from flower.store.sqlite.query.context import QueryContext, SegmentView, depends_on_slow
from flower.store.sqlite.query.term_cache import store_term
from flower.store.sqlite.sql_where import compile_where

#: Rows read by one statement.
_ROWS_PER_STATEMENT: Final = 1_000
#: Slots that lie this much closer than in all the segment are read as a stretch.
_MAX_RANGE_RATIO: Final = 4
#: Below, an answer is found as fast as it is remembered.
_MIN_CACHED_ROWS: Final = 2_000

#: More rows in doubt than this are read text by text ...
_MAX_UNCERTAIN_ROWS: Final = 2_000
#: ... unless that means to read so many times as many rows.
_MAX_COST_RATIO: Final = 4

MATCHES_NOTHING: Final = Or()


def match_rows(look: SegmentView, node: Node) -> Any:
    """A mask over the slots of the segment. Raises SegmentGone, WaitedTooLong."""
    node = simplify_for_segment(look, node)
    if node == MATCHES_NOTHING:
        return np.zeros(look.count, bool)
    question = (look.snapshot_id, look.count, "mask", node, look.ctx.slow_version_for(node))
    memory = look.ctx.resources.result_cache
    # what columns alone decide is found as fast as it is remembered
    dear = look.count > _MIN_CACHED_ROWS and not is_decided_by_columns(node)
    kept = memory.get(question) if dear else None
    if kept is not None:
        return (
            look.mask_from_slots(kept) if kept.dtype == np.int32 else np.unpackbits(kept, count=look.count).view(bool)
        )
    found, doubtful = _find_candidates(look, node)
    if found.is_exact:
        return found.definite
    mask = found.definite.copy()
    mask[doubtful[verify_rows(look, node, doubtful)]] = True
    if dear:
        few = np.count_nonzero(mask) * 32 < look.count
        kept = np.flatnonzero(mask).astype(np.int32) if few else np.packbits(mask)
        memory.put(question, kept, kept.nbytes)
    return mask


def _find_candidates(look: SegmentView, node: Node) -> tuple[Masks, Any]:
    """Which rows may and which must fulfil the query, and the slots that are in doubt. Where these are many, what
    each text is found in is read and remembered first: the next query will ask for one of them with other
    conditions."""
    look.ctx.text_candidates.always_use_index = True
    found = evaluate_masks(look, node)
    doubtful = _uncertain_slots(found)
    if len(doubtful) <= _MAX_UNCERTAIN_ROWS:
        return found, doubtful
    terms = list(dict.fromkeys(iter_undecided_terms(node)))
    seen = {term: evaluate_masks(look, term) for term in terms}
    unread = {term: _uncertain_slots(of) for term, of in seen.items()}
    if sum(map(len, unread.values())) > _MAX_COST_RATIO * len(doubtful):
        return found, doubtful
    for term, slots in unread.items():
        holds = seen[term].definite.copy()
        holds[slots[verify_rows(look, term, slots)]] = True
        store_term(look, term, holds)
    found = evaluate_masks(look, node)
    return found, _uncertain_slots(found)


def _uncertain_slots(found: Masks) -> Any:
    return np.zeros(0, np.int64) if found.is_exact else np.flatnonzero(found.candidates & ~found.definite)


def verify_rows(look: SegmentView, node: Node, slots: Any) -> Any:
    """Of these slots (any order), which rows fulfil the query: a mask over `slots`."""
    where = compile_where(
        strip_column_terms(node),
        look.dictionary,
        has_non_uuid_ids=look.segment.has_non_uuid_ids,
        slow_thresholds=look.ctx.slow_thresholds if depends_on_slow(node) else None,
    )
    if len(slots) == 0 or where.is_never:
        return np.zeros(len(slots), bool)
    first = look.segment.first
    holds = np.zeros(look.count, bool)
    ordered = np.sort(slots)
    for place in range(0, len(ordered), _ROWS_PER_STATEMENT):
        part = ordered[place : place + _ROWS_PER_STATEMENT]
        low, high = int(part[0]) + first, int(part[-1]) + first
        if (high - low) < _MAX_RANGE_RATIO * len(part):
            condition = f"id BETWEEN {low} AND {high}"
        else:
            condition = f"id IN ({','.join(map(str, (part + first).tolist()))})"
        rows = look.read_rows(f"SELECT id FROM task NOT INDEXED WHERE {condition} AND {where.sql}", where.values)
        holds[np.fromiter((row[0] for row in rows), np.int64, len(rows)) - first] = True
    return holds[slots]


def strip_column_terms(node: Node) -> Node:
    """What is left to be asked of a row that the columns name."""
    return all_of(
        term for term in (node.terms if isinstance(node, And) else (node,)) if not is_decided_by_columns(term)
    )


def simplify_for_segment(look: SegmentView, node: Node) -> Node:
    """The query without what the bounds of the segment decide: a window of time that all of it is in, so that
    whole segments are remembered whatever the window."""
    terms = node.terms if isinstance(node, And) else (node,)
    kept: list[Node] = []
    for term in terms:
        told = _decide_from_bounds(look, term)
        if told is False:
            return MATCHES_NOTHING
        if told is None:
            kept.append(term)
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def can_skip_segment(entry: SegmentInfo, node: Node) -> bool:
    """Whether the bounds of the segment say that nothing in it fulfils the query."""
    terms = node.terms if isinstance(node, And) else (node,)
    return any(_is_outside_bounds(entry, term) for term in terms)


def _is_outside_bounds(entry: SegmentInfo, term: Node) -> bool:
    if not isinstance(term, Term) or term.operator != "range" or term.field not in BOUNDED_KEYS:
        return False
    bounds = entry.bound(term.field)
    low, high = _clamp_bounds(term)
    if bounds is None:
        return True
    return bool((low is not None and bounds[1] < low) or (high is not None and bounds[0] > high))


def _clamp_bounds(term: Term) -> tuple[float | None, float | None]:
    """As the bounds of segments are: without infinity."""
    low, high = (None if bound is None else float(bound) for bound in cast(RangeBounds, term.value))
    return (
        None if low is None else min(max(low, -MAX_BOUND), MAX_BOUND),
        None if high is None else min(max(high, -MAX_BOUND), MAX_BOUND),
    )


def _decide_from_bounds(look: SegmentView, term: Node) -> bool | None:
    if not isinstance(term, Term) or term.operator != "range" or term.field not in BOUNDED_KEYS:
        return None
    if _is_outside_bounds(look.segment, term):
        return False
    bounds = look.segment.bound(term.field)
    low, high = _clamp_bounds(term)
    assert bounds is not None
    inside = (low is None or low <= bounds[0]) and (high is None or high >= bounds[1])
    return True if inside and _has_no_missing_value(look, term.field) else None


def _has_no_missing_value(look: SegmentView, key: str) -> bool:
    question = (look.snapshot_id, look.count, "all have", key)
    known: bool | None = look.ctx.resources.result_cache.get(question)
    if known is None:
        values = look.column(key)
        known = not bool((np.isnan(values) & (look.column("live") == 1)).any())
        look.ctx.resources.result_cache.put(question, known)
    return known


def count_matches(question: QueryContext, entry: SegmentInfo, node: Node) -> int:
    """Raises SegmentGone, WaitedTooLong."""
    if node == EVERYTHING:
        return entry.rows
    if can_skip_segment(entry, node):
        return 0
    look = question.open_view(entry)
    rest = simplify_for_segment(look, node)
    if rest == MATCHES_NOTHING:
        return 0
    asked = (look.snapshot_id, look.count, "count", rest, question.slow_version_for(rest))
    known: int | None = question.resources.result_cache.get(asked)
    if known is None:
        known = int(np.count_nonzero(match_rows(look, rest)))
        question.resources.result_cache.put(asked, known)
    return known
