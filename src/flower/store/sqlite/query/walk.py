"""The ids that a query finds in all segments, in the order asked for, from any place on, lazily: a segment is
looked at when its first row may be the next one."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flower.search.tree import And, Node, Term
from flower.store.cursor import Position
from flower.store.port import Sort
from flower.store.sqlite.catalogue import BOUNDED, Segment
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query import words
from flower.store.sqlite.query.exact import excluded
from flower.store.sqlite.query.question import Question
from flower.store.sqlite.query.run import Run

_LEAST: Final = 8
_MOST: Final = 2_000


def ids(
    question: Question, entries: Sequence[Segment], sorts: Sequence[Sort], after: Position | None, want: int
) -> Iterator[int]:
    """`want`: how many are likely to be taken at first."""
    entries = [entry for entry in entries if entry.rows and not excluded(entry, question.where)]
    if not sorts:
        return _by_id(question, entries, after, want)
    if len(sorts) == 1 and sorts[0].key in words.COLUMNS:
        return words.ids(question, entries, sorts[0], after)
    return _Merge(question, entries, sorts, after, want).ids()


def _by_id(question: Question, entries: Sequence[Segment], after: Position | None, want: int) -> Iterator[int]:
    for entry in entries:
        if after is not None and entry.next <= after.key:
            continue
        yield from _run(question, entry, (), after, want, odd_ids=False)


def _run(
    question: Question, entry: Segment, sorts: Sequence[Sort], after: Position | None, want: int, *, odd_ids: bool
) -> Iterator[int]:
    try:
        run = Run(question.look(entry), question.where, sorts, after=after, odd_ids=odd_ids)
        size = max(_LEAST, min(want, _MOST))
        while True:
            _, found = run.chunk(size)
            yield from found
            if len(found) < size:
                return
            size = min(4 * size, _MOST)
    except SegmentGone:
        return


class _Source:
    """A run within the merge."""

    __slots__ = ("_ids", "_place", "_run", "_size", "_values")

    def __init__(self, run: Run, size: int) -> None:
        self._run = run
        self._size = size
        self._values: list[tuple[Any, ...]] = []
        self._ids: list[int] = []
        self._place = 0

    def next(self) -> tuple[tuple[Any, ...], int] | None:
        if self._place >= len(self._ids):
            try:
                self._values, self._ids = self._run.chunk(self._size)
            except SegmentGone:
                return None
            self._size = min(4 * self._size, _MOST)
            self._place = 0
            if not self._ids:
                return None
        self._place += 1
        return self._values[self._place - 1], self._ids[self._place - 1]


class _Merge:
    def __init__(
        self, question: Question, entries: Sequence[Segment], sorts: Sequence[Sort], after: Position | None, want: int
    ) -> None:
        self._question = question
        self._sorts = sorts
        self._after = after
        self._odd_ids = any(entry.odd_ids for entry in entries)
        key = sorts[0].key
        self._bounded = key if key in BOUNDED else None
        self._sign = -1 if sorts[0].descending else 1
        # segments follow each other in time: one of them gives the page; by other keys each gives a part of it
        share = want if key in ("received", "started", "timestamp") else 4 * want // max(len(entries), 1)
        self._size = max(_LEAST, min(share, _MOST))
        # the best comes last
        self._waiting = sorted(entries, key=self._best, reverse=True)

    def _best(self, entry: Segment) -> tuple[bool, float]:
        """Where the segment's first row may be, as the runs' values compare; segments without any value last."""
        if self._bounded is None:
            return (False, float("-inf"))
        bounds = entry.bound(self._bounded)
        if bounds is None:
            return (True, 0.0)
        best = -bounds[1] if self._sign < 0 else bounds[0]
        if self._after is not None and self._after.values[0] is not None:
            best = max(best, self._sign * self._after.values[0])
        return (False, best)

    def ids(self) -> Iterator[int]:
        heap: list[tuple[tuple[Any, ...], int, int, _Source]] = []
        order = 0

        def push(source: _Source) -> None:
            nonlocal order
            item = source.next()
            if item is not None:
                order += 1
                heapq.heappush(heap, (item[0], order, item[1], source))

        while self._waiting or heap:
            # a segment comes in as soon as its best row may be as good as the best one here
            while self._waiting and (
                self._bounded is None or not heap or self._best(self._waiting[-1]) <= heap[0][0][0]
            ):
                entry = self._waiting.pop()
                if self._is_over(entry):
                    continue
                try:
                    look = self._question.look(entry)
                    run = Run(look, self._question.where, self._sorts, after=self._after, odd_ids=self._odd_ids)
                except SegmentGone:
                    continue
                push(_Source(run, self._size))
            if heap:
                _, _, found, source = heapq.heappop(heap)
                yield found
                push(source)

    def _is_over(self, entry: Segment) -> bool:
        """Whether all of the segment comes before the place to begin at."""
        if self._after is None or self._bounded is None or self._after.values[0] is None:
            return False
        bounds = entry.bound(self._bounded)
        if bounds is None or self._may_miss(entry):
            return False
        worst = bounds[0] if self._sign < 0 else bounds[1]
        return bool(self._sign * worst < self._sign * self._after.values[0])

    def _may_miss(self, entry: Segment) -> bool:
        """Rows without a value come last of all: the segment may still have some."""
        return not _asks_for(self._question.where, str(self._bounded))


def _asks_for(node: Node, field: str) -> bool:
    """Whether the query lets only rows with a value of the field through."""
    terms = node.terms if isinstance(node, And) else (node,)
    return any(isinstance(term, Term) and term.field == field and term.operator == "range" for term in terms)
