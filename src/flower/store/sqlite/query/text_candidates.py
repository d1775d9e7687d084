"""Candidates of a term from the text index, for each segment.

The index lags behind the rows. So the columns, which record for each row whether its text is indexed, are read first,
then the index is queried. Rows that were not indexed when the columns were read are candidates too.
"""

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from flower.search.fields import FIELDS
from flower.search.tree import PathCondition, Term
from flower.search.wildcards import split_pattern
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.query.limits import QueryLimits
from flower.store.sqlite.text import MIN_SEARCH_LENGTH, IndexSnapshot, TextIndexError, TextReader

#: fields whose text is indexed
INDEXED_FIELDS: Final = frozenset({"args", "kwargs", "result", "exception", "traceback"})
#: If more than one in this many rows of a segment is a candidate, the candidates are not listed.
_SEGMENT_DIVISOR: Final = 4
#: number of block numbers, which have 16 bits
_BLOCK_NUMBERS: Final = 65_536


@dataclass(frozen=True, slots=True)
class SearchStrings:
    """Texts that the indexed text of every matching row contains.

    `unescaped_only`: rows whose arguments have a backslash may match without them, because an escape may spell the text
    differently.
    """

    texts: tuple[str, ...]
    unescaped_only: bool = False


def extract_search_strings(term: Term) -> SearchStrings | None:
    """Return the texts to search; None if the index cannot help."""
    match term.operator, term.value:
        case (("contains" | "is" | "equals"), str(value)) if term.field in INDEXED_FIELDS or not term.field:
            return _build_search_strings((value,))
        case "pair", (str(key), str(value)):
            return _build_search_strings((key, value), unescaped_only=True)
        case "path", PathCondition() as path if term.field in INDEXED_FIELDS and FIELDS[term.field].kind == "text":
            keys = tuple(key for key in path.keys if not key.lstrip("-").isdigit())
            values: tuple[str, ...] = ()
            if isinstance(path.value, str) and path.operator in ("is", "like"):
                values = (path.value,) if path.operator == "is" else split_wildcards(path.value)
            return _build_search_strings((*keys, *values), unescaped_only=True)
    return None


def split_wildcards(pattern: str) -> tuple[str, ...]:
    """Return the texts between the wildcards of a pattern."""
    parts = [""]
    for character, is_wildcard in split_pattern(pattern):
        if is_wildcard:
            parts.append("")
        else:
            parts[-1] += character
    return tuple(parts)


def _build_search_strings(texts: tuple[str, ...], *, unescaped_only: bool = False) -> SearchStrings | None:
    searchable = tuple(sorted({text.casefold() for text in texts if len(text.casefold()) >= MIN_SEARCH_LENGTH}))
    if not searchable or not all(map(_is_encodable, searchable)):
        return None
    return SearchStrings(searchable, unescaped_only)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Postings:
    """`keys` has every candidate from `lowest` on, as of `read_at`."""

    keys: Any
    lowest: int
    read_at: int


class TextCandidates:
    """Queries the text index for one search. Without an index every row is a candidate."""

    def __init__(self, reader: TextReader, limits: QueryLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._postings: dict[SearchStrings, _Postings | None] = {}
        self._snapshot: IndexSnapshot | None = None
        #: Until this is set, the index is not queried for broad texts: to fill one page, reading the newest rows is
        #: faster. It is set when that finds few rows, or when all matches are needed.
        self.always_use_index = False
        self._broad: dict[SearchStrings, bool] = {}

    def find_slots(self, search_strings: SearchStrings, columns: Columns, count: int) -> Any | None:
        """Return the candidate slots below `count`, ascending; None if there are too many to list."""
        if not self.always_use_index and self._is_broad(search_strings):
            return None
        postings = self._read_postings(search_strings, columns)
        if postings is None:
            return None
        keys = postings.keys
        if postings.lowest > columns.first:
            keys = self._query_segment(search_strings, columns.first, count)
        if keys is None:
            return None
        start, end = np.searchsorted(keys, [columns.first, columns.first + count])
        return keys[start:end] - columns.first

    def is_rare(self, search_strings: SearchStrings, columns: Columns) -> bool:
        """Return whether the index lists all candidates and these are few: reading them takes less time than comparing
        the texts with the templates of each segment."""
        if self._is_broad(search_strings):
            return False
        postings = self._read_postings(search_strings, columns)
        return postings is not None and postings.lowest == 0 and len(postings.keys) <= self._limits.rare_candidates

    def _read_postings(self, search_strings: SearchStrings, columns: Columns) -> _Postings | None:
        """Return the candidates of the index, read after the columns; None if it cannot be used."""
        postings = self._postings.get(search_strings)
        if search_strings not in self._postings or (postings is not None and columns.indexed_at > postings.read_at):
            postings = self._postings[search_strings] = self._query_index(search_strings)
        return postings

    def _query_index(self, search_strings: SearchStrings) -> _Postings | None:
        read_at = time.monotonic_ns()
        self._snapshot = self._reader.refresh()
        try:
            limit = self._limits.index_candidates
            result = self._snapshot.find_candidates(search_strings.texts, limit=limit, total=False)
        except TextIndexError:
            self._snapshot = None
            return None
        return _Postings(result.keys, result.lowest, read_at)

    def _is_broad(self, search_strings: SearchStrings) -> bool:
        """Return whether many rows may contain the texts, estimated from the frequency of their rarest trigram."""
        is_broad = self._broad.get(search_strings)
        if is_broad is None:
            snapshot = self._reader.refresh()
            try:
                candidates = snapshot.max_candidates(search_strings.texts)
                is_broad = candidates * self._limits.broad_ratio > snapshot.document_count > 0
            except TextIndexError:
                is_broad = False
            self._broad[search_strings] = is_broad
        return is_broad

    def _query_segment(self, search_strings: SearchStrings, first: int, count: int) -> Any | None:
        max_keys = max(count // _SEGMENT_DIVISOR, 1)
        try:
            assert self._snapshot is not None
            result = self._snapshot.find_candidates(
                search_strings.texts, limit=max_keys, below=first + count, at_least=first, total=False
            )
        except TextIndexError:
            self._snapshot = None
            return None
        return result.keys if result.lowest <= first else None

    @property
    def index_state(self) -> Hashable:
        """What `unindexed_mask` depends on, in addition to the columns."""
        return None if self._snapshot is None else (self._snapshot.generation, self._snapshot.blocks)

    def unindexed_mask(self, columns: Columns, count: int) -> Any:
        """Return a mask of the rows whose text was not indexed. Called after `find_slots`."""
        snapshot = self._snapshot
        if snapshot is None or columns.generation != snapshot.generation:
            return np.ones(count, bool)
        readable = np.zeros(_BLOCK_NUMBERS, bool)
        readable[sorted(snapshot.blocks)] = True
        is_indexed = readable[columns["text_block"][:count]]
        is_indexed &= columns["text_version"][:count] == columns["version"][:count]
        return ~is_indexed
