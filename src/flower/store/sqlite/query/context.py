"""State of one query: filter, deadline, and the segments as the query sees them."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from flower.quantile_sketch import BUCKET_COUNT
from flower.search.matcher import needs_slow_thresholds
from flower.search.tree import Node, Term
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.columns.layout import HAS_BITS, NO_BUCKET, SORTED_KEYS, WORD_COLUMNS
from flower.store.sqlite.connection import Row
from flower.store.sqlite.connection_pool import Deadline, SegmentPool, SegmentUnavailable
from flower.store.sqlite.query.column_cache import ColumnCache, MappedMemoryLimiter
from flower.store.sqlite.query.limits import QueryLimits
from flower.store.sqlite.query.result_cache import ResultCache
from flower.store.sqlite.query.text_candidates import SearchStrings, TextCandidates
from flower.store.sqlite.query.text_templates import TemplateCache
from flower.store.sqlite.row_codec import WordDictionary


@dataclass(frozen=True)
class QueryResources:
    """What all queries of one reader share."""

    pool: SegmentPool
    column_cache: ColumnCache
    result_cache: ResultCache
    mapped_memory: MappedMemoryLimiter
    templates: TemplateCache
    #: run time in seconds, by task name, above which a task is slow; called only if a query needs it
    slow_thresholds: Callable[[Deadline], Mapping[str, float]]
    limits: QueryLimits


@dataclass
class QueryContext:
    """One query: its filter and deadline, and the results that its steps share."""

    where: Node
    resources: QueryResources
    deadline: Deadline
    text_candidates: TextCandidates
    #: by term, the words that were already compared with it
    word_matches: dict[Node, Any] = field(default_factory=dict)
    #: a presorted scan found few matches: it is not tried again
    has_few_matches: bool = False
    _views: dict[int, "SegmentView"] = field(default_factory=dict)
    _derived: "list[QueryContext]" = field(default_factory=list)

    def __del__(self) -> None:
        # the memory that the query has mapped is released, however the query ends
        self.resources.mapped_memory.trim(at_once=True)

    @property
    def limits(self) -> QueryLimits:
        return self.resources.limits

    @cached_property
    def slow_thresholds(self) -> Mapping[str, float]:
        return self.resources.slow_thresholds(self.deadline)

    @cached_property
    def slow_version(self) -> int:
        """A hash that changes whenever a slow threshold changes."""
        return hash(frozenset(self.slow_thresholds.items()))

    @cached_property
    def index_generation(self) -> str:
        """Generation of the text index; empty if the index is not usable."""
        return self.resources.templates.read_generation()

    def with_filter(self, where: Node) -> "QueryContext":
        """Return a query with another filter and the same deadline."""
        context = QueryContext(where, self.resources, self.deadline, self.text_candidates)
        self._derived.append(context)
        return context

    def slow_version_for(self, node: Node) -> int | None:
        """Return what results for the filter depend on in addition to the segment."""
        return self.slow_version if needs_slow_thresholds(node) else None

    def reject_damaged_columns(self) -> bool:
        """Reject the column files with impossible values. Return whether there are any; the query can then be repeated
        with columns that are built from the rows. Raises SegmentUnavailable if those are impossible too."""
        damaged = [view for view in self._views.values() if not view.has_valid_columns()]
        for view in damaged:
            if not self.resources.column_cache.reject(view.columns, view.segment.number):
                self.resources.pool.report_damage(view.segment, "values refer to words that are missing")
                raise SegmentUnavailable(view.segment.number)
        derived = [context.reject_damaged_columns() for context in self._derived]
        return bool(damaged) or any(derived)

    def open_view(self, segment: SegmentInfo) -> "SegmentView":
        """Return the view of the segment, the same one for each call. Raises SegmentUnavailable, DeadlineExceeded."""
        self.deadline.raise_if_expired()
        self.resources.mapped_memory.trim()
        view = self._views.get(segment.number)
        if view is None:
            columns = self.resources.column_cache.get_columns(segment, self.deadline)
            view = self._views[segment.number] = SegmentView(segment, columns, self)
        return view


class SegmentView:
    """A consistent view of one segment."""

    def __init__(self, segment: SegmentInfo, columns: Columns, ctx: QueryContext) -> None:
        self.segment = segment
        self.columns = columns
        self.count = segment.next - segment.first
        self._text_masks: dict[tuple[SearchStrings, bool], Any] = {}
        #: by folded search string and columns, see `text_templates`
        self.template_matches: dict[tuple[bytes, tuple[str, ...]], Any] = {}
        #: results of terms from rows that were read, see `term_cache`
        self.term_results: dict[Term, Any] = {}
        # weak: a reference cycle would keep the mapped files until the garbage collector runs
        self.ctx: QueryContext = weakref.proxy(ctx)
        #: prefix of cache keys: results stay valid until it changes
        self.snapshot_id = (segment.number, columns.sequence)

    @cached_property
    def dictionary(self) -> WordDictionary:
        return self.ctx.resources.column_cache.get_dictionary(self.segment, self.columns.sequence, self.ctx.deadline)

    def has_valid_columns(self) -> bool:
        """Whether words, buckets and stored orders refer to something that exists."""
        words = np.array([number for number in self.dictionary.values if number is not None] + [0], np.uint32)
        buckets = np.array([*range(BUCKET_COUNT), NO_BUCKET], np.uint16)
        orders = [order for key in SORTED_KEYS if (order := self.columns.order(key)) is not None]
        return (
            all(bool(np.isin(self.column(name), words).all()) for name in WORD_COLUMNS)
            and all(bool(np.isin(self.column(name), buckets).all()) for name in ("runtime_bucket", "wait_bucket"))
            and all(bool((order[: self.count] < self.count).all()) for order in orders)
        )

    def column(self, name: str) -> Any:
        return self.columns[name][: self.count]

    def mask_from_slots(self, slots: Any) -> Any:
        """Return a mask of these slots; slots outside of the view are ignored."""
        mask = np.zeros(self.count, bool)
        mask[slots[(slots >= 0) & (slots < self.count)]] = True
        return mask

    def text_mask(self, search_strings: SearchStrings) -> Any:
        """Return a mask of the rows that may contain these texts."""
        text_candidates = self.ctx.text_candidates
        mask = self._text_masks.get((search_strings, text_candidates.always_use_index))
        if mask is None:
            slots = text_candidates.find_slots(search_strings, self.columns, self.count)
            if slots is None:
                mask = np.ones(self.count, bool)
            else:
                mask = self.mask_from_slots(slots)
                unindexed = self._unindexed_mask()
                if unindexed is not None:
                    mask |= unindexed
                if search_strings.unescaped_only:
                    mask |= (self.column("has") & HAS_BITS["escaped"]) != 0
            self._text_masks[search_strings, text_candidates.always_use_index] = mask
        return mask

    def rare_text_mask(self, search_strings: SearchStrings) -> Any | None:
        """Return `text_mask` if the text is rare and all rows of the segment are indexed; else None."""
        if not self.ctx.text_candidates.is_rare(search_strings, self.columns) or self._unindexed_mask() is not None:
            return None
        return self.text_mask(search_strings)

    def _unindexed_mask(self) -> Any | None:
        """Return a mask of the rows whose text was not indexed; None if every row was."""
        text_candidates, cache = self.ctx.text_candidates, self.ctx.resources.result_cache
        cache_key = (self.snapshot_id, self.count, "unindexed", self.columns.indexed_at, text_candidates.index_state)
        cached: tuple[Any] | None = cache.get(cache_key)
        if cached is None:
            unindexed = text_candidates.unindexed_mask(self.columns, self.count)
            cached = (np.packbits(unindexed) if unindexed.any() else None,)
            cache.put(cache_key, cached, 0 if cached[0] is None else cached[0].nbytes)
        return None if cached[0] is None else np.unpackbits(cached[0], count=self.count).view(bool)

    def read_rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a SELECT on the segment. Raises SegmentUnavailable, DeadlineExceeded."""
        with self.ctx.resources.pool.acquire(self.segment, self.ctx.deadline) as connection:
            return connection.rows(sql, values)

    def read_rows_by_id(
        self, sql: str, ids: Sequence[int], condition: str = "", values: Sequence[Any] = ()
    ) -> list[Row]:
        """Return the rows with these ids that can be read (`OpenSegment.rows_by_id`)."""
        with self.ctx.resources.pool.acquire(self.segment, self.ctx.deadline) as connection:
            return connection.rows_by_id(sql, ids, condition, values)
