"""What reading the rows has told about a term that the columns cannot decide: which rows hold it.

It is remembered by term, so that another query with the same word reads nothing again; and, where a segment is
still written to, with the version of each row, so that only what has changed since is read."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flower.search.tree import Term
from flower.store.sqlite.query.context import SegmentView


class TermResult(NamedTuple):
    """Masks over the slots of a look. `known`: rows of which it is known; None if that is all of them."""

    verified: Any | None
    matches: Any


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    instance_id: int
    sequence: int
    count: int
    #: None where the segment is full and hardly changes: then all is read again when it does
    versions: Any | None
    bits: Any

    @property
    def nbytes(self) -> int:
        return int(self.bits.nbytes) + (0 if self.versions is None else int(self.versions.nbytes))


def _cache_key(look: SegmentView, term: Term) -> tuple[Any, ...]:
    return ("holds", look.segment.number, term)


def get_cached_term(look: SegmentView, term: Term) -> TermResult | None:
    """What is known of the term. None: nothing."""
    if term not in look.term_results:
        found = look.ctx.resources.result_cache.get(_cache_key(look, term))
        look.term_results[term] = None if found is None else _apply_to_view(look, found)
    known: TermResult | None = look.term_results[term]
    return known


def _apply_to_view(look: SegmentView, kept: _CacheEntry) -> TermResult | None:
    columns = look.columns
    if kept.instance_id != columns.instance_id:
        return None  # these columns were made anew, and their versions began again
    if kept.sequence == columns.sequence and kept.count == look.count:
        return TermResult(None, np.unpackbits(kept.bits, count=kept.count).view(bool))
    if kept.versions is None:
        return None
    both = min(kept.count, look.count)
    known, holds = np.zeros(look.count, bool), np.zeros(look.count, bool)
    known[:both] = kept.versions[:both] == look.column("version")[:both]
    holds[:both] = np.unpackbits(kept.bits, count=kept.count)[:both].view(bool) & known[:both]
    return TermResult(known, holds)


def store_term(look: SegmentView, term: Term, holds: Any) -> None:
    """Every row was read, or need not be."""
    columns = look.columns
    full = columns.order("received") is not None
    versions = None if full else look.column("version").copy()
    kept = _CacheEntry(columns.instance_id, columns.sequence, look.count, versions, np.packbits(holds))
    look.ctx.resources.result_cache.put(_cache_key(look, term), kept, kept.nbytes)
    look.term_results[term] = TermResult(None, holds)
