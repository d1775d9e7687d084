"""What a term asks of the text index, and what that answers for a segment.

The index is behind the rows. So the columns are looked at first, which say of each row whether the index has
its text; then the index is asked; a row that it had not seen at the time of the look is a candidate anyway."""

import re
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from flower.search.fields import FIELDS
from flower.search.tree import PathCondition, Term
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.text import MIN_SEARCH_LENGTH, IndexSnapshot, TextIndexError, TextReader

#: Fields whose text is in the index.
INDEXED_FIELDS: Final = frozenset({"args", "kwargs", "result", "exception", "traceback"})
#: Candidates of all segments asked for at first; most searches find less.
_MAX_FIRST_CANDIDATES: Final = 4_000
#: If a segment has more than this part of its rows as candidates, rows are read in the order wanted instead.
_SEGMENT_DIVISOR: Final = 4
#: One row of so many.
_BROAD_RATIO: Final = 16
#: Numbers that a block may have.
_BLOCK_NUMBERS: Final = 65_536
_WILDCARD: Final = re.compile(r"\\.|[*?]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SearchStrings:
    """Texts that all occur in what the index holds of a row, if the term holds for it. `spelled`: only if the row's
    arguments say what they spell, without a backslash."""

    texts: tuple[str, ...]
    unescaped_only: bool = False


def extract_search_strings(term: Term) -> SearchStrings | None:
    """None if the index cannot help."""
    match term.operator, term.value:
        case (("contains" | "is" | "equals"), str(value)) if term.field in INDEXED_FIELDS or not term.field:
            return _build_search_strings((value,))
        case "pair", (str(key), str(value)):
            return _build_search_strings((key, value), spelled=True)
        case "path", PathCondition() as path if term.field in INDEXED_FIELDS and FIELDS[term.field].kind == "text":
            keys = tuple(key for key in path.keys if not key.lstrip("-").isdigit())
            values: tuple[str, ...] = ()
            if isinstance(path.value, str) and path.operator in ("is", "like"):
                values = (path.value,) if path.operator == "is" else split_wildcards(path.value)
            return _build_search_strings((*keys, *values), spelled=True)
    return None


def split_wildcards(pattern: str) -> tuple[str, ...]:
    """What stands between the wildcards of a pattern."""
    found: list[str] = [""]
    last = 0
    for wild in _WILDCARD.finditer(pattern):
        found[-1] += pattern[last : wild.start()]
        if wild[0] in ("*", "?"):
            found.append("")
        else:
            found[-1] += wild[0][1:]
        last = wild.end()
    found[-1] += pattern[last:]
    return tuple(found)


def _build_search_strings(texts: tuple[str, ...], *, spelled: bool = False) -> SearchStrings | None:
    long = tuple(sorted({text.casefold() for text in texts if len(text.casefold()) >= MIN_SEARCH_LENGTH}))
    if not long or not all(map(_is_encodable, long)):
        return None
    return SearchStrings(long, spelled)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Postings:
    """`keys` holds every candidate from `lowest` on, as of when it was asked."""

    keys: Any
    lowest: int
    read_at: int


class TextCandidates:
    """One query's questions to the index. Without an index every row may be a candidate."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._postings: dict[SearchStrings, _Postings | None] = {}
        self._snapshot: IndexSnapshot | None = None
        #: What many rows seem to hold is not asked for until this is set: to whom a page of it is enough, going through
        #: the newest rows is faster. Whoever finds little that way, or wants all, sets it.
        self.always_use_index = False
        self._broad: dict[SearchStrings, bool] = {}

    def find_slots(self, needles: SearchStrings, columns: Columns, count: int) -> Any | None:
        """Slots below `count` that the index names, ascending; None if they are too many to be named."""
        if not self.always_use_index and self._is_broad(needles):
            return None
        found = self._postings.get(needles)
        if needles not in self._postings or (found is not None and columns.indexed_at > found.read_at):
            found = self._postings[needles] = self._query_index(needles)
        if found is None:
            return None
        keys = found.keys if found.lowest <= columns.first else self._query_segment(needles, columns.first, count)
        if keys is None:
            return None
        start, end = np.searchsorted(keys, [columns.first, columns.first + count])
        return keys[start:end] - columns.first

    def _query_index(self, needles: SearchStrings) -> _Postings | None:
        at = time.monotonic_ns()
        self._snapshot = self._reader.refresh()
        try:
            answer = self._snapshot.find_candidates(needles.texts, limit=_MAX_FIRST_CANDIDATES, total=False)
        except TextIndexError:
            self._snapshot = None
            return None
        return _Postings(answer.keys, answer.lowest, at)

    def _is_broad(self, needles: SearchStrings) -> bool:
        """Whether so many rows may hold the texts, by how often their rarest part occurs."""
        broad = self._broad.get(needles)
        if broad is None:
            index = self._reader.refresh()
            try:
                broad = index.max_candidates(needles.texts) * _BROAD_RATIO > index.document_count > 0
            except TextIndexError:
                broad = False
            self._broad[needles] = broad
        return broad

    def _query_segment(self, needles: SearchStrings, first: int, count: int) -> Any | None:
        most = max(count // _SEGMENT_DIVISOR, 1)
        try:
            assert self._snapshot is not None
            answer = self._snapshot.find_candidates(
                needles.texts, limit=most, below=first + count, at_least=first, total=False
            )
        except TextIndexError:
            self._snapshot = None
            return None
        return answer.keys if answer.lowest <= first else None

    @property
    def index_state(self) -> Hashable:
        """What `unseen` depends on, beside the columns."""
        return None if self._snapshot is None else (self._snapshot.generation, self._snapshot.blocks)

    def unindexed_mask(self, columns: Columns, count: int) -> Any:
        """Where the index had not seen the row's text. After `candidates`."""
        index = self._snapshot
        if index is None or columns.generation != index.generation:
            return np.ones(count, bool)
        readable = np.zeros(_BLOCK_NUMBERS, bool)
        readable[sorted(index.blocks)] = True
        seen = readable[columns["text_block"][:count]]
        seen &= columns["text_version"][:count] == columns["version"][:count]
        return ~seen
