"""Groups of failures with what people made of them: new, open, returning, resolved or muted.

The rules are one function, `status_of`. Everything else brings together what it needs: when a group was seen first and
last (the store, and the ledger for what retention took away) and the note on it (the ledger).
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, Unpack, get_args

import msgspec

from flower.api.asking import Window
from flower.api.figures import FailureDetail
from flower.api.questions import BUCKETS, failure_group, failure_groups
from flower.errors import Invalid, NotFound
from flower.search.nearest import did_you_mean
from flower.search.tree import Node, Not, Term, any_of
from flower.store.answers import FailureGroup, Seen, Span
from flower.store.ledger import Ledger
from flower.store.ledger.failures import Decision, FailureNote
from flower.store.port import Reader

#: new        first seen within the last hour, and nobody has spoken of it
#: open       known for longer
#: returning  it was resolved, and has failed again since
#: resolved   somebody said that it will not happen again, and it has not
#: muted      nobody wants to hear of it for now
FailureStatus: TypeAlias = Literal["new", "open", "returning", "resolved", "muted"]
STATUSES: Final[tuple[FailureStatus, ...]] = get_args(FailureStatus)

#: Seconds for which a group is new.
NEW_FOR: Final = 3_600.0


class Note(msgspec.Struct, frozen=True):
    """Who said so, when (epoch seconds), and until when it holds; null for ever."""

    by: str
    at: float
    until: float | None
    comment: str


class FailureRow(FailureGroup, frozen=True, kw_only=True):
    """A group of alike failures. `count`, `first`, `last` and `trend` are of the tasks that were asked for;
    `first_seen` and `last_seen` are of all that ever were. `note` is what the status rests on, null if on nothing."""

    status: FailureStatus
    first_seen: float | None
    last_seen: float | None
    note: Note | None


class FailureRows(msgspec.Struct, frozen=True):
    """Groups of alike failures, the largest first. `count` tasks are in all groups, `more` groups were left out; `span`
    tells the stretches of time of each `trend`."""

    groups: tuple[FailureRow, ...]
    count: int
    more: int
    span: Span
    partial: str | None = None


class FailureStanding(msgspec.Struct, frozen=True):
    """One group, whether or not any of its tasks is still on record."""

    id: str
    status: FailureStatus
    first_seen: float | None
    last_seen: float | None
    note: Note | None


def status_of(note: FailureNote | None, first: float | None, last: float | None, now: float) -> FailureStatus:
    """Times are epoch seconds: first and last failure by the workers' clocks, the note's by ours."""
    if note is not None and note.decision == "muted" and (note.until is None or now < note.until):
        return "muted"
    if note is not None and note.decision == "resolved":
        return "returning" if last is not None and last > note.at else "resolved"
    return "new" if first is not None and now - first < NEW_FOR else "open"


@dataclass(frozen=True, slots=True)
class Standings:
    """Of all groups, as of one moment."""

    seen: Mapping[str, Seen]
    firsts: Mapping[str, float]
    notes: Mapping[str, FailureNote]
    now: float

    def first(self, failure: str) -> float | None:
        known = [self.firsts.get(failure), self.seen[failure].first if failure in self.seen else None]
        return min((moment for moment in known if moment is not None), default=None)

    def last(self, failure: str) -> float | None:
        return self.seen[failure].last if failure in self.seen else None

    def status(self, failure: str) -> FailureStatus:
        return status_of(self.notes.get(failure), self.first(failure), self.last(failure), self.now)

    def note(self, failure: str) -> Note | None:
        """Only one that still stands: a mute that is over is none."""
        found = self.notes.get(failure)
        if found is None or (found.decision == "muted" and self.status(failure) != "muted"):
            return None
        return Note(found.by, found.at, found.until, found.comment)

    def row(self, group: FailureGroup) -> FailureRow:
        ident = group.fingerprint.id
        values = {name: getattr(group, name) for name in FailureGroup.__struct_fields__}
        return FailureRow(
            **values,
            status=self.status(ident),
            first_seen=self.first(ident),
            last_seen=self.last(ident),
            note=self.note(ident),
        )

    def standing(self, failure: str) -> FailureStanding:
        return FailureStanding(
            failure, self.status(failure), self.first(failure), self.last(failure), self.note(failure)
        )

    def only(self, wanted: Collection[FailureStatus]) -> Node:
        """The tasks in groups of these statuses, by the shorter of two lists."""
        chosen = [failure for failure in self.seen if self.status(failure) in wanted]
        others = [failure for failure in self.seen if self.status(failure) not in wanted]
        return _in(chosen) if len(chosen) <= len(others) else Not(_in(others))


def standings(
    store: Reader, ledger: Ledger, now: float | None = None, failures: Collection[str] | None = None
) -> Standings:
    """Of these groups, or of all."""
    seen = store.failures_seen(failures)
    notes = ledger.failures.notes()
    return Standings(seen, ledger.failures.firsts({*seen, *notes}), notes, time.time() if now is None else now)


def checked_statuses(words: Iterable[str]) -> tuple[FailureStatus, ...]:
    """Raises Invalid."""
    known: Mapping[str, FailureStatus] = {status: status for status in STATUSES}
    wanted = tuple(dict.fromkeys(words))
    for word in wanted:
        if word not in known:
            raise Invalid(f"There is no status '{word}'", hint=did_you_mean(word, STATUSES))
    return tuple(known[word] for word in wanted)


def failure_rows(
    store: Reader,
    ledger: Ledger,
    query: str | None = None,
    *,
    status: Iterable[str] = (),
    limit: int = 20,
    buckets: int = BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> FailureRows:
    """`questions.failure_groups`, each with how it stands; only those of some statuses, if any are named."""
    wanted = checked_statuses(status)
    only = standings(store, ledger, window.get("now")).only(wanted) if wanted else None
    found = failure_groups(store, query, also=only, limit=limit, buckets=buckets, width=width, **window)
    shown = [group.fingerprint.id for group in found.groups]
    known = standings(store, ledger, window.get("now"), shown)
    rows = tuple(map(known.row, found.groups))
    return FailureRows(rows, found.count, found.more, found.span, found.partial)


def failure_row(
    store: Reader,
    ledger: Ledger,
    failure: str,
    query: str | None = None,
    *,
    limit: int = 20,
    buckets: int = BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> tuple[FailureRow, FailureDetail]:
    """`questions.failure_group`, and its group with how it stands. Raises NotFound."""
    found = failure_group(store, failure, query, limit=limit, buckets=buckets, width=width, **window)
    return standings(store, ledger, window.get("now"), [failure]).row(found.group), found


def decide(
    store: Reader,
    ledger: Ledger,
    failure: str,
    decision: Decision,
    *,
    by: str,
    until: float | None = None,
    comment: str = "",
) -> FailureStanding:
    """Note that a group is resolved or muted. Raises NotFound for one that nobody has seen."""
    now = time.time()
    _known(store, ledger, failure)
    note = FailureNote(failure=failure, decision=decision, by=by, at=now, until=until, comment=comment)
    ledger.failures.put(note)
    return standings(store, ledger, failures=[failure]).standing(failure)


def reopen(store: Reader, ledger: Ledger, failure: str) -> FailureStanding:
    """Forget what was said of a group. Raises NotFound for one that nobody has seen."""
    _known(store, ledger, failure)
    ledger.failures.drop(failure)
    return standings(store, ledger, failures=[failure]).standing(failure)


def remember_firsts(store: Reader, ledger: Ledger) -> None:
    """Note when groups were first seen, so that those that come back after all their tasks went are not new."""
    known = ledger.failures.firsts()
    found = {failure: seen.first for failure, seen in store.failures_seen().items()}
    ledger.failures.remember(
        {
            failure: first
            for failure, first in found.items()
            if first is not None and first < known.get(failure, float("inf"))
        }
    )


def _known(store: Reader, ledger: Ledger, failure: str) -> None:
    known = standings(store, ledger, failures=[failure])
    if failure not in known.seen and failure not in known.notes and not ledger.failures.firsts([failure]):
        raise NotFound(f"There is no failure '{failure}'", hint="no task on record is in it")


def _in(failures: Iterable[str]) -> Node:
    return any_of(Term("failure", "equals", failure) for failure in failures)
