"""A query being answered: which tasks, by when, and what it has learnt so far."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from flower.search.tree import And, Node, Not, Or, Term
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.columns.layout import HAS_BITS
from flower.store.sqlite.connection import Row
from flower.store.sqlite.connection_pool import Deadline, SegmentPool
from flower.store.sqlite.query.column_cache import ColumnCache, MappedMemoryLimiter
from flower.store.sqlite.query.result_cache import ResultCache
from flower.store.sqlite.query.text_candidates import SearchStrings, TextCandidates
from flower.store.sqlite.row_codec import WordDictionary


@dataclass(frozen=True)
class QueryResources:
    """What a reader has to answer with, for all its queries."""

    pool: SegmentPool
    column_cache: ColumnCache
    result_cache: ResultCache
    mapped_memory: MappedMemoryLimiter
    #: run times by name above which a task is slow; asked for only if a query needs it
    slow_thresholds: Callable[[], Mapping[str, float]]


@dataclass
class QueryContext:
    where: Node
    resources: QueryResources
    deadline: Deadline
    text_candidates: TextCandidates
    #: what is known of words, by the term that asks about them
    word_matches: dict[Node, Any] = field(default_factory=dict)
    #: whether few rows fulfil it, as far as was seen: then looking for them in a kept order is not tried again
    has_few_matches: bool = False
    _views: dict[int, "SegmentView"] = field(default_factory=dict)

    def __del__(self) -> None:
        # however a question ends, what it has mapped does not stay
        self.resources.mapped_memory.trim(at_once=True)

    @cached_property
    def slow_thresholds(self) -> Mapping[str, float]:
        return self.resources.slow_thresholds()

    @cached_property
    def slow_version(self) -> int:
        """Another one as soon as what is slow changes."""
        return hash(frozenset(self.slow_thresholds.items()))

    def with_filter(self, where: Node) -> "QueryContext":
        """The same, asked about other tasks, within the same time."""
        return QueryContext(where, self.resources, self.deadline, self.text_candidates)

    def slow_version_for(self, node: Node) -> int | None:
        """What an answer for the query depends on beside the segment."""
        return self.slow_version if depends_on_slow(node) else None

    def open_view(self, entry: SegmentInfo) -> "SegmentView":
        """The segment as this query sees it, the same one each time. Raises SegmentGone, WaitedTooLong."""
        self.deadline.raise_if_expired()
        self.resources.mapped_memory.trim()
        look = self._views.get(entry.number)
        if look is None:
            columns = self.resources.column_cache.get_columns(entry, self.deadline)
            look = self._views[entry.number] = SegmentView(entry, columns, self)
        return look


def depends_on_slow(node: Node) -> bool:
    match node:
        case Term(operator=operator):
            return operator == "slow"
        case Not(term):
            return depends_on_slow(term)
        case And(terms) | Or(terms):
            return any(map(depends_on_slow, terms))


class SegmentView:
    """One segment, as of one moment."""

    def __init__(self, entry: SegmentInfo, columns: Columns, question: QueryContext) -> None:
        self.segment = entry
        self.columns = columns
        self.count = entry.next - entry.first
        self._text_masks: dict[tuple[SearchStrings, bool], Any] = {}
        #: what is known of terms from reading rows, see `readings`
        self.term_results: dict[Term, Any] = {}
        # weakly: a circle would keep mapped files until the garbage is collected
        self.ctx: QueryContext = weakref.proxy(question)
        #: what answers are remembered under: they stay true as long as it stands
        self.snapshot_id = (entry.number, columns.sequence)

    @cached_property
    def dictionary(self) -> WordDictionary:
        return self.ctx.resources.column_cache.get_dictionary(self.segment, self.columns.sequence, self.ctx.deadline)

    def column(self, name: str) -> Any:
        return self.columns[name][: self.count]

    def mask_from_slots(self, slots: Any) -> Any:
        """A mask of these slots."""
        mask = np.zeros(self.count, bool)
        mask[slots[(slots >= 0) & (slots < self.count)]] = True
        return mask

    def text_mask(self, needles: SearchStrings) -> Any:
        """A mask of the rows that may hold these texts."""
        wording = self.ctx.text_candidates
        known = self._text_masks.get((needles, wording.always_use_index))
        if known is None:
            slots = wording.find_slots(needles, self.columns, self.count)
            if slots is None:
                known = np.ones(self.count, bool)
            else:
                known = self.mask_from_slots(slots)
                unseen = self._unindexed_mask()
                if unseen is not None:
                    known |= unseen
                if needles.unescaped_only:
                    known |= (self.column("has") & HAS_BITS["escaped"]) != 0
            self._text_masks[needles, wording.always_use_index] = known
        return known

    def _unindexed_mask(self) -> Any | None:
        """A mask of the rows whose text the index had not seen; None if it had seen all."""
        wording, memory = self.ctx.text_candidates, self.ctx.resources.result_cache
        asked = (self.snapshot_id, self.count, "unseen", self.columns.indexed_at, wording.index_state)
        known: tuple[Any] | None = memory.get(asked)
        if known is None:
            unseen = wording.unindexed_mask(self.columns, self.count)
            known = (np.packbits(unseen) if unseen.any() else None,)
            memory.put(asked, known, 0 if known[0] is None else known[0].nbytes)
        return None if known[0] is None else np.unpackbits(known[0], count=self.count).view(bool)

    def read_rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Raises SegmentGone, WaitedTooLong."""
        with self.ctx.resources.pool.acquire(self.segment, self.ctx.deadline) as segment:
            return segment.rows(sql, values)
