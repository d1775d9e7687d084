"""Groups of failures with what people made of them: new, open, returning, resolved or muted.

The rules are one function, `status_of`. Everything else brings together what it needs: when a group was seen first and
last (the store, and the ledger for what retention took away) and the note on it (the ledger).
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, Unpack, get_args

import msgspec

from flower.api.queries import DEFAULT_BUCKETS, failure_group, failure_groups
from flower.api.query_params import Window
from flower.api.statistics import FailureDetail
from flower.errors import InvalidRequest, NotFound
from flower.search.did_you_mean import did_you_mean
from flower.search.tree import Node, Not, Term, any_of
from flower.store.ledger import Ledger
from flower.store.ledger.failure_notes import Decision, FailureNote
from flower.store.protocols import Reader
from flower.store.query_results import BucketSpan, FailureGroup, SeenRange

#: new        first seen within the last hour, and nobody has spoken of it
#: open       known for longer
#: returning  it was resolved, and has failed again since
#: resolved   somebody said that it will not happen again, and it has not
#: muted      nobody wants to hear of it for now
FailureStatus: TypeAlias = Literal["new", "open", "returning", "resolved", "muted"]
FAILURE_STATUSES: Final[tuple[FailureStatus, ...]] = get_args(FailureStatus)

#: Seconds for which a group is new.
NEW_GROUP_SECONDS: Final = 3_600.0


class TriageNote(msgspec.Struct, frozen=True):
    """Who said so, when (epoch seconds), and until when it holds; null for ever."""

    created_by: str
    created_at: float
    expires_at: float | None
    comment: str


class FailureRow(FailureGroup, frozen=True, kw_only=True):
    """A group of alike failures. `count`, `first`, `last` and `trend` are of the tasks that were asked for;
    `first_seen` and `last_seen` are of all that ever were. `note` is what the status rests on, null if on nothing."""

    status: FailureStatus
    first_seen_at: float | None
    last_seen_at: float | None
    note: TriageNote | None


class FailureList(msgspec.Struct, frozen=True):
    """Groups of alike failures, the largest first. `count` tasks are in all groups, `more` groups were left out; `span`
    tells the stretches of time of each `trend`."""

    failures: tuple[FailureRow, ...]
    count: int
    more: int
    span: BucketSpan
    partial: str | None = None


class FailureState(msgspec.Struct, frozen=True):
    """One group, whether or not any of its tasks is still on record."""

    id: str
    status: FailureStatus
    first_seen_at: float | None
    last_seen_at: float | None
    note: TriageNote | None


def evaluate_status(note: FailureNote | None, first: float | None, last: float | None, now: float) -> FailureStatus:
    """Times are epoch seconds: first and last failure by the workers' clocks, the note's by ours."""
    if note is not None and note.decision == "muted" and (note.expires_at is None or now < note.expires_at):
        return "muted"
    if note is not None and note.decision == "resolved":
        return "returning" if last is not None and last > note.created_at else "resolved"
    return "new" if first is not None and now - first < NEW_GROUP_SECONDS else "open"


@dataclass(frozen=True, slots=True)
class FailureStatuses:
    """Of all groups, as of one moment."""

    seen: Mapping[str, SeenRange]
    recorded_first_seen: Mapping[str, float]
    notes: Mapping[str, FailureNote]
    now: float

    def get_first_seen(self, failure: str) -> float | None:
        known = [self.recorded_first_seen.get(failure), self.seen[failure].first if failure in self.seen else None]
        return min((moment for moment in known if moment is not None), default=None)

    def get_last_seen(self, failure: str) -> float | None:
        return self.seen[failure].last if failure in self.seen else None

    def get_status(self, failure: str) -> FailureStatus:
        return evaluate_status(
            self.notes.get(failure), self.get_first_seen(failure), self.get_last_seen(failure), self.now
        )

    def get_note(self, failure: str) -> TriageNote | None:
        """Only one that still stands: a mute that is over is none."""
        found = self.notes.get(failure)
        if found is None or (found.decision == "muted" and self.get_status(failure) != "muted"):
            return None
        return TriageNote(found.created_by, found.created_at, found.expires_at, found.comment)

    def to_row(self, group: FailureGroup) -> FailureRow:
        ident = group.fingerprint.id
        values = {name: getattr(group, name) for name in FailureGroup.__struct_fields__}
        return FailureRow(
            **values,
            status=self.get_status(ident),
            first_seen_at=self.get_first_seen(ident),
            last_seen_at=self.get_last_seen(ident),
            note=self.get_note(ident),
        )

    def to_state(self, failure: str) -> FailureState:
        return FailureState(
            failure,
            self.get_status(failure),
            self.get_first_seen(failure),
            self.get_last_seen(failure),
            self.get_note(failure),
        )

    def build_status_filter(self, wanted: Collection[FailureStatus]) -> Node:
        """The tasks in groups of these statuses, by the shorter of two lists."""
        chosen = [failure for failure in self.seen if self.get_status(failure) in wanted]
        others = [failure for failure in self.seen if self.get_status(failure) not in wanted]
        return _in_groups(chosen) if len(chosen) <= len(others) else Not(_in_groups(others))


def load_failure_statuses(
    store: Reader, ledger: Ledger, now: float | None = None, failures: Collection[str] | None = None
) -> FailureStatuses:
    """Of these groups, or of all."""
    seen = store.failures_seen(failures)
    notes = ledger.failure_notes.notes()
    return FailureStatuses(
        seen, ledger.failure_notes.first_seen({*seen, *notes}), notes, time.time() if now is None else now
    )


def parse_statuses(words: Iterable[str]) -> tuple[FailureStatus, ...]:
    """Raises Invalid."""
    known: Mapping[str, FailureStatus] = {status: status for status in FAILURE_STATUSES}
    wanted = tuple(dict.fromkeys(words))
    for word in wanted:
        if word not in known:
            raise InvalidRequest(f"There is no status '{word}'", hint=did_you_mean(word, FAILURE_STATUSES))
    return tuple(known[word] for word in wanted)


def load_failures(
    store: Reader,
    ledger: Ledger,
    query: str | None = None,
    *,
    status: Iterable[str] = (),
    limit: int = 20,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> FailureList:
    """`questions.failure_groups`, each with how it stands; only those of some statuses, if any are named."""
    wanted = parse_statuses(status)
    only = load_failure_statuses(store, ledger, window.get("now")).build_status_filter(wanted) if wanted else None
    found = failure_groups(store, query, extra_filter=only, limit=limit, buckets=buckets, width=width, **window)
    shown = [group.fingerprint.id for group in found.groups]
    known = load_failure_statuses(store, ledger, window.get("now"), shown)
    rows = tuple(map(known.to_row, found.groups))
    return FailureList(rows, found.count, found.more, found.span, found.partial)


def load_failure(
    store: Reader,
    ledger: Ledger,
    failure: str,
    query: str | None = None,
    *,
    limit: int = 20,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> tuple[FailureRow, FailureDetail]:
    """`questions.failure_group`, and its group with how it stands. Raises NotFound."""
    found = failure_group(store, failure, query, limit=limit, buckets=buckets, width=width, **window)
    return load_failure_statuses(store, ledger, window.get("now"), [failure]).to_row(found.group), found


def set_failure_status(
    store: Reader,
    ledger: Ledger,
    failure: str,
    decision: Decision,
    *,
    by: str,
    expires_at: float | None = None,
    comment: str = "",
) -> FailureState:
    """Note that a group is resolved or muted. Raises NotFound for one that nobody has seen."""
    now = time.time()
    _require_known(store, ledger, failure)
    note = FailureNote(
        failure=failure, decision=decision, created_by=by, created_at=now, expires_at=expires_at, comment=comment
    )
    ledger.failure_notes.put(note)
    return load_failure_statuses(store, ledger, failures=[failure]).to_state(failure)


def reopen_failure_group(store: Reader, ledger: Ledger, failure: str) -> FailureState:
    """Forget what was said of a group. Raises NotFound for one that nobody has seen."""
    _require_known(store, ledger, failure)
    ledger.failure_notes.delete(failure)
    return load_failure_statuses(store, ledger, failures=[failure]).to_state(failure)


def record_first_seen(store: Reader, ledger: Ledger) -> None:
    """Note when groups were first seen, so that those that come back after all their tasks went are not new."""
    known = ledger.failure_notes.first_seen()
    found = {failure: seen.first for failure, seen in store.failures_seen().items()}
    ledger.failure_notes.record_first_seen(
        {
            failure: first
            for failure, first in found.items()
            if first is not None and first < known.get(failure, float("inf"))
        }
    )


def _require_known(store: Reader, ledger: Ledger, failure: str) -> None:
    known = load_failure_statuses(store, ledger, failures=[failure])
    if failure not in known.seen and failure not in known.notes and not ledger.failure_notes.first_seen([failure]):
        raise NotFound(f"There is no failure '{failure}'", hint="no task on record is in it")


def _in_groups(failures: Iterable[str]) -> Node:
    return any_of(Term("failure", "equals", failure) for failure in failures)
