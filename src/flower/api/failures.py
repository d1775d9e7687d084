"""Triage of failure groups: new, open, regressed, resolved or muted.

`evaluate_status` is the rule. The other functions read its input: first and last failure of a group (from the store,
and from the ledger for tasks removed by retention) and the decision about it (from the ledger).
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, Unpack, get_args

import msgspec

from flower.api.queries import DEFAULT_BUCKETS, FailureDetail, FailureGroupList, failure_group, failure_groups
from flower.api.query_params import Window
from flower.errors import InvalidRequest, NotFound
from flower.fingerprint import compute_fingerprint, message_id
from flower.search.did_you_mean import did_you_mean
from flower.search.tree import Node, Not, Term, any_of
from flower.store.ledger import Ledger
from flower.store.ledger.failure_notes import Decision, FailureNote
from flower.store.protocols import Query, Reader
from flower.store.query_results import FailureGroup, SeenRange

#: new        first seen within the last hour, without a decision
#: open       first seen earlier, without a decision
#: regressed  resolved, and failed again since
#: resolved   resolved by a user, without a failure since
#: muted      hidden by a user until a time, or forever
FailureStatus: TypeAlias = Literal["new", "open", "regressed", "resolved", "muted"]
FAILURE_STATUSES: Final[tuple[FailureStatus, ...]] = get_args(FailureStatus)

#: Seconds after the first failure during which a group is new.
NEW_GROUP_SECONDS: Final = 3_600.0

#: Newest failed tasks that are read to find the present group of a decision of an earlier version.
MAX_CARRIED_TASKS: Final = 20_000


class TriageNote(msgspec.Struct, frozen=True):
    """The decision about a group: the user, when it was made, and until when it is valid (epoch seconds; null: no
    end)."""

    created_by: str
    created_at: float
    expires_at: float | None
    comment: str


class FailureRow(FailureGroup, frozen=True, kw_only=True):
    """A group of failures with the same fingerprint. `count`, `first_failure_at`, `last_failure_at` and `trend` refer
    to the tasks that match the request; `first_seen_at` and `last_seen_at` to all tasks that were ever recorded. `note`
    is the decision that the status is based on, null without one."""

    status: FailureStatus
    first_seen_at: float | None
    last_seen_at: float | None
    note: TriageNote | None


class FailureList(FailureGroupList, frozen=True):
    """Failure groups, largest first. `count`: tasks in all groups; `more`: groups that were left out; `span`: the
    buckets of each `trend`."""

    failures: tuple[FailureRow, ...]


class FailureState(msgspec.Struct, frozen=True):
    """The status of one group, whether or not any of its tasks is still stored."""

    id: str
    status: FailureStatus
    first_seen_at: float | None
    last_seen_at: float | None
    note: TriageNote | None


def evaluate_status(note: FailureNote | None, first: float | None, last: float | None, now: float) -> FailureStatus:
    """Times are epoch seconds: `first` and `last` failure by the workers' clocks, those of the note by the server's."""
    if note is not None and note.decision == "muted" and (note.expires_at is None or now < note.expires_at):
        return "muted"
    if note is not None and note.decision == "resolved":
        return "regressed" if last is not None and last > note.created_at else "resolved"
    return "new" if first is not None and now - first < NEW_GROUP_SECONDS else "open"


@dataclass(frozen=True, slots=True)
class FailureStatuses:
    """The status of groups at one moment, by the id of their fingerprint."""

    seen: Mapping[str, SeenRange]
    #: first failure, including tasks removed by retention
    recorded_first_seen: Mapping[str, float]
    notes: Mapping[str, FailureNote]
    now: float

    def get_first_seen(self, failure: str) -> float | None:
        times = [self.recorded_first_seen.get(failure), self.seen[failure].first if failure in self.seen else None]
        return min((moment for moment in times if moment is not None), default=None)

    def get_last_seen(self, failure: str) -> float | None:
        return self.seen[failure].last if failure in self.seen else None

    def get_status(self, failure: str) -> FailureStatus:
        return evaluate_status(
            self.notes.get(failure), self.get_first_seen(failure), self.get_last_seen(failure), self.now
        )

    def get_note(self, failure: str) -> TriageNote | None:
        """The decision that is in effect; a mute that has expired is none."""
        note = self.notes.get(failure)
        if note is None or (note.decision == "muted" and self.get_status(failure) != "muted"):
            return None
        return TriageNote(note.created_by, note.created_at, note.expires_at, note.comment)

    def to_row(self, group: FailureGroup) -> FailureRow:
        failure = group.fingerprint.id
        values = {name: getattr(group, name) for name in FailureGroup.__struct_fields__}
        return FailureRow(
            **values,
            status=self.get_status(failure),
            first_seen_at=self.get_first_seen(failure),
            last_seen_at=self.get_last_seen(failure),
            note=self.get_note(failure),
        )

    def to_state(self, failure: str) -> FailureState:
        return FailureState(
            failure,
            self.get_status(failure),
            self.get_first_seen(failure),
            self.get_last_seen(failure),
            self.get_note(failure),
        )

    def build_status_filter(self, statuses: Collection[FailureStatus]) -> Node:
        """A condition for the tasks in groups with these statuses; it lists these groups or excludes the others,
        whichever is shorter."""
        selected = [failure for failure in self.seen if self.get_status(failure) in statuses]
        others = [failure for failure in self.seen if self.get_status(failure) not in statuses]
        return _in_groups(selected) if len(selected) <= len(others) else Not(_in_groups(others))


def load_failure_statuses(
    store: Reader, ledger: Ledger, now: float | None = None, failures: Collection[str] | None = None
) -> FailureStatuses:
    """The statuses of these groups, by default of all."""
    seen = store.failures_seen(failures)
    notes = ledger.failure_notes.notes()
    first_seen = ledger.failure_notes.first_seen({*seen, *notes})
    return FailureStatuses(seen, first_seen, notes, time.time() if now is None else now)


def parse_statuses(words: Iterable[str]) -> tuple[FailureStatus, ...]:
    """Raises InvalidRequest."""
    valid: Mapping[str, FailureStatus] = {status: status for status in FAILURE_STATUSES}
    statuses = tuple(dict.fromkeys(words))
    for word in statuses:
        if word not in valid:
            raise InvalidRequest(f"Unknown status '{word}'", hint=did_you_mean(word, FAILURE_STATUSES))
    return tuple(valid[word] for word in statuses)


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
    """`queries.failure_groups` with the status of each group; with `status` only groups with one of these statuses."""
    statuses = parse_statuses(status)
    condition = None
    if statuses:
        condition = load_failure_statuses(store, ledger, window.get("now")).build_status_filter(statuses)
    groups = failure_groups(store, query, extra_filter=condition, limit=limit, buckets=buckets, width=width, **window)
    ids = [group.fingerprint.id for group in groups.failures]
    known = load_failure_statuses(store, ledger, window.get("now"), ids)
    return FailureList(
        tuple(map(known.to_row, groups.failures)), groups.count, groups.more, groups.span, groups.partial
    )


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
    """`queries.failure_group`, and its group with the status. Raises NotFound."""
    detail = failure_group(store, failure, query, limit=limit, buckets=buckets, width=width, **window)
    return load_failure_statuses(store, ledger, window.get("now"), [failure]).to_row(detail.group), detail


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
    """Resolve or mute a group. Raises NotFound for a group that was never seen."""
    now = time.time()
    _require_known(store, ledger, failure)
    note = FailureNote(
        failure=failure, decision=decision, created_by=by, created_at=now, expires_at=expires_at, comment=comment
    )
    ledger.failure_notes.put(note)
    return load_failure_statuses(store, ledger, failures=[failure]).to_state(failure)


def reopen_failure_group(store: Reader, ledger: Ledger, failure: str) -> FailureState:
    """Remove the decision about a group. Raises NotFound for a group that was never seen."""
    _require_known(store, ledger, failure)
    ledger.failure_notes.delete(failure)
    return load_failure_statuses(store, ledger, failures=[failure]).to_state(failure)


def carry_over_decisions(store: Reader, ledger: Ledger) -> None:
    """Move decisions to the present ids of their groups. Earlier versions compared the message of every failure, so a
    group can stem from several; the newest decision is kept. Only the newest failed tasks are read."""
    seen = store.failures_seen()
    orphaned = {failure: note for failure, note in ledger.failure_notes.notes().items() if failure not in seen}
    if not orphaned:
        return
    moved: dict[str, FailureNote] = {}
    replaced: set[str] = set()
    for task in store.tasks(Query(Term("failure", "present", "")), limit=MAX_CARRIED_TASKS):
        found = compute_fingerprint(task.exception, task.traceback)
        if found is None:
            continue
        note = orphaned.get(message_id(found.exception, found.message, found.frame))
        if note is None:
            continue
        replaced.add(note.failure)
        if found.id not in moved or note.created_at > moved[found.id].created_at:
            moved[found.id] = note
    present = ledger.failure_notes.notes()
    first_seen = ledger.failure_notes.first_seen([note.failure for note in moved.values()])
    for failure, note in moved.items():
        if failure not in present:
            ledger.failure_notes.put(msgspec.structs.replace(note, failure=failure))
        if note.failure in first_seen:
            ledger.failure_notes.record_first_seen({failure: first_seen[note.failure]})
    for failure in replaced:
        ledger.failure_notes.delete(failure)


def record_first_seen(store: Reader, ledger: Ledger) -> None:
    """Record in the ledger when groups were first seen, so that a group that fails again after retention removed all
    its tasks is not new."""
    recorded = ledger.failure_notes.first_seen()
    first_seen = {failure: seen.first for failure, seen in store.failures_seen().items()}
    ledger.failure_notes.record_first_seen(
        {
            failure: first
            for failure, first in first_seen.items()
            if first is not None and first < recorded.get(failure, float("inf"))
        }
    )


def _require_known(store: Reader, ledger: Ledger, failure: str) -> None:
    statuses = load_failure_statuses(store, ledger, failures=[failure])
    if failure in statuses.seen or failure in statuses.notes or ledger.failure_notes.first_seen([failure]):
        return
    raise NotFound(f"Unknown failure group '{failure}'", hint="no recorded task belongs to it")


def _in_groups(failures: Iterable[str]) -> Node:
    return any_of(Term("failure", "equals", failure) for failure in failures)
