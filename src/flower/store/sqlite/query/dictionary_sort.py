"""The order by a word: one word after the other, the rows of each in the order in which they were first written.
There are few words and many rows of each, so the rows are never sorted."""

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

#: Folded word → its numbers in one segment. None: no word.
WordIds = dict[str | None, list[int]]


def group_by_word(
    question: QueryContext, entries: Sequence[SegmentInfo], sort: Sort
) -> list[tuple[str | None, list[tuple[SegmentView, list[int], int]]]]:
    """Each word that the query finds, in order, with the segments that have it, its numbers there and how often."""
    column = DICTIONARY_COLUMNS[sort.key]
    found: dict[str | None, list[tuple[SegmentView, list[int], int]]] = {}
    for entry in entries:
        question.deadline.raise_if_expired()
        try:
            look = question.open_view(entry)
            counts = _count_words(look, column)
        except SegmentUnavailable:
            continue
        for folded, (numbers, count) in counts.items():
            found.setdefault(folded, []).append((look, numbers, count))
    words = sorted((word for word in found if word is not None), reverse=sort.descending)
    ordered: list[str | None] = [*words, *([None] if None in found else [])]
    if sort.descending:
        return [(word, found[word][::-1]) for word in ordered]
    return [(word, found[word]) for word in ordered]


def _count_words(look: SegmentView, column: str) -> dict[str | None, tuple[list[int], int]]:
    asked = (look.snapshot_id, look.count, "words", column, look.ctx.where, look.ctx.slow_version_for(look.ctx.where))
    memory = look.ctx.resources.result_cache
    known: dict[str | None, tuple[list[int], int]] | None = memory.get(asked)
    if known is None:
        known = {}
        mask = match_rows(look, look.ctx.where)
        numbers = look.column(column) if mask.all() else look.column(column)[mask]
        counts = np.bincount(numbers, minlength=1)
        for number in np.flatnonzero(counts).tolist():
            word = look.dictionary.values[number] if number else None
            folded = None if word is None else word.casefold()
            before = known.get(folded, ([], 0))
            known[folded] = ([*before[0], number], before[1] + int(counts[number]))
        memory.put(asked, known, 200 * len(known))
    return known


def iter_sorted_ids(
    question: QueryContext, entries: Sequence[SegmentInfo], sort: Sort, after: Position | None
) -> Iterator[int]:
    """From the place on."""
    passed = after is None
    for word, segments in group_by_word(question, entries, sort):
        if not passed and after is not None:
            if _is_before(word, after.values[0], descending=sort.descending):
                continue
            passed = word != after.values[0]
        key = None if passed or after is None else after.key
        for look, numbers, _ in segments:
            slots = find_word_slots(look, sort, numbers)
            if key is not None:
                slots = (
                    slots[slots < key - look.segment.first]
                    if sort.descending
                    else slots[slots > key - look.segment.first]
                )
            yield from ((slots[::-1] if sort.descending else slots) + look.segment.first).tolist()
        passed = True


def find_word_slots(look: SegmentView, sort: Sort, numbers: list[int]) -> Any:
    """Slots with one of the words that the query finds, ascending."""
    try:
        mask = match_rows(look, look.ctx.where)
    except SegmentUnavailable:
        return np.zeros(0, np.int64)
    column = look.column(DICTIONARY_COLUMNS[sort.key])
    return np.flatnonzero(mask & (column == numbers[0] if len(numbers) == 1 else np.isin(column, numbers)))


def _is_before(word: str | None, other: Any, *, descending: bool) -> bool:
    """Whether a word comes before another; none comes last."""
    if word is None or other is None:
        return other is None and word is not None
    return bool(word > other if descending else word < other)
