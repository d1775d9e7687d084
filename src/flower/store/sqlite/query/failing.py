"""Groups of failures, from columns; one row of each is read to say what they have in common."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flower.fingerprint import Fingerprint, class_number, fingerprint_number, fingerprint_of
from flower.search.tree import Term, all_of
from flower.store.answers import Facet, FailureGroup, Failures, Span, Value
from flower.store.grouping import frequent
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.codec import unpack_id
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query.figures import Partial
from flower.store.sqlite.query.question import Look, Question
from flower.store.sqlite.query.tally import Grid, Groups, tally

#: How many types and workers of a group are named.
_NAMED: Final = 5


def failures(question: Question, entries: Sequence[Segment], *, limit: int, span: Span | None) -> Failures:
    there = question.about(all_of([question.where, Term("failure", "present", "")]))
    partial = Partial(there, entries)
    gathered = _Gathered(span)
    looks: dict[int, Look] = {}
    for look, slots in partial.looks():
        looks[look.entry.first] = look
        gathered.add(look, slots)
    order = gathered.order()
    groups = []
    for number in order[: max(0, limit)]:
        group = gathered.group(number, looks)
        if group is not None:
            groups.append(group)
    return Failures(tuple(groups), gathered.total, max(0, len(order) - limit), partial.reason)


class _Gathered:
    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._groups = Groups()
        self._counts = Grid(1)
        self._trend = Grid(span.buckets if span else 1)
        self._first = np.zeros(0)
        self._last = np.zeros(0)
        self._example = np.zeros(0, np.int64)
        self._named: dict[str, dict[tuple[int, str | None], int]] = {"name": {}, "hostname": {}}
        self.total = 0

    def add(self, look: Look, slots: Any) -> None:
        which = self._groups.of(look, "failure", slots)
        count = len(self._groups)
        self._grow(count)
        self.total += len(slots)
        self._counts.add(which, np.zeros(len(which), np.int64), count)
        times = look.column("timestamp")[slots]
        np.fmin.at(self._first, which, times)
        np.fmax.at(self._last, which, times)
        np.maximum.at(self._example, which, slots + look.entry.first)
        for column, named in self._named.items():
            numbers = look.column(column)[slots]
            (groups, words), counts = tally((which, numbers), (count, int(numbers.max(initial=0)) + 1))
            for group, word, found in zip(groups.tolist(), words.tolist(), counts.tolist(), strict=True):
                key = (group, look.words.values[word] if word else None)
                named[key] = named.get(key, 0) + found
        if self._span is not None:
            self._count_trend(look, slots, which, count, self._span)

    def _count_trend(self, look: Look, slots: Any, which: Any, count: int, span: Span) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            places = np.floor((look.column(span.key)[slots] - span.start) / span.width)
            inside = (places >= 0) & (places < span.buckets)
        self._trend.add(which[inside], places[inside].astype(np.int64), count)

    def _grow(self, count: int) -> None:
        more = count - len(self._first)
        if more > 0:
            self._first = np.concatenate([self._first, np.full(more, np.nan)])
            self._last = np.concatenate([self._last, np.full(more, np.nan)])
            self._example = np.concatenate([self._example, np.full(more, -1)])

    def order(self) -> list[int]:
        """Largest first, equal ones latest first."""

        def key(number: int) -> tuple[int, bool, float, str]:
            last = float(self._last[number])
            missing = np.isnan(last)
            ident = f"{self._groups.values[number]:016x}"
            return (-int(self._counts.cells[number, 0]), bool(missing), 0.0 if missing else -last, ident)

        return sorted(range(len(self._groups)), key=key)

    def group(self, number: int, looks: dict[int, Look]) -> FailureGroup | None:
        key = int(self._example[number])
        look = looks[max(first for first in looks if first <= key)]
        described = describe(look, key, int(self._groups.values[number]))
        if described is None:
            return None
        fingerprint, uuid = described
        first, last = float(self._first[number]), float(self._last[number])
        trend = self._trend.cells[number] if number < len(self._trend.cells) else np.zeros(self._trend.width, np.int64)
        return FailureGroup(
            fingerprint,
            int(self._counts.cells[number, 0]),
            None if np.isnan(first) else first,
            None if np.isnan(last) else last,
            tuple(trend.tolist()) if self._span else (),
            self._most_frequent("name", number),
            self._most_frequent("hostname", number),
            uuid,
        )

    def _most_frequent(self, column: str, number: int) -> tuple[Value, ...]:
        counts = {word: found for (group, word), found in self._named[column].items() if group == number}
        return tuple(Value(word, found) for word, found in frequent(counts)[:_NAMED])


def describe(look: Look, key: int, number: int) -> tuple[Fingerprint, str] | None:
    """What the row has in common with its group, and its id; None if it has changed since."""
    rows = look.rows("SELECT exception, traceback, uuid FROM task WHERE id = ?", (key,))
    fingerprint = fingerprint_of(*rows[0][:2]) if rows else None
    if fingerprint is None or fingerprint_number(fingerprint) != number:
        return None
    return fingerprint, unpack_id(rows[0][2])


class Naming:
    """The names behind the numbers of exception classes: read from one row that has it, then remembered."""

    def __init__(self, question: Question, entries: Sequence[Segment]) -> None:
        self._question = question
        self._entries = entries

    def __call__(self, facet: Facet, number: int) -> str | None:
        if number == 0:
            return None
        if facet == "failure":
            return f"{number:016x}"
        memory = self._question.means.memory
        known: str | None = memory.get(("class", number))
        if known is None:
            known = self._read(number)
            if known is not None:
                memory.put(("class", number), known)
        return known

    def _read(self, number: int) -> str | None:
        for entry in reversed(self._entries):
            try:
                look = self._question.look(entry)
                here = np.flatnonzero((look.column("exception") == number) & (look.column("live") == 1))
                if len(here) == 0:
                    continue
                key = int(here[-1]) + entry.first
                for row in look.rows("SELECT exception, traceback FROM task WHERE id = ?", (key,)):
                    fingerprint = fingerprint_of(*row)
                    if fingerprint is not None and class_number(fingerprint.exception) == number:
                        return fingerprint.exception
            except SegmentGone:
                continue
        return None
