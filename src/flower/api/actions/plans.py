"""What a bulk job would do, and making one. Needs no Celery: the job is worked off by `runner`."""

import secrets
import time
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from flower.api.actions.arguments import from_text
from flower.api.asking import Window, where_of
from flower.errors import Invalid, NotFound, NotWhole
from flower.records import FINAL_STATES, Task
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Job, JobAction
from flower.store.port import Query, Reader

#: Tells of a task's name whether it can be aborted; None where nobody knows.
Abortable: TypeAlias = Callable[[str | None], bool | None]

#: Tasks that a plan shows, and ids that it gives as examples of what would be refused.
SAMPLE = 20
EXAMPLES = 5

_UNRECORDED = "it is not on record"


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks with these ids, or else all that match a query in a window."""

    ids: Sequence[str] | None = None
    query: str | None = None
    window: Window = field(default_factory=Window)


class Refusal(msgspec.Struct, frozen=True):
    """So many of the tasks would not be acted on, and why; `tasks` are some of them."""

    reason: str
    count: int
    tasks: tuple[str, ...]


class Chosen(msgspec.Struct, frozen=True):
    uuid: str
    name: str | None
    state: str | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a job would be. `refused` is what the records tell: more may have ended when their turn comes, and the
    result backend may still have arguments that the records do not hold in full. `seconds` is how long it takes at
    least."""

    action: JobAction
    count: Annotated[int, Meta(description="Exactly how many tasks it would have.")]
    limit: Annotated[int, Meta(description="How many a job may have; with more it is not made.")]
    states: dict[str, int]
    sample: tuple[Chosen, ...]
    refused: tuple[Refusal, ...]
    rate: float
    seconds: float


def plan_job(
    store: Reader,
    action: JobAction,
    selection: Selection,
    *,
    limit: int,
    rate: float,
    abortable: Abortable = lambda name: None,
) -> Plan:
    """Raises Invalid, SearchError, WaitedTooLong if not even the count is known in time."""
    count = _count(store, selection)
    states: dict[str, int] = {}
    refused: dict[str, list[str]] = {}
    sample: list[Chosen] = []
    for uuid, task in _found(store, selection, limit):
        state = "not on record" if task is None else task.state
        states[state] = states.get(state, 0) + 1
        if len(sample) < SAMPLE:
            sample.append(Chosen(uuid, None if task is None else task.name, None if task is None else task.state))
        reason = _objection(action, task, abortable)
        if reason is not None:
            refused.setdefault(reason, []).append(uuid)
    return Plan(
        action=action,
        count=count,
        limit=limit,
        states=states,
        sample=tuple(sample),
        refused=tuple(
            Refusal(reason, len(tasks), tuple(tasks[:EXAMPLES]))
            for reason, tasks in sorted(refused.items(), key=lambda one: -len(one[1]))
        ),
        rate=rate,
        seconds=round(count / rate, 1),
    )


def start_job(
    store: Reader,
    ledger: Ledger,
    action: JobAction,
    selection: Selection,
    *,
    by: str,
    limit: int,
    rate: float,
    signal: str = "",
    expected: int | None = None,
) -> Job:
    """Fix the tasks and hand the job to whatever server works jobs off. Raises Invalid if there are more than
    `limit`, or not as many as `expected`; NotFound if there is none."""
    count = _count(store, selection)
    if expected is not None and count != expected:
        raise Invalid(f"{count:,} tasks match now, not {expected:,}", hint="look again, and ask for these")
    if count > limit:
        raise _too_many(count, limit)
    if not count:
        raise NotFound("No task matches", hint="nothing was started")
    pairs = [(uuid, str(uuids.uuid4()) if action == "rerun" else None) for uuid in _ids(store, selection, limit + 1)]
    asked = Job(
        id=secrets.token_hex(6),
        action=action,
        state="running",
        by=by,
        created=time.time(),
        query=selection.query or "",
        signal=signal,
        rate=rate,
        total=0,
    )
    made = ledger.jobs.create(asked, pairs, limit=limit)
    if made is None:  # more have come since they were counted
        raise _too_many(len(pairs), limit)
    return made


def _too_many(count: int, limit: int) -> Invalid:
    hint = "narrow the query, for instance by received:>-1h or name:…, or let the server's --bulk-limit be higher"
    return Invalid(f"{count:,} tasks match, and one job takes at most {limit:,}", hint=hint)


def _count(store: Reader, selection: Selection) -> int:
    if selection.ids is not None:
        return len(set(selection.ids))
    return store.count(_where(selection).where)


def _where(selection: Selection) -> Query:
    if selection.query is None:
        raise Invalid("Neither ids nor a query was given", hint='every task is {"query": ""}')
    return Query(where_of(selection.query, **selection.window), sort=())


def _ids(store: Reader, selection: Selection, most: int) -> list[str]:
    if selection.ids is not None:
        return list(dict.fromkeys(selection.ids))
    return [task.uuid for task in store.tasks(_where(selection), limit=most)]


def _found(store: Reader, selection: Selection, most: int) -> Iterator[tuple[str, Task | None]]:
    if selection.ids is not None:
        ids: Iterable[str] = list(dict.fromkeys(selection.ids))[:most]
        yield from ((uuid, store.task(uuid)) for uuid in ids)
    else:
        yield from ((task.uuid, task) for task in store.tasks(_where(selection), limit=most))


def _objection(action: JobAction, task: Task | None, abortable: Abortable) -> str | None:
    """Why nothing would be done to this task, as far as the records tell."""
    if action == "rerun":
        return _not_runnable(task)
    if task is not None and task.state in FINAL_STATES:
        return f"it has ended: {task.state}"
    if action == "abort" and task is not None and abortable(task.name) is False:
        return f"{task.name} is no AbortableTask"
    return None


def _not_runnable(task: Task | None) -> str | None:
    if task is None:
        return _UNRECORDED
    if task.name is None:
        return "its name is not known"
    try:
        from_text("args", task.args, task.uuid)
        from_text("kwargs", task.kwargs, task.uuid)
    except NotWhole as error:
        return f"its {error.part} are not known in full: {error.reason}"
    return None
