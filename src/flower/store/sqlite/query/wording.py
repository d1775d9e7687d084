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
from flower.search.tree import Path, Term
from flower.store.sqlite.columns.file import Columns
from flower.store.sqlite.text import SHORTEST, Look, TextReader, TextTrouble

#: Fields whose text is in the index.
INDEXED: Final = frozenset({"args", "kwargs", "result", "exception", "traceback"})
#: Candidates of all segments asked for at first; most searches find less.
_FIRST: Final = 4_000
#: If a segment has more than this part of its rows as candidates, rows are read in the order wanted instead.
_PART: Final = 4
#: One row of so many.
_BROAD: Final = 16
#: Numbers that a block may have.
_BLOCKS: Final = 65_536
_WILD: Final = re.compile(r"\\.|[*?]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Needles:
    """Texts that all occur in what the index holds of a row, if the term holds for it. `spelled`: only if the row's
    arguments say what they spell, without a backslash."""

    texts: tuple[str, ...]
    spelled: bool = False


def needles_of(term: Term) -> Needles | None:
    """None if the index cannot help."""
    match term.operator, term.value:
        case (("contains" | "is" | "equals"), str(value)) if term.field in INDEXED or not term.field:
            return _needles((value,))
        case "pair", (str(key), str(value)):
            return _needles((key, value), spelled=True)
        case "path", Path() as path if term.field in INDEXED and FIELDS[term.field].kind == "text":
            keys = tuple(key for key in path.keys if not key.lstrip("-").isdigit())
            values: tuple[str, ...] = ()
            if isinstance(path.value, str) and path.operator in ("is", "like"):
                values = (path.value,) if path.operator == "is" else pieces(path.value)
            return _needles((*keys, *values), spelled=True)
    return None


def pieces(pattern: str) -> tuple[str, ...]:
    """What stands between the wildcards of a pattern."""
    found: list[str] = [""]
    last = 0
    for wild in _WILD.finditer(pattern):
        found[-1] += pattern[last : wild.start()]
        if wild[0] in ("*", "?"):
            found.append("")
        else:
            found[-1] += wild[0][1:]
        last = wild.end()
    found[-1] += pattern[last:]
    return tuple(found)


def _needles(texts: tuple[str, ...], *, spelled: bool = False) -> Needles | None:
    long = tuple(sorted({text.casefold() for text in texts if len(text.casefold()) >= SHORTEST}))
    if not long or not all(map(_is_text, long)):
        return None
    return Needles(long, spelled)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Found:
    """`keys` holds every candidate from `lowest` on, as of when it was asked."""

    keys: Any
    lowest: int
    at: int


class Wording:
    """One query's questions to the index. Without an index every row may be a candidate."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._found: dict[Needles, _Found | None] = {}
        self._index: Look | None = None
        #: What many rows seem to hold is not asked for until this is set: to whom a page of it is enough, going through
        #: the newest rows is faster. Whoever finds little that way, or wants all, sets it.
        self.certain = False
        self._broad: dict[Needles, bool] = {}

    def candidates(self, needles: Needles, columns: Columns, count: int) -> Any | None:
        """Slots below `count` that the index names, ascending; None if they are too many to be named."""
        if not self.certain and self._is_broad(needles):
            return None
        found = self._found.get(needles)
        if needles not in self._found or (found is not None and columns.indexed_at > found.at):
            found = self._found[needles] = self._ask(needles)
        if found is None:
            return None
        keys = found.keys if found.lowest <= columns.first else self._of_segment(needles, columns.first, count)
        if keys is None:
            return None
        start, end = np.searchsorted(keys, [columns.first, columns.first + count])
        return keys[start:end] - columns.first

    def _ask(self, needles: Needles) -> _Found | None:
        at = time.monotonic_ns()
        self._index = self._reader.refresh()
        try:
            answer = self._index.candidates(needles.texts, limit=_FIRST, total=False)
        except TextTrouble:
            self._index = None
            return None
        return _Found(answer.keys, answer.lowest, at)

    def _is_broad(self, needles: Needles) -> bool:
        """Whether so many rows may hold the texts, by how often their rarest part occurs."""
        broad = self._broad.get(needles)
        if broad is None:
            index = self._reader.refresh()
            try:
                broad = index.at_most(needles.texts) * _BROAD > index.documents > 0
            except TextTrouble:
                broad = False
            self._broad[needles] = broad
        return broad

    def _of_segment(self, needles: Needles, first: int, count: int) -> Any | None:
        most = max(count // _PART, 1)
        try:
            assert self._index is not None
            answer = self._index.candidates(needles.texts, limit=most, below=first + count, at_least=first, total=False)
        except TextTrouble:
            self._index = None
            return None
        return answer.keys if answer.lowest <= first else None

    @property
    def state(self) -> Hashable:
        """What `unseen` depends on, beside the columns."""
        return None if self._index is None else (self._index.generation, self._index.blocks)

    def unseen(self, columns: Columns, count: int) -> Any:
        """Where the index had not seen the row's text. After `candidates`."""
        index = self._index
        if index is None or columns.generation != index.generation:
            return np.ones(count, bool)
        readable = np.zeros(_BLOCKS, bool)
        readable[sorted(index.blocks)] = True
        seen = readable[columns["text_block"][:count]]
        seen &= columns["text_version"][:count] == columns["version"][:count]
        return ~seen
