"""Counts, facets, histograms and summaries of what a query finds: from columns alone, segment by segment. What
comes too late is left out, and the answer says so."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from flower.errors import WaitedTooLong
from flower.search.tree import Term, all_of
from flower.sketch import BUCKETS
from flower.store.answers import (
    Count,
    Facet,
    FacetCounts,
    Facets,
    Histogram,
    Span,
    Summaries,
    Summary,
)
from flower.store.grouping import facet_counts
from flower.store.sqlite.catalogue import BOUNDED, Segment
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query.exact import count, exact, excluded
from flower.store.sqlite.query.question import Look, Question
from flower.store.sqlite.query.tally import COLUMN, Grid, Groups, Sketches

#: The exception class or failure group with this number; None for none.
Names = Callable[[Facet, int], str | None]

_STATES: Final = 64


class Partial:
    """Goes through the segments until the time is over."""

    def __init__(self, question: Question, entries: Sequence[Segment]) -> None:
        self._question = question
        self._entries = entries
        self.reason: str | None = None

    def looks(self) -> Iterator[tuple[Look, Any]]:
        """Each segment with the slots that the query finds there, newest first."""
        for entry in reversed(self._entries):
            if not entry.rows or excluded(entry, self._question.where):
                continue
            try:
                look = self._question.look(entry)
                slots = np.flatnonzero(exact(look, self._question.where))
            except SegmentGone:
                continue
            except WaitedTooLong as error:
                self.reason = late(error)
                return
            if len(slots):
                yield look, slots


def late(error: WaitedTooLong) -> str:
    return f"{error.message}; this is what was found until then. To see all, {error.hint}."


def counted(question: Question, entries: Sequence[Segment]) -> Count:
    total = 0
    for entry in reversed(entries):
        try:
            total += count(question, entry, question.where)
        except SegmentGone:
            continue
        except WaitedTooLong as error:
            return Count(total, late(error))
    return Count(total)


def facets(
    question: Question,
    entries: Sequence[Segment],
    wanted: Sequence[Facet],
    names: Names,
    *,
    limit: int,
    containing: str | None,
) -> Facets:
    partial = Partial(question, entries)
    total = 0
    counts: dict[Facet, dict[Any, int]] = {facet: {} for facet in wanted}
    for look, slots in partial.looks():
        total += len(slots)
        for facet in wanted:
            known = counts[facet]
            for value, number in _facet(look, facet, slots).items():
                known[value] = known.get(value, 0) + number
    found: dict[str, FacetCounts] = {facet: _ranked(facet, counts[facet], names, limit, containing) for facet in wanted}
    return Facets(total, found, partial.reason)


def _facet(look: Look, facet: Facet, slots: Any) -> dict[Any, int]:
    where = look.question.where
    asked = (look.stamp, look.count, "facet", facet, where, look.question.stamp_of(where))
    memory = look.question.means.memory
    known: dict[Any, int] | None = memory.get(asked)
    if known is None:
        column = look.column(COLUMN.get(facet, facet))[slots]
        if facet in ("exception", "failure"):
            values, numbers = np.unique(column, return_counts=True)
            known = dict(zip(values.tolist(), numbers.tolist(), strict=True))
        else:
            counts = np.bincount(column, minlength=1)
            words = look.words.values
            known = {
                words[number] if number else None: int(counts[number]) for number in np.flatnonzero(counts).tolist()
            }
        memory.put(asked, known, 120 * len(known))
    return known


def _ranked(facet: Facet, counts: dict[Any, int], names: Names, limit: int, containing: str | None) -> FacetCounts:
    if facet in ("exception", "failure"):
        named: dict[str | None, int] = {}
        for number, found in counts.items():
            name = names(facet, number)
            named[name] = named.get(name, 0) + found
        counts = named
    return facet_counts(counts, limit, containing)


def buckets_of(look: Look, span: Span, slots: Any) -> tuple[Any, Any]:
    """Those of the slots that are in the span, and the bucket of each (`grouping.bucket_of`)."""
    with np.errstate(invalid="ignore", over="ignore"):
        places = np.floor((look.column(span.key)[slots] - span.start) / span.width)
        inside = (places >= 0) & (places < span.buckets)
    return slots[inside], places[inside].astype(np.int64)


def in_span(question: Question, span: Span) -> Question:
    """The same question for tasks that can be in the span: segments that are not are not looked at."""
    if span.key not in BOUNDED:
        return question
    window = Term(span.key, "range", (span.start - span.width, span.end + span.width))
    return question.about(all_of([question.where, window]))


def histogram(question: Question, entries: Sequence[Segment], span: Span) -> Histogram:
    partial = Partial(in_span(question, span), entries)
    states = Groups()
    grid = Grid(span.buckets)
    for look, slots in partial.looks():
        inside, places = buckets_of(look, span, slots)
        grid.add(states.of(look, "state", inside), places, len(states))
    found = {state: grid.cells[number].tolist() for number, state in enumerate(states.values)}
    return Histogram(span, {state: tuple(found[state]) for state in sorted(found) if any(found[state])}, partial.reason)


class _Figures:
    """States and sketches by group."""

    def __init__(self) -> None:
        self.states = Groups()
        self._counts = Grid(_STATES)
        self._runtime, self._wait = Sketches(BUCKETS), Sketches(BUCKETS)

    def add(self, look: Look, slots: Any, groups: Any, count: int) -> None:
        states = self.states.of(look, "state", slots)
        if len(self.states) > self._counts.width:
            self._widen()
        self._counts.add(groups, states, count)
        self._runtime.add(groups, look.column("runtime_bucket")[slots], count)
        self._wait.add(groups, look.column("wait_bucket")[slots], count)

    def _widen(self) -> None:
        wider = Grid(2 * max(self._counts.width, len(self.states)))
        wider.cells = np.zeros((len(self._counts.cells), wider.width), np.int64)
        wider.cells[:, : self._counts.width] = self._counts.cells
        self._counts = wider

    def count(self, group: int) -> int:
        return int(self._counts.cells[group].sum()) if group < len(self._counts.cells) else 0

    def summary(self, group: int, value: str | float | None) -> Summary:
        counts = self._counts.cells[group] if group < len(self._counts.cells) else np.zeros(0, np.int64)
        return Summary(
            value, int(counts.sum()), self._by_state(counts), self._runtime.sketch(group), self._wait.sketch(group)
        )

    def total(self) -> Summary:
        counts = self._counts.cells.sum(axis=0)
        return Summary(None, int(counts.sum()), self._by_state(counts), self._runtime.total(), self._wait.total())

    def _by_state(self, counts: Any) -> dict[str, int]:
        found = {self.states.values[number]: int(counts[number]) for number in np.flatnonzero(counts).tolist()}
        return dict(sorted(found.items()))


def summaries(
    question: Question, entries: Sequence[Segment], by: Facet | None, names: Names, *, limit: int
) -> Summaries:
    partial = Partial(question, entries)
    groups = Groups()
    figures = _Figures()
    for look, slots in partial.looks():
        which = np.zeros(len(slots), np.int64) if by is None else groups.of(look, by, slots)
        figures.add(look, slots, which, max(1, len(groups)))
    if by is None:
        return Summaries(figures.total(), partial=partial.reason)
    named = {
        number: names(by, value) if by in ("exception", "failure") else value
        for number, value in enumerate(groups.values)
    }
    order = sorted(named, key=lambda number: (-figures.count(number), named[number] is None, named[number] or ""))
    chosen = tuple(figures.summary(number, named[number]) for number in order[: max(0, limit)])
    return Summaries(figures.total(), chosen, len(order) - len(chosen), partial.reason)


def timeline(question: Question, entries: Sequence[Segment], span: Span) -> Summaries:
    partial = Partial(in_span(question, span), entries)
    figures = _Figures()
    for look, slots in partial.looks():
        inside, places = buckets_of(look, span, slots)
        figures.add(look, inside, places, span.buckets)
    stretches = tuple(figures.summary(place, span.start + place * span.width) for place in range(span.buckets))
    return Summaries(figures.total(), stretches, partial=partial.reason)
