"""Assembles the events of a task into attempts and runs.

An attempt consists of at most one receipt, one start and one end of a worker (here: facts). The facts of each worker
are put in order of time and assigned by the rules below, so that the result does not depend on the order in which the
events arrived. Times are compared by the recorder's clock as far as the clock offsets are known.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

from flower.fold.transitions import END_STATES, RUN_END_STATES, STATE_RANK
from flower.records import FAILURE, PENDING, RECEIVED, RETRY, REVOKED, STARTED, SUCCESS, Attempt, Task

#: Seconds by which the clocks of two hosts may differ without being corrected.
CLOCK_TOLERANCE = 2.0
#: Seconds by which the times of one process may be out of order without a change of its clock.
PROCESS_TOLERANCE = 0.1
#: Seconds by which the time of a process must decrease to show that its clock was set back.
MIN_STEP = 1.0
#: `Attempt.lost` of an attempt whose worker process has been replaced.
WORKER_REPLACED = "worker_offline"

RECEIPT, START, END, PRESENCE = range(4)


class Fact:
    """One event of an attempt, as far as it is recorded; PRESENCE stands for an attempt without any time."""

    __slots__ = (
        "at", "clock_offset", "is_after_step", "is_new", "is_proven", "kind", "lost", "order", "pid", "values",
    )  # fmt: skip

    def __init__(self, kind: int, at: float, order: float, pid: int | None, **values: Any) -> None:
        self.kind, self.at, self.order, self.pid, self.values = kind, at, order, pid, values
        #: `Attempt.lost`, carried by the last fact of the attempt
        self.lost: str | None = None
        self.clock_offset: float | None = None
        #: the clock was set back recently: the offset may not be that of earlier facts
        self.is_after_step = False
        self.is_new = False
        #: the end was proven by evidence and not by an event
        self.is_proven = False


class Draft:
    """An attempt under construction."""

    __slots__ = (
        "begin", "clock_offset", "custom_state", "end_order", "ended", "exception", "has_new_fact", "hostname",
        "is_proven", "lost", "orders", "pid", "received", "retries", "run", "runtime", "started", "state", "traceback",
    )  # fmt: skip

    def __init__(self, hostname: str | None) -> None:
        self.hostname = hostname
        self.pid: int | None = None
        self.received: float | None = None
        self.started: float | None = None
        self.ended: float | None = None
        self.state: str | None = None
        self.runtime: float | None = None
        self.exception: str | None = None
        self.traceback: str | None = None
        self.lost: str | None = None
        self.retries: int | None = None
        self.clock_offset: float | None = None
        self.run = 0
        #: times by the recorder's clock: of the first fact, of the end, and of all facts
        self.begin = inf
        self.end_order = -inf
        self.orders: dict[int, float] = {}
        #: the state of an attempt that runs, if it is not STARTED
        self.custom_state: str | None = None
        self.is_proven = False
        self.has_new_fact = False

    @property
    def is_open(self) -> bool:
        """Whether the attempt has no outcome yet."""
        return self.state is None and self.lost is None

    @property
    def is_running(self) -> bool:
        return self.is_open and (self.started is not None or self.custom_state is not None)

    def may_be_of(self, pid: int | None) -> bool:
        """Whether a fact of this worker process can belong to the attempt."""
        return pid is None or self.pid is None or pid == self.pid

    def add(self, fact: Fact) -> None:
        if self.pid is None:
            self.pid = fact.pid
        if self.clock_offset is None and (not self.orders or is_former_offset(fact.clock_offset, fact.is_after_step)):
            self.clock_offset = fact.clock_offset
        if fact.kind == RECEIPT:
            self.received, self.retries = fact.at, fact.values.get("retries")
        elif fact.kind == START:
            self.started = fact.at
        elif fact.kind == END:
            self.set_end(fact)
        if fact.kind != PRESENCE:
            self.orders[fact.kind] = fact.order
            self.begin = min(self.begin, fact.order)
        if fact.is_new:
            self.has_new_fact = True
            self.lost = None
        else:
            self.lost = fact.lost or self.lost

    def set_end(self, fact: Fact) -> None:
        values = fact.values
        self.ended, self.state, self.end_order = fact.at, values["state"], fact.order
        self.exception, self.traceback = values.get("exception"), values.get("traceback")
        self.runtime, self.is_proven, self.lost = values.get("runtime"), fact.is_proven, None
        self.orders[END] = fact.order
        if self.received is None and self.started is None:
            self.begin = fact.order - (self.runtime or 0.0)

    def facts(self) -> Iterable[Fact]:
        """The facts of which the attempt was assembled, in order."""
        facts: list[Fact] = []
        if self.received is not None:
            facts.append(Fact(RECEIPT, self.received, self.orders[RECEIPT], self.pid, retries=self.retries))
        if self.started is not None:
            facts.append(Fact(START, self.started, self.orders[START], self.pid))
        if self.state is not None and self.ended is not None:
            end = Fact(
                END,
                self.ended,
                self.orders[END],
                self.pid,
                state=self.state,
                exception=self.exception,
                traceback=self.traceback,
                runtime=self.runtime if self.state == SUCCESS else None,
            )
            end.is_proven = self.is_proven
            facts.append(end)
        if not facts:
            facts.append(Fact(PRESENCE, 0.0, inf, self.pid))
        facts[0].clock_offset = self.clock_offset
        facts[-1].lost = self.lost
        return facts

    def attempt(self, number: int) -> Attempt:
        return Attempt(
            number=number,
            hostname=self.hostname,
            pid=self.pid,
            received=self.received,
            started=self.started,
            ended=self.ended,
            state=self.state,
            runtime=self.derive_runtime(),
            exception=self.exception,
            traceback=self.traceback,
            lost=self.lost,
            run=self.run,
            clock_offset=self.clock_offset,
            retries=self.retries,
        )

    def derive_runtime(self) -> float | None:
        """The runtime that the event contained, else that of a failed or terminated attempt from its times."""
        if self.runtime is not None:
            return self.runtime
        if self.state not in (FAILURE, REVOKED) or self.started is None or self.ended is None:
            return None
        return self.ended - self.started if self.ended >= self.started else None


def is_former_offset(offset: float | None, is_after_step: bool) -> bool:
    """Whether an offset that is known now was that of earlier events too: a clock that is ahead is known from the first
    event, one that is behind only later."""
    return offset is not None and offset < 0 and not is_after_step


def read_attempts(task: Task) -> list[Draft]:
    """The attempts of a record, without the current one if that is only to come."""
    drafts = [_read_attempt(attempt) for attempt in task.attempts]
    current = drafts[_index_of_current(task)]
    if is_placeholder(task):
        drafts.remove(current)
        return drafts
    if current.received is None:
        current.retries = None
    if task.state not in END_STATES and task.state not in (PENDING, RECEIVED):
        current.custom_state = task.state if task.state != STARTED or task.started is None else None
    current.is_proven = task.source is not None and task.state in END_STATES
    return drafts


def is_placeholder(task: Task) -> bool:
    """Whether the current attempt is only to come: no worker has it."""
    return (
        task.hostname is None
        and task.received is None
        and task.started is None
        and task.state in (PENDING, RETRY)
        and (task.state == PENDING or bool(task.earlier))
    )


def _index_of_current(task: Task) -> int:
    """The index of the current attempt in `task.attempts`: it has the smallest number that no other attempt has."""
    used = {attempt.number for attempt in task.earlier}
    return next(number for number in range(len(used) + 1) if number not in used)


def _read_attempt(attempt: Attempt) -> Draft:
    draft = Draft(attempt.hostname)
    offset = attempt.clock_offset or 0.0
    newest = -inf
    for kind, at in ((RECEIPT, attempt.received), (START, attempt.started), (END, attempt.ended)):
        if at is not None:
            order = at - offset
            # The clock may have been set back between two events of the attempt.
            draft.orders[kind] = newest if order < newest - MIN_STEP else order
            newest = max(newest, order)
    draft.pid, draft.received, draft.started = attempt.pid, attempt.received, attempt.started
    draft.ended, draft.state = attempt.ended, attempt.state
    if attempt.state == RETRY and attempt.ended is None:
        draft.state = None  # inferred; inferred again if still valid
    draft.exception, draft.traceback, draft.lost = attempt.exception, attempt.traceback, attempt.lost
    draft.runtime = attempt.runtime if attempt.state == SUCCESS else None
    draft.retries, draft.clock_offset, draft.run = attempt.retries, attempt.clock_offset, attempt.run
    draft.begin = min(draft.orders.values(), default=inf)
    if draft.orders.keys() == {END}:
        draft.begin -= draft.runtime or 0.0
    draft.end_order = draft.orders.get(END, -inf)
    return draft


def add_fact(drafts: Sequence[Draft], hostname: str | None, fact: Fact) -> list[Draft]:
    """The attempts with one more fact of this worker."""
    others = [draft for draft in drafts if draft.hostname != hostname]
    own = [draft for draft in drafts if draft.hostname == hostname]
    facts = [each for draft in own for each in draft.facts()]
    custom_states = [draft for draft in own if draft.custom_state is not None]
    fact.is_new = True
    assembled = _assemble(hostname, [*facts, fact])
    for before in custom_states:
        # of the current attempt only
        still_open = [draft for draft in assembled if draft.is_open]
        same = [draft for draft in still_open if _shares_fact(draft, before)] or still_open[-1:]
        if same:
            same[0].custom_state = before.custom_state
    return others + assembled


def _shares_fact(draft: Draft, other: Draft) -> bool:
    """Whether both are drafts of the same attempt."""
    return (draft.received is not None and draft.received == other.received) or (
        draft.started is not None and draft.started == other.started
    )


def _assemble(hostname: str | None, facts: Iterable[Fact]) -> list[Draft]:
    drafts: list[Draft] = []
    for fact in sorted(facts, key=lambda each: (each.order, each.kind)):
        draft = _FINDERS[fact.kind](drafts, fact)
        if draft is None:
            draft = Draft(hostname)
            drafts.append(draft)
        if fact.kind != END or draft.state is None or _replaces(fact, draft):
            draft.add(fact)
        else:
            draft.has_new_fact |= fact.is_new
    return drafts


def _find_for_receipt(drafts: Sequence[Draft], fact: Fact) -> Draft | None:
    """A delivery begins an attempt, unless that attempt's start has a slightly lower time."""
    for draft in reversed(drafts):
        if draft.received is None and draft.is_open and draft.may_be_of(fact.pid):
            return draft if fact.order - draft.begin <= PROCESS_TOLERANCE else None
    return None


def _find_for_start(drafts: Sequence[Draft], fact: Fact) -> Draft | None:
    """The oldest delivery of the newest retry that has not started."""
    candidates = [
        draft for draft in drafts if draft.started is None and draft.state is None and draft.may_be_of(fact.pid)
    ]
    if candidates:
        return max(candidates, key=lambda draft: (draft.lost is None, draft.retries or 0))
    for draft in reversed(drafts):
        if draft.started is None and draft.state in RUN_END_STATES and draft.may_be_of(fact.pid):
            return draft if fact.order - draft.end_order <= PROCESS_TOLERANCE else None
    return None


def _find_for_end(drafts: Sequence[Draft], fact: Fact) -> Draft | None:
    """The attempt that runs; of several, the one that the runtime or the number of retries points to."""
    state, runtime = fact.values["state"], fact.values.get("runtime")
    candidates = [
        draft
        for draft in drafts
        if draft.state is None and draft.may_be_of(fact.pid) and not _began_later(draft, fact, runtime)
    ]
    candidates = [draft for draft in candidates if draft.started is not None] or candidates
    if len(candidates) > 1 and runtime is not None:
        return min(candidates, key=lambda draft: abs((draft.started or draft.received or inf) + runtime - fact.at))
    if candidates:
        direction = -1 if state == RETRY else 1
        return max(candidates, key=lambda draft: (draft.lost is None, direction * (draft.retries or 0)))
    for draft in reversed(drafts):
        if draft.state is not None and draft.may_be_of(fact.pid) and _is_same_execution(draft, fact):
            return draft
    return None


def _began_later(draft: Draft, fact: Fact, runtime: float | None) -> bool:
    """Whether the attempt was received after the execution that ended had begun."""
    return (
        runtime is not None
        and draft.started is None
        and draft.received is not None
        and draft.received > fact.at - runtime + CLOCK_TOLERANCE
    )


def _is_same_execution(draft: Draft, fact: Fact) -> bool:
    """Whether an attempt that has ended and another end are of one execution: a task that is revoked while it ends, or
    fails by a time limit and by the loss of its process."""
    state: str = fact.values["state"]
    runtime: float | None = fact.values.get("runtime")
    if draft.is_proven or fact.is_proven:
        return True
    if RETRY in (draft.state, state):
        return False
    if draft.state == state and state == SUCCESS:
        return False
    if runtime is not None and draft.started is not None:
        return abs(draft.started + runtime - fact.at) <= CLOCK_TOLERANCE / 2
    return (draft.state == state or REVOKED in (draft.state, state)) and (
        abs(fact.order - draft.end_order) <= CLOCK_TOLERANCE
    )


def _replaces(fact: Fact, draft: Draft) -> bool:
    """Whether this end is to be recorded instead of another end of the same execution."""
    if draft.is_proven != fact.is_proven:
        return draft.is_proven
    return STATE_RANK[fact.values["state"]] < STATE_RANK.get(draft.state or "", len(STATE_RANK))


def _find_for_presence(drafts: Sequence[Draft], fact: Fact) -> Draft | None:
    """The attempt that the new fact began, or one without outcome."""
    for draft in reversed(drafts):
        if draft.may_be_of(fact.pid) and (draft.is_open or (draft.has_new_fact and draft.received is None)):
            return draft
    return None


_FINDERS: dict[int, Callable[[Sequence[Draft], Fact], Draft | None]] = {
    RECEIPT: _find_for_receipt,
    START: _find_for_start,
    END: _find_for_end,
    PRESENCE: _find_for_presence,
}


def arrange(drafts: Iterable[Draft], sent: float | None = None) -> list[Draft]:
    """The attempts in order, with the numbers of their runs and with what other attempts prove about them. `sent` is
    when the newest run was sent, by the recorder's clock."""
    ordered: list[Draft] = []
    for draft in sorted(drafts, key=lambda each: each.begin):
        index = len(ordered)
        while index and _precedes(draft, ordered[index - 1]):
            index -= 1
        ordered.insert(index, draft)
    _number_runs(ordered, sent)
    _close_retried(ordered)
    _close_replaced(ordered)
    return ordered


def _precedes(draft: Draft, other: Draft) -> bool:
    """Whether the number of retries shows that an attempt precedes one that began at about the same time."""
    return (
        draft.retries is not None
        and other.retries is not None
        and draft.retries < other.retries
        and draft.begin - other.begin <= CLOCK_TOLERANCE
        and not (other.state in RUN_END_STATES and other.end_order <= draft.begin)
    )


def _number_runs(ordered: Sequence[Draft], sent: float | None) -> None:
    run = 0
    end: Draft | None = None
    for draft in ordered:
        if end is not None and _begins_run(draft, end, sent):
            run, end = run + 1, None
        draft.run = run
        if draft.state in RUN_END_STATES and (end is None or draft.end_order > end.end_order):
            end = draft


def _begins_run(draft: Draft, end: Draft, sent: float | None) -> bool:
    """Whether an attempt began after the end of the previous run, or after the id was sent again."""
    if draft.retries or draft.begin == inf:
        return False
    has_begin = draft.received is not None or draft.started is not None
    if not has_begin and draft.state == RETRY:
        return False
    margin = 0.0 if has_begin and draft.hostname == end.hostname else CLOCK_TOLERANCE
    if draft.begin > end.end_order + margin:
        return True
    return sent is not None and sent > end.end_order and draft.begin >= sent - CLOCK_TOLERANCE


def _close_retried(ordered: Sequence[Draft]) -> None:
    """Close attempts whose retry has begun, although `task-retried` has not arrived."""
    for draft in ordered:
        if draft.state is not None or draft.begin == inf:
            continue
        level = draft.retries or 0
        peers = [each for each in ordered if each.run == draft.run and (each.retries or 0) == level]
        unknown = sum(each.state is None for each in peers)
        explained = any(each.state == RETRY for each in peers)
        if unknown == 1 and not explained and any(_follows_retry(each, draft, level) for each in ordered):
            draft.state, draft.lost = RETRY, None


def _follows_retry(attempt: Draft, draft: Draft, level: int) -> bool:
    return attempt.run == draft.run and attempt.retries is not None and attempt.retries > level


def _close_replaced(ordered: Sequence[Draft]) -> None:
    """Close attempts of a worker process that another process of the same name has replaced."""
    for index, draft in enumerate(ordered):
        if draft.is_open and draft.pid is not None:
            later = (each for each in ordered[index + 1 :] if each.hostname == draft.hostname)
            if any(each.pid not in (None, draft.pid) for each in later):
                draft.lost = WORKER_REPLACED


def choose_current(ordered: Sequence[Draft]) -> Draft | None:
    """The attempt whose state is that of the task: of the last run, the newest one that runs; else a success, else the
    newest other end; else the newest that waits at a worker; else the newest."""
    if not ordered:
        return None
    last = [draft for draft in ordered if draft.run == ordered[-1].run]
    if running := [draft for draft in last if draft.is_running]:
        return running[-1]
    if ended := [draft for draft in last if draft.state in RUN_END_STATES]:
        return max(ended, key=lambda draft: (draft.state == SUCCESS, draft.end_order))
    if waiting := [draft for draft in last if draft.is_open]:
        return waiting[-1]
    return last[-1]
