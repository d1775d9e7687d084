"""A query being answered: which tasks, by when, and what it has learnt so far."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from flower.search.tree import And, Node, Not, Or, Term
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.codec import Dictionary
from flower.store.sqlite.columns.file import Columns
from flower.store.sqlite.columns.layout import HAS
from flower.store.sqlite.connection import Row
from flower.store.sqlite.pool import Deadline, Pool
from flower.store.sqlite.query.mapped import Mapped
from flower.store.sqlite.query.memory import Memory
from flower.store.sqlite.query.shelf import Shelf
from flower.store.sqlite.query.wording import Needles, Wording


@dataclass(frozen=True)
class Means:
    """What a reader has to answer with, for all its queries."""

    pool: Pool
    shelf: Shelf
    memory: Memory
    mapped: Mapped
    #: run times by name above which a task is slow; asked for only if a query needs it
    slow: Callable[[], Mapping[str, float]]


@dataclass
class Question:
    where: Node
    means: Means
    deadline: Deadline
    wording: Wording
    #: what is known of words, by the term that asks about them
    tests: dict[Node, Any] = field(default_factory=dict)
    #: whether few rows fulfil it, as far as was seen: then looking for them in a kept order is not tried again
    few: bool = False
    _looks: dict[int, "Look"] = field(default_factory=dict)

    def __del__(self) -> None:
        # however a question ends, what it has mapped does not stay
        self.means.mapped.tidy(at_once=True)

    @cached_property
    def slow(self) -> Mapping[str, float]:
        return self.means.slow()

    @cached_property
    def slow_stamp(self) -> int:
        """Another one as soon as what is slow changes."""
        return hash(frozenset(self.slow.items()))

    def about(self, where: Node) -> "Question":
        """The same, asked about other tasks, within the same time."""
        return Question(where, self.means, self.deadline, self.wording)

    def stamp_of(self, node: Node) -> int | None:
        """What an answer for the query depends on beside the segment."""
        return self.slow_stamp if asks_slow(node) else None

    def look(self, entry: Segment) -> "Look":
        """The segment as this query sees it, the same one each time. Raises SegmentGone, WaitedTooLong."""
        self.deadline.check()
        self.means.mapped.tidy()
        look = self._looks.get(entry.number)
        if look is None:
            columns = self.means.shelf.columns(entry, self.deadline)
            look = self._looks[entry.number] = Look(entry, columns, self)
        return look


def asks_slow(node: Node) -> bool:
    match node:
        case Term(operator=operator):
            return operator == "slow"
        case Not(term):
            return asks_slow(term)
        case And(terms) | Or(terms):
            return any(map(asks_slow, terms))


class Look:
    """One segment, as of one moment."""

    def __init__(self, entry: Segment, columns: Columns, question: Question) -> None:
        self.entry = entry
        self.columns = columns
        self.count = entry.next - entry.first
        self._candidates: dict[tuple[Needles, bool], Any] = {}
        #: what is known of terms from reading rows, see `readings`
        self.readings: dict[Term, Any] = {}
        # weakly: a circle would keep mapped files until the garbage is collected
        self.question: Question = weakref.proxy(question)
        #: what answers are remembered under: they stay true as long as it stands
        self.stamp = (entry.number, columns.sequence)

    @cached_property
    def words(self) -> Dictionary:
        return self.question.means.shelf.words(self.entry, self.columns.sequence, self.question.deadline)

    def column(self, name: str) -> Any:
        return self.columns[name][: self.count]

    def among(self, slots: Any) -> Any:
        """A mask of these slots."""
        mask = np.zeros(self.count, bool)
        mask[slots[(slots >= 0) & (slots < self.count)]] = True
        return mask

    def candidates(self, needles: Needles) -> Any:
        """A mask of the rows that may hold these texts."""
        wording = self.question.wording
        known = self._candidates.get((needles, wording.certain))
        if known is None:
            slots = wording.candidates(needles, self.columns, self.count)
            if slots is None:
                known = np.ones(self.count, bool)
            else:
                known = self.among(slots)
                unseen = self._unseen()
                if unseen is not None:
                    known |= unseen
                if needles.spelled:
                    known |= (self.column("has") & HAS["escaped"]) != 0
            self._candidates[needles, wording.certain] = known
        return known

    def _unseen(self) -> Any | None:
        """A mask of the rows whose text the index had not seen; None if it had seen all."""
        wording, memory = self.question.wording, self.question.means.memory
        asked = (self.stamp, self.count, "unseen", self.columns.indexed_at, wording.state)
        known: tuple[Any] | None = memory.get(asked)
        if known is None:
            unseen = wording.unseen(self.columns, self.count)
            known = (np.packbits(unseen) if unseen.any() else None,)
            memory.put(asked, known, 0 if known[0] is None else known[0].nbytes)
        return None if known[0] is None else np.unpackbits(known[0], count=self.count).view(bool)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Raises SegmentGone, WaitedTooLong."""
        with self.question.means.pool.borrow(self.entry, self.question.deadline) as segment:
            return segment.rows(sql, values)
