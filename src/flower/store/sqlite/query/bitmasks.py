"""Evaluates a search tree over the columns of a segment: which rows are candidates, and which match for certain.

If both are the same array, the columns alone have decided the query. The argument `slots` limits the evaluation to
some slots.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple, cast

import numpy as np

from flower.records import END_TIME_FIELDS
from flower.search.fields import FIELDS, Field
from flower.search.matcher import compile_predicate
from flower.search.tree import And, Node, Not, Or, RangeBounds, Term
from flower.store.sqlite.columns.layout import HAS_BITS, INTEGER_COLUMNS, WORD_COLUMNS, Array, hash_id
from flower.store.sqlite.query.context import SegmentView
from flower.store.sqlite.query.term_cache import get_cached_term, store_term
from flower.store.sqlite.query.text_candidates import SearchStrings, extract_search_strings, split_wildcards
from flower.store.sqlite.query.text_templates import match_templates
from flower.store.sqlite.query.uuid_search import match_uuid_part
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.schema import STATE_IDS, WORD_KINDS
from flower.store.sqlite.text.templates import TEMPLATE_COLUMNS

SlotIndex = slice | Array

#: If fewer than one in this many rows are left, only these rows are evaluated.
_SPARSE_RATIO: Final = 16
_END_STATE_IDS: Final = {column: STATE_IDS[state] for state, column in END_TIME_FIELDS.items()}
_RANGE_COLUMNS: Final = frozenset({"received", "started", "timestamp", "sent", "runtime", "wait", "time", "ended"})
#: ID of a failure group, as `fingerprint` formats it
FAILURE_ID_PATTERN: Final = re.compile("[0-9a-f]{16}")
#: dictionary-encoded fields that a search word without a field name is compared with
_FREE_TEXT_FIELDS: Final = tuple(
    field for field in FIELDS.values() if field.in_free_text and field.attribute in WORD_COLUMNS
)


class Masks(NamedTuple):
    """Masks of slots: the rows that may match, and the ones that match for certain."""

    candidates: Any
    definite: Any

    @property
    def is_exact(self) -> bool:
        return self.candidates is self.definite


def evaluate_masks(view: SegmentView, node: Node, slots: SlotIndex | None = None) -> Masks:
    """Return masks of rows; slots without a row are in neither."""
    if slots is None and isinstance(node, And) and len(node.terms) > 1:
        return _evaluate_conjunction(view, sorted(node.terms, key=_estimate_cost))
    selection = slice(0, view.count) if slots is None else slots
    masks = _Evaluator(view, selection).evaluate(node)
    live = view.columns["live"][selection].view(bool)
    candidates = masks.candidates & live
    return Masks(candidates, candidates if masks.is_exact else masks.definite & live)


def _evaluate_conjunction(view: SegmentView, terms: Sequence[Node]) -> Masks:
    """Evaluate a conjunction, cheap terms first. As soon as few rows are left, only these are evaluated."""
    slots: Any = None
    evaluator = _Evaluator(view, slice(0, view.count))
    candidates = definite = view.column("live").view(bool)
    is_exact = True
    for term in terms:
        remaining = int(np.count_nonzero(candidates))
        if remaining == 0:
            return _exact_masks(np.zeros(view.count, bool))
        if slots is None and remaining * _SPARSE_RATIO < view.count:
            slots = np.flatnonzero(candidates)
            evaluator = _Evaluator(view, slots)
            candidates, definite = np.ones(remaining, bool), definite[slots]
        masks = evaluator.evaluate(term)
        is_exact = is_exact and masks.is_exact
        candidates = candidates & masks.candidates
        definite = candidates if is_exact else definite & masks.definite
    if slots is None:
        return Masks(candidates, definite)
    candidate_mask = view.mask_from_slots(slots[candidates])
    return Masks(candidate_mask, candidate_mask if is_exact else view.mask_from_slots(slots[definite]))


def _estimate_cost(node: Node) -> int:
    """Return the relative cost of evaluating a node."""
    match node:
        case Term("", _, _):
            return 9
        case Term(name, _, _):
            attribute = FIELDS[name].attribute
            if attribute in WORD_COLUMNS:
                return 0
            if attribute in _RANGE_COLUMNS:
                return 1
            return 2 if attribute in INTEGER_COLUMNS else 8
        case Not(term):
            return 3 + _estimate_cost(term)
        case And(terms) | Or(terms):
            return 4 + max(map(_estimate_cost, terms), default=0)


def is_decided_by_columns(node: Node) -> bool:
    """Return whether the columns alone decide the node, in every segment."""
    match node:
        case And(terms) | Or(terms):
            return all(map(is_decided_by_columns, terms))
        case Not(term):
            return is_decided_by_columns(term)
        case Term("", _, _):
            return False
        case Term(name, operator, _):
            attribute = FIELDS[name].attribute
            return (
                operator in ("present", "slow")
                or name == "failure"
                or attribute in WORD_COLUMNS
                or attribute in _RANGE_COLUMNS
            )


def iter_undecided_terms(node: Node) -> Iterator[Term]:
    """Yield the terms that the columns alone do not decide."""
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
    """Evaluates nodes on some slots of a segment."""

    def __init__(self, view: SegmentView, slots: SlotIndex) -> None:
        self._view = view
        self._slots = slots
        self._max_compared = view.ctx.limits.compared_values

    def column(self, name: str) -> Any:
        return self._view.columns[name][self._slots]

    def evaluate(self, node: Node) -> Masks:
        match node:
            case And(terms):
                return self._intersect([self.evaluate(term) for term in terms])
            case Or(terms) if len(terms) > self._max_compared and all(map(_is_failure_id_term, terms)):
                return _exact_masks(self._match_failure_ids(terms))
            case Or(terms):
                return self._unite([self.evaluate(term) for term in terms])
            case Not(term):
                masks = self.evaluate(term)
                return _exact_masks(~masks.candidates) if masks.is_exact else Masks(~masks.definite, ~masks.candidates)
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
        # pairwise: numpy's own reduction would first copy all of the masks
        candidates = reduce(join, (part.candidates for part in parts))
        if all(part.is_exact for part in parts):
            return _exact_masks(candidates)
        return Masks(candidates, reduce(join, (part.definite for part in parts)))

    def _evaluate_term(self, term: Term) -> Masks:
        cached = None if is_decided_by_columns(term) else get_cached_term(self._view, term)
        if cached is None:
            masks = self._evaluate_from_columns(term)
            if masks.is_exact and self._is_worth_caching(term):
                store_term(self._view, term, masks.definite)
            return masks
        if cached.verified is None:
            return _exact_masks(cached.matches[self._slots])
        masks = self._evaluate_from_columns(term)
        if masks.is_exact:
            return masks
        verified, matches = cached.verified[self._slots], cached.matches[self._slots]
        return Masks((masks.candidates & ~verified) | matches, masks.definite | matches)

    def _is_worth_caching(self, term: Term) -> bool:
        """Return whether this is a text term that templates have decided for all rows of a large segment."""
        is_text = term.operator == "contains" and (not term.field or FIELDS[term.field].attribute in TEMPLATE_COLUMNS)
        is_complete = isinstance(self._slots, slice) and self._slots == slice(0, self._view.count)
        return is_text and is_complete and self._view.count > self._view.ctx.limits.uncached_rows

    def _evaluate_from_columns(self, term: Term) -> Masks:
        """Evaluate a term from the columns and the text index."""
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

    # --- dictionary-encoded fields

    def _match_words(self, field: Field, term: Term) -> Any:
        word_ids, max_id = self._matching_word_ids(field, term)
        column = self.column(field.attribute)
        if len(word_ids) <= self._max_compared:
            return reduce(np.logical_or, (column == word_id for word_id in word_ids)) if word_ids else self._fill(False)
        table = np.zeros(max(max_id, int(column.max(initial=0))) + 1, bool)
        table[word_ids] = True
        return table[column]

    def _matching_word_ids(self, field: Field, term: Term) -> tuple[list[int], int]:
        """Return the ids of the words that match the term, and the greatest word id of the segment."""
        dictionary = self._view.dictionary
        cache = self._view.ctx.resources.result_cache
        cache_key = (self._view.segment.number, dictionary.last_id, field.name, term)
        cached: list[int] | None = cache.get(cache_key)
        if cached is None:
            matches = self._view.ctx.word_matches.setdefault(term, _WordMatchCache(term))
            words = list(dictionary.words(WORD_KINDS[field.attribute]))
            cached = [word_id for word_id, word in self._view.ctx.deadline.check_during(words) if matches[word]]
            cache.put(cache_key, cached, 8 * len(cached))
        return cached, dictionary.last_id

    def _match_free_text(self, term: Term) -> Masks:
        value = str(term.value).casefold()
        in_words = reduce(np.logical_or, (self._match_words(field, term) for field in _FREE_TEXT_FIELDS))
        texts = self._match_templates(value, TEMPLATE_COLUMNS, extract_search_strings(term))
        definite = in_words | self._match_uuid_parts((value,)) | texts.definite
        if texts.is_exact and not self._view.segment.has_non_uuid_ids:
            return _exact_masks(definite)
        candidates = definite | texts.candidates
        if self._view.segment.has_non_uuid_ids:
            candidates |= self._non_uuid_mask()
        return Masks(candidates, definite)

    # --- numbers and times

    def _match_slow(self) -> Any:
        slow = self._view.ctx.slow_thresholds
        limits = np.full(self._view.dictionary.last_id + 1, np.inf)
        for word_id, name in self._view.ctx.deadline.check_during(self._view.dictionary.words("name")):
            limits[word_id] = slow.get(name, np.inf)
        limits[0] = np.inf
        with np.errstate(invalid="ignore"):
            return self.column("runtime") > limits[self.column("name")]

    def _match_integer(self, name: str, term: Term) -> Masks:
        column = self.column(name)
        bounds = np.iinfo(INTEGER_COLUMNS[name])
        has_value = column != bounds.min
        if name == "attempts" and term.operator == "present":
            return _exact_masks(self._fill(True))
        if term.operator == "present":
            return _exact_masks(has_value)
        is_clipped = (column == bounds.max) | (column == bounds.min + 1)
        mask = has_value & _in_range(column.astype(np.float64), term)
        if not is_clipped.any():
            return _exact_masks(mask)
        return Masks(mask | is_clipped, mask & ~is_clipped)

    def _match_end_time(self, name: str, term: Term) -> Masks:
        """Evaluate a term on the time of a final state.

        The column `ended` has it if that is the present state of the task; otherwise only the row has it.
        """
        has_value = self._has_value(name)
        if term.operator == "present":
            return _exact_masks(has_value)
        is_present_state = self.column("state") == _END_STATE_IDS[name]
        definite = is_present_state & _in_range(self.column("ended"), term)
        undecided = has_value & ~is_present_state
        return Masks(definite | undecided, definite) if undecided.any() else _exact_masks(definite)

    def _match_failure(self, term: Term) -> Any:
        column = self.column("failure")
        if term.operator == "present":
            return column != 0
        if term.operator == "equals" and FAILURE_ID_PATTERN.fullmatch(str(term.value)):
            number = np.uint64(int(str(term.value), 16))
            return (column == number) & (number != 0)
        ids = np.unique(column[column != 0])
        matches = _WordMatchCache(term)
        matching = [number for number in ids.tolist() if matches[f"{number:016x}"]]
        return np.isin(column, np.array(matching, np.uint64))

    def _match_failure_ids(self, terms: Sequence[Node]) -> Any:
        """Return a mask of the rows in any of these groups. Pages filter by hundreds of groups at once."""
        wanted = np.array([int(str(term.value), 16) for term in terms if isinstance(term, Term)], np.uint64)
        column = self.column("failure")
        failed = np.flatnonzero(column)
        matches = self._fill(False)
        matches[failed[np.isin(column[failed], wanted)]] = True
        return matches

    # --- fields that only the rows have in full

    def _has_value(self, name: str) -> Any:
        return (self.column("has") & HAS_BITS[name]) != 0

    def _match_text(self, term: Term, column: str) -> Masks:
        has_value = self._has_value(column) if column in HAS_BITS else self._fill(True)
        if term.operator == "present":
            return _exact_masks(has_value)
        search_strings = extract_search_strings(term)
        if term.operator == "contains" and column in TEMPLATE_COLUMNS:
            masks = self._match_templates(str(term.value), (column,), search_strings)
            definite = has_value & masks.definite
            return _exact_masks(definite) if masks.is_exact else Masks(has_value & masks.candidates, definite)
        if search_strings is None:
            return Masks(has_value, self._fill(False))
        return Masks(has_value & self._text_candidates(search_strings), self._fill(False))

    def _match_id(self, term: Term, column: str) -> Masks:
        has_value = self._fill(True) if column == "uuid" else self._has_value(column)
        if term.operator == "present":
            return _exact_masks(has_value)
        value = term.value
        if isinstance(value, str) and term.operator in ("is", "equals", "contains"):
            folded = value if term.operator == "equals" else value.casefold()
            if isinstance(pack_id(folded), bytes) and not self._view.segment.has_non_uuid_ids:
                return self._match_uuid(column, folded)
        if column == "uuid" and isinstance(value, str) and term.operator in ("contains", "like"):
            parts = (value,) if term.operator == "contains" else split_wildcards(value)
            candidates = self._match_uuid_parts([part.casefold() for part in parts])
            if term.operator == "contains" and not self._view.segment.has_non_uuid_ids:
                return _exact_masks(candidates)
            return Masks(candidates | self._non_uuid_mask(), self._fill(False))
        return Masks(has_value, self._fill(False))

    def _match_uuid_parts(self, parts: Sequence[str]) -> Any:
        """Return a mask of the canonical ids that contain all of these casefolded texts."""
        high, low = self.column("uuid_high"), self.column("uuid_low")
        matches = reduce(np.logical_and, (match_uuid_part(high, low, part) for part in parts))
        return matches & ~self._non_uuid_mask() if self._view.segment.has_non_uuid_ids else matches

    def _non_uuid_mask(self) -> Any:
        """Return a mask of the ids that may not be canonical UUIDs."""
        return (self.column("uuid_high") == 0) & (self.column("uuid_low") == 0)

    def _match_uuid(self, column: str, uuid: str) -> Masks:
        """Evaluate equality with a canonical id."""
        packed = pack_id(uuid)
        if column == "uuid":
            rows = self._view.read_rows("SELECT id FROM task WHERE uuid = ?", (packed,))
            slots = np.fromiter((row[0] for row in rows), np.int64, len(rows)) - self._view.segment.first
            return _exact_masks(self._mask_from_slots(slots))
        candidates = self.column("root" if column == "root_id" else "parent") == hash_id(packed)
        if column == "root_id":
            # the task that is the root of a workflow has its own id as root, which is not in the column
            candidates |= self._match_uuid("uuid", uuid).candidates & self._has_value("root_id")
        return Masks(candidates, self._fill(False))

    def _match_templates(self, value: str, columns: tuple[str, ...], search_strings: SearchStrings | None) -> Masks:
        """Return which rows contain a text in one of the columns. The text index is queried first for rare texts, and
        for others if templates leave many rows undecided."""
        rare = None if search_strings is None else self._view.rare_text_mask(search_strings)
        if rare is not None:
            return Masks(rare[self._slots], self._fill(False))
        matches = match_templates(self._view, value, columns)
        if matches is None:
            return Masks(self._text_candidates(search_strings), self._fill(False))
        definite, undecided = matches.definite[self._slots], matches.undecided[self._slots]
        count = int(np.count_nonzero(undecided))
        if count == 0:
            return _exact_masks(definite)
        if count > self._view.ctx.limits.unindexed_rows:
            undecided = undecided & self._text_candidates(search_strings)
        return Masks(definite | undecided, definite)

    def _text_candidates(self, search_strings: SearchStrings | None) -> Any:
        if search_strings is None:
            return self._fill(True)
        return self._view.text_mask(search_strings)[self._slots]

    def _mask_from_slots(self, slots: Any) -> Any:
        return self._view.mask_from_slots(slots)[self._slots]


class _WordMatchCache(dict[str, bool]):
    """Whether a word matches a term, by the same comparison as `search.matcher`, cached for each word."""

    def __init__(self, term: Term) -> None:
        super().__init__()
        self._always = term.operator == "present"
        self._matches = compile_predicate(Term("name", term.operator, term.value))

    def __missing__(self, word: str) -> bool:
        is_match = self[word] = self._always or self._matches({"name": word})
        return is_match


def _in_range(column: Any, term: Term) -> Any:
    if term.operator == "present":
        return ~np.isnan(column)
    low, high = (None if bound is None else float(bound) for bound in cast(RangeBounds, term.value))
    if (low is not None and math.isnan(low)) or (high is not None and math.isnan(high)):
        return np.zeros(len(column), bool)
    if low is None and high is None:
        return ~np.isnan(column)
    # a comparison with NaN, a missing value, is false
    mask = None if low is None else column >= low
    if high is not None:
        below = column <= high
        mask = below if mask is None else mask & below
    return mask
