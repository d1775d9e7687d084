"""The search tree over the columns of a segment: which rows may fulfil it, and which of these surely do.

Where the two are the same array, the columns alone have decided. `at` limits the look to some slots."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple, cast

import numpy as np

from flower.search.fields import FIELDS, Field
from flower.search.match import predicate
from flower.search.tree import And, Bounds, Node, Not, Or, Term
from flower.store.sqlite.codec import pack_id
from flower.store.sqlite.columns.layout import ENDED, HAS, WHOLES, WORDS, Array, hashed
from flower.store.sqlite.query.question import Look
from flower.store.sqlite.query.readings import reading
from flower.store.sqlite.query.uuids import holding
from flower.store.sqlite.query.wording import Needles, needles_of, pieces
from flower.store.sqlite.schema import KINDS, STATE_IDS

At = slice | Array

#: If so much less than all rows are left, these are looked at one by one.
_SPARSE: Final = 16
#: So many words are compared one by one; more are looked up in a table.
_FEW: Final = 4
_ENDED: Final = {column: STATE_IDS[state] for state, column in ENDED.items()}
_REALS: Final = frozenset({"received", "started", "timestamp", "sent", "runtime", "wait"})
#: The id of a group of failures, as `fingerprint_of` writes it.
IDENT: Final = re.compile("[0-9a-f]{16}")
#: Words that a bare word of a query is compared with.
_FREE_WORDS: Final = tuple(field for field in FIELDS.values() if field.free and field.attribute in WORDS)


class Masks(NamedTuple):
    may: Any
    must: Any

    @property
    def exact(self) -> bool:
        return self.may is self.must


def masks(look: Look, node: Node, at: At | None = None) -> Masks:
    """Of rows only, not of slots that hold none."""
    if at is None and isinstance(node, And) and len(node.terms) > 1:
        return _one_by_one(look, sorted(node.terms, key=_price))
    part = slice(0, look.count) if at is None else at
    found = _Reading(look, part).node(node)
    live = look.columns["live"][part].view(bool)
    may = found.may & live
    return Masks(may, may if found.exact else found.must & live)


def _one_by_one(look: Look, terms: Sequence[Node]) -> Masks:
    """All of the terms, the cheap ones first. As soon as few rows are left, only these are looked at."""
    slots: Any = None
    reading = _Reading(look, slice(0, look.count))
    may = must = look.column("live").view(bool)
    exact = True
    for term in terms:
        left = int(np.count_nonzero(may))
        if left == 0:
            return _same(np.zeros(look.count, bool))
        if slots is None and left * _SPARSE < look.count:
            slots = np.flatnonzero(may)
            reading = _Reading(look, slots)
            may, must = np.ones(left, bool), must[slots]
        found = reading.node(term)
        exact = exact and found.exact
        may = may & found.may
        must = may if exact else must & found.must
    if slots is None:
        return Masks(may, must)
    spread = look.among(slots[may])
    return Masks(spread, spread if exact else look.among(slots[must]))


def _price(node: Node) -> int:
    """What a part of a query costs to look at, in comparison."""
    match node:
        case Term("", _, _):
            return 9
        case Term(name, _, _):
            attribute = FIELDS[name].attribute
            return 0 if attribute in WORDS else 1 if attribute in _REALS else 2 if attribute in WHOLES else 8
        case Not(term):
            return 3 + _price(term)
        case And(terms) | Or(terms):
            return 4 + max(map(_price, terms), default=0)


def decided(node: Node) -> bool:
    """Whether the columns alone decide it, in every segment."""
    match node:
        case And(terms) | Or(terms):
            return all(map(decided, terms))
        case Not(term):
            return decided(term)
        case Term("", _, _):
            return False
        case Term(name, operator, _):
            exact = operator in ("present", "slow") or name == "failure"
            return exact or FIELDS[name].attribute in WORDS or FIELDS[name].attribute in _REALS


def undecided(node: Node) -> Iterator[Term]:
    """The terms that the columns alone do not decide."""
    match node:
        case And(terms) | Or(terms):
            for term in terms:
                yield from undecided(term)
        case Not(term):
            yield from undecided(term)
        case Term() if not decided(node):
            yield node


def _names_failure(node: Node) -> bool:
    if not isinstance(node, Term) or (node.field, node.operator) != ("failure", "equals"):
        return False
    return IDENT.fullmatch(str(node.value)) is not None


def _same(mask: Any) -> Masks:
    return Masks(mask, mask)


class _Reading:
    def __init__(self, look: Look, at: At) -> None:
        self._look = look
        self._at = at

    def column(self, name: str) -> Any:
        return self._look.columns[name][self._at]

    def node(self, node: Node) -> Masks:
        match node:
            case And(terms):
                return self._all([self.node(term) for term in terms])
            case Or(terms) if len(terms) > _FEW and all(map(_names_failure, terms)):
                return _same(self._failures(terms))
            case Or(terms):
                return self._any([self.node(term) for term in terms])
            case Not(term):
                inner = self.node(term)
                return _same(~inner.may) if inner.exact else Masks(~inner.must, ~inner.may)
            case Term():
                return self._term(node)

    def _fill(self, value: bool) -> Any:
        return np.full(len(self.column("live")), value)

    def _all(self, parts: Sequence[Masks]) -> Masks:
        return self._joined(parts, np.logical_and) if parts else _same(self._fill(True))

    def _any(self, parts: Sequence[Masks]) -> Masks:
        return self._joined(parts, np.logical_or) if parts else _same(self._fill(False))

    @staticmethod
    def _joined(parts: Sequence[Masks], join: Callable[[Any, Any], Any]) -> Masks:
        # one after the other: numpy's own reduction would copy all of them first
        may = reduce(join, (part.may for part in parts))
        if all(part.exact for part in parts):
            return _same(may)
        return Masks(may, reduce(join, (part.must for part in parts)))

    def _term(self, term: Term) -> Masks:
        read = None if decided(term) else reading(self._look, term)
        if read is None:
            return self._seen(term)
        if read.known is None:
            return _same(read.holds[self._at])
        found = self._seen(term)
        if found.exact:
            return found
        known, holds = read.known[self._at], read.holds[self._at]
        return Masks((found.may & ~known) | holds, found.must | holds)

    def _seen(self, term: Term) -> Masks:
        """What the columns and the index say."""
        if term.field == "":
            return self._free(term)
        field = FIELDS[term.field]
        column = field.attribute
        if column in WORDS:
            return _same(self._words(field, term))
        if term.operator == "slow":
            return _same(self._slow())
        if column in ("root_id", "parent_id", "uuid"):
            return self._id(term, column)
        if column in _REALS:
            return _same(_within(self.column(column), term))
        if column in WHOLES:
            return self._whole(column, term)
        if column in _ENDED:
            return self._moment(column, term)
        if term.field == "failure":
            return _same(self._failure(term))
        return self._text(term, column)

    # --- words

    def _words(self, field: Field, term: Term) -> Any:
        numbers, most = self._numbers(field, term)
        column = self.column(field.attribute)
        if len(numbers) <= _FEW:
            return reduce(np.logical_or, (column == number for number in numbers)) if numbers else self._fill(False)
        table = np.zeros(max(most, int(column.max(initial=0))) + 1, bool)
        table[numbers] = True
        return table[column]

    def _numbers(self, field: Field, term: Term) -> tuple[list[int], int]:
        """The numbers of the words that fulfil the term, and the greatest number of all."""
        dictionary = self._look.words
        memory = self._look.question.means.memory
        question = (self._look.entry.number, dictionary.last, field.name, term)
        known: list[int] | None = memory.get(question)
        if known is None:
            holds = self._look.question.tests.setdefault(term, _WordTest(term))
            known = [number for number, word in list(dictionary.words(KINDS[field.attribute])) if holds[word]]
            memory.put(question, known, 8 * len(known))
        return known, dictionary.last

    def _free(self, term: Term) -> Masks:
        value = str(term.value).casefold()
        must = reduce(np.logical_or, (self._words(field, term) for field in _FREE_WORDS)) | self._uuids((value,))
        may = must | self._candidates(needles_of(term))
        return Masks(may | self._odd() if self._look.entry.odd_ids else may, must)

    # --- numbers and times

    def _slow(self) -> Any:
        slow = self._look.question.slow
        limits = np.full(self._look.words.last + 1, np.inf)
        for number, name in self._look.words.words("name"):
            limits[number] = slow.get(name, np.inf)
        limits[0] = np.inf
        with np.errstate(invalid="ignore"):
            return self.column("runtime") > limits[self.column("name")]

    def _whole(self, name: str, term: Term) -> Masks:
        column = self.column(name)
        bounds = np.iinfo(WHOLES[name])
        there = column != bounds.min
        if name == "attempts" and term.operator == "present":
            return _same(self._fill(True))
        if term.operator == "present":
            return _same(there)
        unknown = (column == bounds.max) | (column == bounds.min + 1)
        mask = there & _within(column.astype(np.float64), term)
        if not unknown.any():
            return _same(mask)
        return Masks(mask | unknown, mask & ~unknown)

    def _moment(self, name: str, term: Term) -> Masks:
        """`ended` is this time if the task ended so; else only the row knows it."""
        has = self._has(name)
        if term.operator == "present":
            return _same(has)
        here = self.column("state") == _ENDED[name]
        known = here & _within(self.column("ended"), term)
        other = has & ~here
        return Masks(known | other, known) if other.any() else _same(known)

    def _failure(self, term: Term) -> Any:
        column = self.column("failure")
        if term.operator == "present":
            return column != 0
        if term.operator == "equals" and IDENT.fullmatch(str(term.value)):
            number = np.uint64(int(str(term.value), 16))
            return (column == number) & (number != 0)
        ids = np.unique(column[column != 0])
        holds = _WordTest(term)
        wanted = [number for number in ids.tolist() if holds[f"{number:016x}"]]
        return np.isin(column, np.array(wanted, np.uint64))

    # --- what the rows know

    def _failures(self, terms: Sequence[Node]) -> Any:
        """Any of these groups: people filter by hundreds of them at once (`failure_states`)."""
        wanted = np.array([int(str(term.value), 16) for term in terms if isinstance(term, Term)], np.uint64)
        column = self.column("failure")
        failed = np.flatnonzero(column)
        found = self._fill(False)
        found[failed[np.isin(column[failed], wanted)]] = True
        return found

    def _has(self, name: str) -> Any:
        return (self.column("has") & HAS[name]) != 0

    def _text(self, term: Term, column: str) -> Masks:
        has = self._has(column) if column in HAS else self._fill(True)
        if term.operator == "present":
            return _same(has)
        needles = needles_of(term)
        if needles is None:
            return Masks(has, self._fill(False))
        return Masks(has & self._candidates(needles), self._fill(False))

    def _id(self, term: Term, column: str) -> Masks:
        has = self._fill(True) if column == "uuid" else self._has(column)
        if term.operator == "present":
            return _same(has)
        value = term.value
        if isinstance(value, str) and term.operator in ("is", "equals", "contains"):
            folded = value if term.operator == "equals" else value.casefold()
            if isinstance(pack_id(folded), bytes) and not self._look.entry.odd_ids:
                return self._bearing(column, folded)
        if column == "uuid" and isinstance(value, str) and term.operator in ("contains", "like"):
            parts = (value,) if term.operator == "contains" else pieces(value)
            may = self._uuids([part.casefold() for part in parts])
            if term.operator == "contains" and not self._look.entry.odd_ids:
                return _same(may)
            return Masks(may | self._odd(), self._fill(False))
        return Masks(has, self._fill(False))

    def _uuids(self, parts: Sequence[str]) -> Any:
        """Ids that are canonical, with all of these casefolded texts in them."""
        high, low = self.column("uuid_high"), self.column("uuid_low")
        found = reduce(np.logical_and, (holding(high, low, part) for part in parts))
        return found & ~self._odd() if self._look.entry.odd_ids else found

    def _odd(self) -> Any:
        """Ids that may be no canonical ones."""
        return (self.column("uuid_high") == 0) & (self.column("uuid_low") == 0)

    def _bearing(self, column: str, uuid: str) -> Masks:
        """Rows with this canonical id."""
        packed = pack_id(uuid)
        if column == "uuid":
            rows = self._look.rows("SELECT id FROM task WHERE uuid = ?", (packed,))
            slots = np.fromiter((row[0] for row in rows), np.int64, len(rows)) - self._look.entry.first
            return _same(self._among(slots))
        may = self.column("root" if column == "root_id" else "parent") == hashed(packed)
        if column == "root_id":
            # a root has its own id, which is not in the column
            may |= self._bearing("uuid", uuid).may & self._has("root_id")
        return Masks(may, self._fill(False))

    def _candidates(self, needles: Needles | None) -> Any:
        if needles is None:
            return self._fill(True)
        return self._look.candidates(needles)[self._at]

    def _among(self, slots: Any) -> Any:
        return self._look.among(slots)[self._at]


class _WordTest(dict[str, bool]):
    """Whether a word fulfils a term, by the very comparison of `match`, made once for each word."""

    def __init__(self, term: Term) -> None:
        super().__init__()
        self._always = term.operator == "present"
        self._holds = predicate(Term("name", term.operator, term.value))

    def __missing__(self, word: str) -> bool:
        held = self[word] = self._always or self._holds({"name": word})
        return held


def _within(column: Any, term: Term) -> Any:
    if term.operator == "present":
        return ~np.isnan(column)
    low, high = (None if bound is None else float(bound) for bound in cast(Bounds, term.value))
    if (low is not None and math.isnan(low)) or (high is not None and math.isnan(high)):
        return np.zeros(len(column), bool)
    if low is None and high is None:
        return ~np.isnan(column)
    # NaN, a missing value, compares with nothing
    mask = None if low is None else column >= low
    if high is not None:
        below = column <= high
        mask = below if mask is None else mask & below
    return mask
