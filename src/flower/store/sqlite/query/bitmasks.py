"""The search tree over the columns of a segment: which rows may fulfil it, and which of these surely do.

Where the two are the same array, the columns alone have decided. `at` limits the look to some slots."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple, cast

import numpy as np

from flower.search.fields import FIELDS, Field
from flower.search.matcher import compile_predicate
from flower.search.tree import And, Node, Not, Or, RangeBounds, Term
from flower.store.sqlite.columns.layout import END_TIME_COLUMNS, HAS_BITS, INTEGER_COLUMNS, WORD_COLUMNS, Array, hash_id
from flower.store.sqlite.query.context import SegmentView
from flower.store.sqlite.query.term_cache import get_cached_term
from flower.store.sqlite.query.text_candidates import SearchStrings, extract_search_strings, split_wildcards
from flower.store.sqlite.query.uuid_search import match_uuid_part
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.schema import STATE_IDS, WORD_KINDS

SlotIndex = slice | Array

#: If so much less than all rows are left, these are looked at one by one.
_SPARSE_RATIO: Final = 16
#: So many words are compared one by one; more are looked up in a table.
_MAX_COMPARED_VALUES: Final = 4
_END_STATE_IDS: Final = {column: STATE_IDS[state] for state, column in END_TIME_COLUMNS.items()}
_RANGE_COLUMNS: Final = frozenset({"received", "started", "timestamp", "sent", "runtime", "wait"})
#: The id of a group of failures, as `fingerprint_of` writes it.
FAILURE_ID_PATTERN: Final = re.compile("[0-9a-f]{16}")
#: Words that a bare word of a query is compared with.
_FREE_TEXT_FIELDS: Final = tuple(
    field for field in FIELDS.values() if field.in_free_text and field.attribute in WORD_COLUMNS
)


class Masks(NamedTuple):
    candidates: Any
    definite: Any

    @property
    def is_exact(self) -> bool:
        return self.candidates is self.definite


def evaluate_masks(look: SegmentView, node: Node, at: SlotIndex | None = None) -> Masks:
    """Of rows only, not of slots that hold none."""
    if at is None and isinstance(node, And) and len(node.terms) > 1:
        return _evaluate_conjunction(look, sorted(node.terms, key=_estimate_cost))
    part = slice(0, look.count) if at is None else at
    found = _Evaluator(look, part).evaluate(node)
    live = look.columns["live"][part].view(bool)
    may = found.candidates & live
    return Masks(may, may if found.is_exact else found.definite & live)


def _evaluate_conjunction(look: SegmentView, terms: Sequence[Node]) -> Masks:
    """All of the terms, the cheap ones first. As soon as few rows are left, only these are looked at."""
    slots: Any = None
    reading = _Evaluator(look, slice(0, look.count))
    may = must = look.column("live").view(bool)
    exact = True
    for term in terms:
        left = int(np.count_nonzero(may))
        if left == 0:
            return _exact_masks(np.zeros(look.count, bool))
        if slots is None and left * _SPARSE_RATIO < look.count:
            slots = np.flatnonzero(may)
            reading = _Evaluator(look, slots)
            may, must = np.ones(left, bool), must[slots]
        found = reading.evaluate(term)
        exact = exact and found.is_exact
        may = may & found.candidates
        must = may if exact else must & found.definite
    if slots is None:
        return Masks(may, must)
    spread = look.mask_from_slots(slots[may])
    return Masks(spread, spread if exact else look.mask_from_slots(slots[must]))


def _estimate_cost(node: Node) -> int:
    """What a part of a query costs to look at, in comparison."""
    match node:
        case Term("", _, _):
            return 9
        case Term(name, _, _):
            attribute = FIELDS[name].attribute
            return (
                0
                if attribute in WORD_COLUMNS
                else 1
                if attribute in _RANGE_COLUMNS
                else 2
                if attribute in INTEGER_COLUMNS
                else 8
            )
        case Not(term):
            return 3 + _estimate_cost(term)
        case And(terms) | Or(terms):
            return 4 + max(map(_estimate_cost, terms), default=0)


def is_decided_by_columns(node: Node) -> bool:
    """Whether the columns alone decide it, in every segment."""
    match node:
        case And(terms) | Or(terms):
            return all(map(is_decided_by_columns, terms))
        case Not(term):
            return is_decided_by_columns(term)
        case Term("", _, _):
            return False
        case Term(name, operator, _):
            exact = operator in ("present", "slow") or name == "failure"
            return exact or FIELDS[name].attribute in WORD_COLUMNS or FIELDS[name].attribute in _RANGE_COLUMNS


def iter_undecided_terms(node: Node) -> Iterator[Term]:
    """The terms that the columns alone do not decide."""
    match node:
        case And(terms) | Or(terms):
            for term in terms:
                yield from iter_undecided_terms(term)
        case Not(term):
            yield from iter_undecided_terms(term)
        case Term() if not is_decided_by_columns(node):
            yield node


def _is_failure_id_term(node: Node) -> bool:
    if not isinstance(node, Term) or (node.field, node.operator) != ("failure", "equals"):
        return False
    return FAILURE_ID_PATTERN.fullmatch(str(node.value)) is not None


def _exact_masks(mask: Any) -> Masks:
    return Masks(mask, mask)


class _Evaluator:
    def __init__(self, look: SegmentView, at: SlotIndex) -> None:
        self._view = look
        self._slots = at

    def column(self, name: str) -> Any:
        return self._view.columns[name][self._slots]

    def evaluate(self, node: Node) -> Masks:
        match node:
            case And(terms):
                return self._intersect([self.evaluate(term) for term in terms])
            case Or(terms) if len(terms) > _MAX_COMPARED_VALUES and all(map(_is_failure_id_term, terms)):
                return _exact_masks(self._match_failure_ids(terms))
            case Or(terms):
                return self._unite([self.evaluate(term) for term in terms])
            case Not(term):
                inner = self.evaluate(term)
                return _exact_masks(~inner.candidates) if inner.is_exact else Masks(~inner.definite, ~inner.candidates)
            case Term():
                return self._evaluate_term(node)

    def _fill(self, value: bool) -> Any:
        return np.full(len(self.column("live")), value)

    def _intersect(self, parts: Sequence[Masks]) -> Masks:
        return self._combine(parts, np.logical_and) if parts else _exact_masks(self._fill(True))

    def _unite(self, parts: Sequence[Masks]) -> Masks:
        return self._combine(parts, np.logical_or) if parts else _exact_masks(self._fill(False))

    @staticmethod
    def _combine(parts: Sequence[Masks], join: Callable[[Any, Any], Any]) -> Masks:
        # one after the other: numpy's own reduction would copy all of them first
        may = reduce(join, (part.candidates for part in parts))
        if all(part.is_exact for part in parts):
            return _exact_masks(may)
        return Masks(may, reduce(join, (part.definite for part in parts)))

    def _evaluate_term(self, term: Term) -> Masks:
        read = None if is_decided_by_columns(term) else get_cached_term(self._view, term)
        if read is None:
            return self._evaluate_from_columns(term)
        if read.verified is None:
            return _exact_masks(read.matches[self._slots])
        found = self._evaluate_from_columns(term)
        if found.is_exact:
            return found
        known, holds = read.verified[self._slots], read.matches[self._slots]
        return Masks((found.candidates & ~known) | holds, found.definite | holds)

    def _evaluate_from_columns(self, term: Term) -> Masks:
        """What the columns and the index say."""
        if term.field == "":
            return self._match_free_text(term)
        field = FIELDS[term.field]
        column = field.attribute
        if column in WORD_COLUMNS:
            return _exact_masks(self._match_words(field, term))
        if term.operator == "slow":
            return _exact_masks(self._match_slow())
        if column in ("root_id", "parent_id", "uuid"):
            return self._match_id(term, column)
        if column in _RANGE_COLUMNS:
            return _exact_masks(_in_range(self.column(column), term))
        if column in INTEGER_COLUMNS:
            return self._match_integer(column, term)
        if column in _END_STATE_IDS:
            return self._match_end_time(column, term)
        if term.field == "failure":
            return _exact_masks(self._match_failure(term))
        return self._match_text(term, column)

    # --- words

    def _match_words(self, field: Field, term: Term) -> Any:
        numbers, most = self._matching_word_ids(field, term)
        column = self.column(field.attribute)
        if len(numbers) <= _MAX_COMPARED_VALUES:
            return reduce(np.logical_or, (column == number for number in numbers)) if numbers else self._fill(False)
        table = np.zeros(max(most, int(column.max(initial=0))) + 1, bool)
        table[numbers] = True
        return table[column]

    def _matching_word_ids(self, field: Field, term: Term) -> tuple[list[int], int]:
        """The numbers of the words that fulfil the term, and the greatest number of all."""
        dictionary = self._view.dictionary
        memory = self._view.ctx.resources.result_cache
        question = (self._view.segment.number, dictionary.last_id, field.name, term)
        known: list[int] | None = memory.get(question)
        if known is None:
            holds = self._view.ctx.word_matches.setdefault(term, _WordMatchCache(term))
            known = [number for number, word in list(dictionary.words(WORD_KINDS[field.attribute])) if holds[word]]
            memory.put(question, known, 8 * len(known))
        return known, dictionary.last_id

    def _match_free_text(self, term: Term) -> Masks:
        value = str(term.value).casefold()
        must = reduce(
            np.logical_or, (self._match_words(field, term) for field in _FREE_TEXT_FIELDS)
        ) | self._match_uuid_parts((value,))
        may = must | self._text_candidates(extract_search_strings(term))
        return Masks(may | self._non_uuid_mask() if self._view.segment.has_non_uuid_ids else may, must)

    # --- numbers and times

    def _match_slow(self) -> Any:
        slow = self._view.ctx.slow_thresholds
        limits = np.full(self._view.dictionary.last_id + 1, np.inf)
        for number, name in self._view.dictionary.words("name"):
            limits[number] = slow.get(name, np.inf)
        limits[0] = np.inf
        with np.errstate(invalid="ignore"):
            return self.column("runtime") > limits[self.column("name")]

    def _match_integer(self, name: str, term: Term) -> Masks:
        column = self.column(name)
        bounds = np.iinfo(INTEGER_COLUMNS[name])
        there = column != bounds.min
        if name == "attempts" and term.operator == "present":
            return _exact_masks(self._fill(True))
        if term.operator == "present":
            return _exact_masks(there)
        unknown = (column == bounds.max) | (column == bounds.min + 1)
        mask = there & _in_range(column.astype(np.float64), term)
        if not unknown.any():
            return _exact_masks(mask)
        return Masks(mask | unknown, mask & ~unknown)

    def _match_end_time(self, name: str, term: Term) -> Masks:
        """`ended` is this time if the task ended so; else only the row knows it."""
        has = self._has_value(name)
        if term.operator == "present":
            return _exact_masks(has)
        here = self.column("state") == _END_STATE_IDS[name]
        known = here & _in_range(self.column("ended"), term)
        other = has & ~here
        return Masks(known | other, known) if other.any() else _exact_masks(known)

    def _match_failure(self, term: Term) -> Any:
        column = self.column("failure")
        if term.operator == "present":
            return column != 0
        if term.operator == "equals" and FAILURE_ID_PATTERN.fullmatch(str(term.value)):
            number = np.uint64(int(str(term.value), 16))
            return (column == number) & (number != 0)
        ids = np.unique(column[column != 0])
        holds = _WordMatchCache(term)
        wanted = [number for number in ids.tolist() if holds[f"{number:016x}"]]
        return np.isin(column, np.array(wanted, np.uint64))

    # --- what the rows know

    def _match_failure_ids(self, terms: Sequence[Node]) -> Any:
        """Any of these groups: people filter by hundreds of them at once (`failure_states`)."""
        wanted = np.array([int(str(term.value), 16) for term in terms if isinstance(term, Term)], np.uint64)
        column = self.column("failure")
        failed = np.flatnonzero(column)
        found = self._fill(False)
        found[failed[np.isin(column[failed], wanted)]] = True
        return found

    def _has_value(self, name: str) -> Any:
        return (self.column("has") & HAS_BITS[name]) != 0

    def _match_text(self, term: Term, column: str) -> Masks:
        has = self._has_value(column) if column in HAS_BITS else self._fill(True)
        if term.operator == "present":
            return _exact_masks(has)
        needles = extract_search_strings(term)
        if needles is None:
            return Masks(has, self._fill(False))
        return Masks(has & self._text_candidates(needles), self._fill(False))

    def _match_id(self, term: Term, column: str) -> Masks:
        has = self._fill(True) if column == "uuid" else self._has_value(column)
        if term.operator == "present":
            return _exact_masks(has)
        value = term.value
        if isinstance(value, str) and term.operator in ("is", "equals", "contains"):
            folded = value if term.operator == "equals" else value.casefold()
            if isinstance(pack_id(folded), bytes) and not self._view.segment.has_non_uuid_ids:
                return self._match_uuid(column, folded)
        if column == "uuid" and isinstance(value, str) and term.operator in ("contains", "like"):
            parts = (value,) if term.operator == "contains" else split_wildcards(value)
            may = self._match_uuid_parts([part.casefold() for part in parts])
            if term.operator == "contains" and not self._view.segment.has_non_uuid_ids:
                return _exact_masks(may)
            return Masks(may | self._non_uuid_mask(), self._fill(False))
        return Masks(has, self._fill(False))

    def _match_uuid_parts(self, parts: Sequence[str]) -> Any:
        """Ids that are canonical, with all of these casefolded texts in them."""
        high, low = self.column("uuid_high"), self.column("uuid_low")
        found = reduce(np.logical_and, (match_uuid_part(high, low, part) for part in parts))
        return found & ~self._non_uuid_mask() if self._view.segment.has_non_uuid_ids else found

    def _non_uuid_mask(self) -> Any:
        """Ids that may be no canonical ones."""
        return (self.column("uuid_high") == 0) & (self.column("uuid_low") == 0)

    def _match_uuid(self, column: str, uuid: str) -> Masks:
        """Rows with this canonical id."""
        packed = pack_id(uuid)
        if column == "uuid":
            rows = self._view.read_rows("SELECT id FROM task WHERE uuid = ?", (packed,))
            slots = np.fromiter((row[0] for row in rows), np.int64, len(rows)) - self._view.segment.first
            return _exact_masks(self._mask_from_slots(slots))
        may = self.column("root" if column == "root_id" else "parent") == hash_id(packed)
        if column == "root_id":
            # a root has its own id, which is not in the column
            may |= self._match_uuid("uuid", uuid).candidates & self._has_value("root_id")
        return Masks(may, self._fill(False))

    def _text_candidates(self, needles: SearchStrings | None) -> Any:
        if needles is None:
            return self._fill(True)
        return self._view.text_mask(needles)[self._slots]

    def _mask_from_slots(self, slots: Any) -> Any:
        return self._view.mask_from_slots(slots)[self._slots]


class _WordMatchCache(dict[str, bool]):
    """Whether a word fulfils a term, by the very comparison of `match`, made once for each word."""

    def __init__(self, term: Term) -> None:
        super().__init__()
        self._always = term.operator == "present"
        self._holds = compile_predicate(Term("name", term.operator, term.value))

    def __missing__(self, word: str) -> bool:
        held = self[word] = self._always or self._holds({"name": word})
        return held


def _in_range(column: Any, term: Term) -> Any:
    if term.operator == "present":
        return ~np.isnan(column)
    low, high = (None if bound is None else float(bound) for bound in cast(RangeBounds, term.value))
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
