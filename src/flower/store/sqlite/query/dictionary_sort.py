"""Sort by a dictionary-encoded column.

One word follows the other, and the rows of each are in the order in which they were first written. There are few words
and many rows of each, so the rows are never sorted.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np

from flower.store.cursor import Position
from flower.store.protocols import Sort
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.evaluate import match_rows

DICTIONARY_COLUMNS: Final = {"name": "name", "state": "state", "worker": "hostname", "queue": "queue"}


#: A word, casefolded, and where it occurs: the segment, its ids there and the number of rows there.
WordOccurrences = tuple[str | None, list[tuple[SegmentView, tuple[int, ...], int]]]


def iter_words(ctx: QueryContext, segments: Sequence[SegmentInfo], sort: Sort) -> Iterator[WordOccurrences]:
    """Yield each word of matching rows, in order; rows that have no word come last. Only the words of each segment are
    sorted and cached, so that the first ones of many words are returned at once."""
    sorted_words: list[Iterator[tuple[str, int]]] = []
    counts: list[tuple[SegmentView, _WordCounts]] = []
    for segment in segments:
        ctx.deadline.raise_if_expired()
        try:
            view = ctx.open_view(segment)
            found = _count_words(view, DICTIONARY_COLUMNS[sort.key])
        except SegmentUnavailable:
            continue
        words = reversed(found.words) if sort.descending else found.words
        sorted_words.append(zip(words, repeat(len(counts))))
        counts.append((view, found))
    merged = ctx.deadline.check_during(merge(*sorted_words, reverse=sort.descending))
    for word, occurrences in groupby(merged, key=itemgetter(0)):
        yield word, [(counts[index][0], *counts[index][1].by_word[word]) for _, index in occurrences]
    without = [(view, *found.by_word[None]) for view, found in counts if None in found.by_word]
    if without:
        yield None, without[::-1] if sort.descending else without


class _WordCounts(NamedTuple):
    """The words of a segment, casefolded and sorted; by word, or None for rows without one, its ids and the number of
    rows."""

    words: list[str]
    by_word: dict[str | None, tuple[tuple[int, ...], int]]


def _count_words(view: SegmentView, column: str) -> _WordCounts:
    where = view.ctx.where
    cache_key = (view.snapshot_id, view.count, "words", column, where, view.ctx.slow_version_for(where))
    cache = view.ctx.resources.result_cache
    cached: _WordCounts | None = cache.get(cache_key)
    if cached is None:
        # tuples and not lists: the garbage collector does not visit them again
        by_word: dict[str | None, tuple[tuple[int, ...], int]] = {}
        mask = match_rows(view, where)
        numbers = view.column(column) if mask.all() else view.column(column)[mask]
        counts = np.bincount(numbers, minlength=1)
        for word_id in view.ctx.deadline.check_during(np.flatnonzero(counts).tolist()):
            word = view.dictionary.values[word_id] if word_id else None
            folded = None if word is None else word.casefold()
            previous = by_word.get(folded, ((), 0))
            by_word[folded] = ((*previous[0], word_id), previous[1] + int(counts[word_id]))
        cached = _WordCounts(sorted(word for word in by_word if word is not None), by_word)
        cache.put(cache_key, cached, 208 * len(by_word))
    return cached


def iter_sorted_ids(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sort: Sort, after: Position | None
) -> Iterator[int]:
    """Yield the matching ids after the position."""
    is_past = after is None
    for word, word_segments in iter_words(ctx, segments, sort):
        ctx.deadline.raise_if_expired()
        if not is_past and after is not None:
            if _is_before(word, after.values[0], descending=sort.descending):
                continue
            is_past = word != after.values[0]
        key = None if is_past or after is None else after.key
        for view, word_ids, _ in word_segments:
            slots = find_word_slots(view, sort, word_ids)
            if key is not None:
                slot = key - view.segment.first
                slots = slots[slots < slot] if sort.descending else slots[slots > slot]
            yield from ((slots[::-1] if sort.descending else slots) + view.segment.first).tolist()
        is_past = True


def find_word_slots(view: SegmentView, sort: Sort, word_ids: Sequence[int]) -> Any:
    """Return the matching slots with one of these word ids, ascending."""
    try:
        mask = match_rows(view, view.ctx.where)
    except SegmentUnavailable:
        return np.zeros(0, np.int64)
    column = view.column(DICTIONARY_COLUMNS[sort.key])
    return np.flatnonzero(mask & (column == word_ids[0] if len(word_ids) == 1 else np.isin(column, word_ids)))


def _is_before(word: str | None, other: Any, *, descending: bool) -> bool:
    """Return whether a word comes before another; None comes last."""
    if word is None or other is None:
        return other is None and word is not None
    return bool(word > other if descending else word < other)
