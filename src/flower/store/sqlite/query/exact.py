"""Which rows of a segment fulfil a query. What the columns leave in doubt is read from the rows, once: the answer
is remembered as long as the segment does not change."""

from typing import Any, Final, cast

import numpy as np

from flower.search.tree import EVERYTHING, And, Bounds, Node, Or, Term, all_of
from flower.store.sqlite.catalogue import BOUNDED, LARGEST, Segment
from flower.store.sqlite.query.masks import Masks, decided, masks, undecided
from flower.store.sqlite.query.question import Look, Question, asks_slow
from flower.store.sqlite.query.readings import remember
from flower.store.sqlite.where import compile_where

#: Rows read by one statement.
_ROWS: Final = 1_000
#: Slots that lie this much closer than in all the segment are read as a stretch.
_DENSE: Final = 4
#: Below, an answer is found as fast as it is remembered.
_SMALL: Final = 2_000

#: More rows in doubt than this are read text by text ...
_MANY: Final = 2_000
#: ... unless that means to read so many times as many rows.
_DEARER: Final = 4

NOTHING: Final = Or()


def exact(look: Look, node: Node) -> Any:
    """A mask over the slots of the segment. Raises SegmentGone, WaitedTooLong."""
    node = narrowed(look, node)
    if node == NOTHING:
        return np.zeros(look.count, bool)
    question = (look.stamp, look.count, "mask", node, look.question.stamp_of(node))
    memory = look.question.means.memory
    # what columns alone decide is found as fast as it is remembered
    dear = look.count > _SMALL and not decided(node)
    kept = memory.get(question) if dear else None
    if kept is not None:
        return look.among(kept) if kept.dtype == np.int32 else np.unpackbits(kept, count=look.count).view(bool)
    found, doubtful = _without_doubt(look, node)
    if found.exact:
        return found.must
    mask = found.must.copy()
    mask[doubtful[verified(look, node, doubtful)]] = True
    if dear:
        few = np.count_nonzero(mask) * 32 < look.count
        kept = np.flatnonzero(mask).astype(np.int32) if few else np.packbits(mask)
        memory.put(question, kept, kept.nbytes)
    return mask


def _without_doubt(look: Look, node: Node) -> tuple[Masks, Any]:
    """Which rows may and which must fulfil the query, and the slots that are in doubt. Where these are many, what
    each text is found in is read and remembered first: the next query will ask for one of them with other
    conditions."""
    look.question.wording.certain = True
    found = masks(look, node)
    doubtful = _doubtful(found)
    if len(doubtful) <= _MANY:
        return found, doubtful
    terms = list(dict.fromkeys(undecided(node)))
    seen = {term: masks(look, term) for term in terms}
    unread = {term: _doubtful(of) for term, of in seen.items()}
    if sum(map(len, unread.values())) > _DEARER * len(doubtful):
        return found, doubtful
    for term, slots in unread.items():
        holds = seen[term].must.copy()
        holds[slots[verified(look, term, slots)]] = True
        remember(look, term, holds)
    found = masks(look, node)
    return found, _doubtful(found)


def _doubtful(found: Masks) -> Any:
    return np.zeros(0, np.int64) if found.exact else np.flatnonzero(found.may & ~found.must)


def verified(look: Look, node: Node, slots: Any) -> Any:
    """Of these slots (any order), which rows fulfil the query: a mask over `slots`."""
    where = compile_where(
        residual(node), look.words, odd_ids=look.entry.odd_ids, slow=look.question.slow if asks_slow(node) else None
    )
    if len(slots) == 0 or where.never:
        return np.zeros(len(slots), bool)
    first = look.entry.first
    holds = np.zeros(look.count, bool)
    ordered = np.sort(slots)
    for place in range(0, len(ordered), _ROWS):
        part = ordered[place : place + _ROWS]
        low, high = int(part[0]) + first, int(part[-1]) + first
        if (high - low) < _DENSE * len(part):
            condition = f"id BETWEEN {low} AND {high}"
        else:
            condition = f"id IN ({','.join(map(str, (part + first).tolist()))})"
        rows = look.rows(f"SELECT id FROM task NOT INDEXED WHERE {condition} AND {where.sql}", where.values)
        holds[np.fromiter((row[0] for row in rows), np.int64, len(rows)) - first] = True
    return holds[slots]


def residual(node: Node) -> Node:
    """What is left to be asked of a row that the columns name."""
    return all_of(term for term in (node.terms if isinstance(node, And) else (node,)) if not decided(term))


def narrowed(look: Look, node: Node) -> Node:
    """The query without what the bounds of the segment decide: a window of time that all of it is in, so that
    whole segments are remembered whatever the window."""
    terms = node.terms if isinstance(node, And) else (node,)
    kept: list[Node] = []
    for term in terms:
        told = _told(look, term)
        if told is False:
            return NOTHING
        if told is None:
            kept.append(term)
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def excluded(entry: Segment, node: Node) -> bool:
    """Whether the bounds of the segment say that nothing in it fulfils the query."""
    terms = node.terms if isinstance(node, And) else (node,)
    return any(_outside(entry, term) for term in terms)


def _outside(entry: Segment, term: Node) -> bool:
    if not isinstance(term, Term) or term.operator != "range" or term.field not in BOUNDED:
        return False
    bounds = entry.bound(term.field)
    low, high = _bounds(term)
    if bounds is None:
        return True
    return bool((low is not None and bounds[1] < low) or (high is not None and bounds[0] > high))


def _bounds(term: Term) -> tuple[float | None, float | None]:
    """As the bounds of segments are: without infinity."""
    low, high = (None if bound is None else float(bound) for bound in cast(Bounds, term.value))
    return (
        None if low is None else min(max(low, -LARGEST), LARGEST),
        None if high is None else min(max(high, -LARGEST), LARGEST),
    )


def _told(look: Look, term: Node) -> bool | None:
    if not isinstance(term, Term) or term.operator != "range" or term.field not in BOUNDED:
        return None
    if _outside(look.entry, term):
        return False
    bounds = look.entry.bound(term.field)
    low, high = _bounds(term)
    assert bounds is not None
    inside = (low is None or low <= bounds[0]) and (high is None or high >= bounds[1])
    return True if inside and _all_have(look, term.field) else None


def _all_have(look: Look, key: str) -> bool:
    question = (look.stamp, look.count, "all have", key)
    known: bool | None = look.question.means.memory.get(question)
    if known is None:
        values = look.column(key)
        known = not bool((np.isnan(values) & (look.column("live") == 1)).any())
        look.question.means.memory.put(question, known)
    return known


def count(question: Question, entry: Segment, node: Node) -> int:
    """Raises SegmentGone, WaitedTooLong."""
    if node == EVERYTHING:
        return entry.rows
    if excluded(entry, node):
        return 0
    look = question.look(entry)
    rest = narrowed(look, node)
    if rest == NOTHING:
        return 0
    asked = (look.stamp, look.count, "count", rest, question.stamp_of(rest))
    known: int | None = question.means.memory.get(asked)
    if known is None:
        known = int(np.count_nonzero(exact(look, rest)))
        question.means.memory.put(asked, known)
    return known
