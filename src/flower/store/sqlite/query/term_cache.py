"""Cache of the rows that match a term which the columns cannot decide.

The key is the term, so that another query with the same term does not read the rows again. In a segment that still
receives rows, the version of each row is stored too, so that only rows that have changed are read again.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flower.search.tree import Term
from flower.store.sqlite.query.context import SegmentView


class TermResult(NamedTuple):
    """Masks over the slots of a view. `verified`: rows whose result is known; None if that is all rows."""

    verified: Any | None
    matches: Any


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    instance_id: int
    sequence: int
    count: int
    #: None for a full segment, which rarely changes: after a change all rows are read again
    versions: Any | None
    bits: Any

    @property
    def nbytes(self) -> int:
        return int(self.bits.nbytes) + (0 if self.versions is None else int(self.versions.nbytes))


def _cache_key(view: SegmentView, term: Term) -> tuple[Any, ...]:
    return ("term", view.segment.number, term)


def get_cached_term(view: SegmentView, term: Term) -> TermResult | None:
    """Return the cached result of the term, or None."""
    if term not in view.term_results:
        entry = view.ctx.resources.result_cache.get(_cache_key(view, term))
        view.term_results[term] = None if entry is None else _apply_to_view(view, entry)
    result: TermResult | None = view.term_results[term]
    return result


def _apply_to_view(view: SegmentView, entry: _CacheEntry) -> TermResult | None:
    columns = view.columns
    if entry.instance_id != columns.instance_id:
        return None  # the columns were rebuilt and the versions started again
    if entry.sequence == columns.sequence and entry.count == view.count:
        return TermResult(None, np.unpackbits(entry.bits, count=entry.count).view(bool))
    if entry.versions is None:
        return None
    common = min(entry.count, view.count)
    verified, matches = np.zeros(view.count, bool), np.zeros(view.count, bool)
    verified[:common] = entry.versions[:common] == view.column("version")[:common]
    matches[:common] = np.unpackbits(entry.bits, count=entry.count)[:common].view(bool) & verified[:common]
    return TermResult(verified, matches)


def store_term(view: SegmentView, term: Term, matches: Any) -> None:
    """Cache the matches of a term, which must be decided for every row."""
    columns = view.columns
    is_full = columns.order("received") is not None
    versions = None if is_full else view.column("version").copy()
    entry = _CacheEntry(columns.instance_id, columns.sequence, view.count, versions, np.packbits(matches))
    view.ctx.resources.result_cache.put(_cache_key(view, term), entry, entry.nbytes)
    view.term_results[term] = TermResult(None, matches)
