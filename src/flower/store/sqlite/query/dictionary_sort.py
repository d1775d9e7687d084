"""Sort by a dictionary-encoded column.

One word follows the other, and the rows of each are in the order in which they were first written. There are few words
and many rows of each, so the rows are never sorted.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from flower.store.cursor import Position
from flower.store.protocols import Sort
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.evaluate import match_rows

DICTIONARY_COLUMNS: Final = {"name": "name", "state": "state", "worker": "hostname", "queue": "queue"}


def group_by_word(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sort: Sort
) -> list[tuple[str | None, list[tuple[SegmentView, list[int], int]]]]:
    """Return each word of matching rows, in order, with the segments, its ids there and the number of rows there."""
    column = DICTIONARY_COLUMNS[sort.key]
    by_word: dict[str | None, list[tuple[SegmentView, list[int], int]]] = {}
    for segment in segments:
        ctx.deadline.raise_if_expired()
        try:
            view = ctx.open_view(segment)
            counts = _count_words(view, column)
        except SegmentUnavailable:
            continue
        for folded, (word_ids, count) in counts.items():
            by_word.setdefault(folded, []).append((view, word_ids, count))
    words = sorted((word for word in by_word if word is not None), reverse=sort.descending)
    ordered: list[str | None] = [*words, *([None] if None in by_word else [])]
    if sort.descending:
        return [(word, by_word[word][::-1]) for word in ordered]
    return [(word, by_word[word]) for word in ordered]


def _count_words(view: SegmentView, column: str) -> dict[str | None, tuple[list[int], int]]:
    where = view.ctx.where
    cache_key = (view.snapshot_id, view.count, "words", column, where, view.ctx.slow_version_for(where))
    cache = view.ctx.resources.result_cache
    cached: dict[str | None, tuple[list[int], int]] | None = cache.get(cache_key)
    if cached is None:
        # casefolded word → its ids and the number of rows; None: no word
        cached = {}
        mask = match_rows(view, where)
        numbers = view.column(column) if mask.all() else view.column(column)[mask]
        counts = np.bincount(numbers, minlength=1)
        for word_id in np.flatnonzero(counts).tolist():
            word = view.dictionary.values[word_id] if word_id else None
            folded = None if word is None else word.casefold()
            previous = cached.get(folded, ([], 0))
            cached[folded] = ([*previous[0], word_id], previous[1] + int(counts[word_id]))
        cache.put(cache_key, cached, 200 * len(cached))
    return cached


def iter_sorted_ids(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sort: Sort, after: Position | None
) -> Iterator[int]:
    """Yield the matching ids after the position."""
    is_past = after is None
    for word, word_segments in group_by_word(ctx, segments, sort):
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


def find_word_slots(view: SegmentView, sort: Sort, word_ids: list[int]) -> Any:
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
