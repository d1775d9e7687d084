"""What reading the rows has told about a term that the columns cannot decide: which rows hold it.

It is remembered by term, so that another query with the same word reads nothing again; and, where a segment is
still written to, with the version of each row, so that only what has changed since is read."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from flower.search.tree import Term
from flower.store.sqlite.query.question import Look


class Reading(NamedTuple):
    """Masks over the slots of a look. `known`: rows of which it is known; None if that is all of them."""

    known: Any | None
    holds: Any


@dataclass(frozen=True, slots=True)
class _Remembered:
    made: int
    sequence: int
    count: int
    #: None where the segment is full and hardly changes: then all is read again when it does
    versions: Any | None
    bits: Any

    @property
    def nbytes(self) -> int:
        return int(self.bits.nbytes) + (0 if self.versions is None else int(self.versions.nbytes))


def _question(look: Look, term: Term) -> tuple[Any, ...]:
    return ("holds", look.entry.number, term)


def reading(look: Look, term: Term) -> Reading | None:
    """What is known of the term. None: nothing."""
    if term not in look.readings:
        found = look.question.means.memory.get(_question(look, term))
        look.readings[term] = None if found is None else _as_seen(look, found)
    known: Reading | None = look.readings[term]
    return known


def _as_seen(look: Look, kept: _Remembered) -> Reading | None:
    columns = look.columns
    if kept.made != columns.made:
        return None  # these columns were made anew, and their versions began again
    if kept.sequence == columns.sequence and kept.count == look.count:
        return Reading(None, np.unpackbits(kept.bits, count=kept.count).view(bool))
    if kept.versions is None:
        return None
    both = min(kept.count, look.count)
    known, holds = np.zeros(look.count, bool), np.zeros(look.count, bool)
    known[:both] = kept.versions[:both] == look.column("version")[:both]
    holds[:both] = np.unpackbits(kept.bits, count=kept.count)[:both].view(bool) & known[:both]
    return Reading(known, holds)


def remember(look: Look, term: Term, holds: Any) -> None:
    """Every row was read, or need not be."""
    columns = look.columns
    full = columns.order("received") is not None
    versions = None if full else look.column("version").copy()
    kept = _Remembered(columns.made, columns.sequence, look.count, versions, np.packbits(holds))
    look.question.means.memory.put(_question(look, term), kept, kept.nbytes)
    look.readings[term] = Reading(None, holds)
