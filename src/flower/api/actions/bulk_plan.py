"""What a bulk job would do, and making one. Needs no Celery: the job is worked off by `runner`."""

import secrets
import time
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from flower.api.actions.rerun_source import parse_arguments
from flower.api.query_params import Window, build_filter
from flower.errors import InvalidRequest, NotFound, TruncatedArguments
from flower.records import FINAL_STATES, Task
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Job, JobAction
from flower.store.protocols import Query, Reader

#: Tells of a task's name whether it can be aborted; None where nobody knows.
AbortablePredicate: TypeAlias = Callable[[str | None], bool | None]

#: Tasks that a plan shows, and ids that it gives as examples of what would be refused.
SAMPLE_SIZE = 20
MAX_EXAMPLES = 5

_NOT_RECORDED = "it is not on record"


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks with these ids, or else all that match a query in a window."""

    ids: Sequence[str] | None = None
    query: str | None = None
    window: Window = field(default_factory=Window)


class ExcludedTasks(msgspec.Struct, frozen=True):
    """So many of the tasks would not be acted on, and why; `tasks` are some of them."""

    reason: str
    count: int
    tasks: tuple[str, ...]


class PlanSample(msgspec.Struct, frozen=True):
    uuid: str
    name: str | None
    state: str | None


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a job would be. `refused` is what the records tell: more may have ended when their turn comes, and the
    result backend may still have arguments that the records do not hold in full. `seconds` is how long it takes at
    least."""

    action: JobAction
    count: Annotated[int, Meta(description="Exactly how many tasks it would have.")]
    limit: Annotated[int, Meta(description="How many a job may have; with more it is not made.")]
    states: dict[str, int]
    sample: tuple[PlanSample, ...]
    excluded: tuple[ExcludedTasks, ...]
    rate: float
    min_duration: float


def plan_job(
    store: Reader,
    action: JobAction,
    selection: Selection,
    *,
    limit: int,
    rate: float,
    is_abortable: AbortablePredicate = lambda name: None,
) -> JobPlan:
    """Raises Invalid, SearchError, WaitedTooLong if not even the count is known in time."""
    count = _count_tasks(store, selection)
    states: dict[str, int] = {}
    refused: dict[str, list[str]] = {}
    sample: list[PlanSample] = []
    for uuid, task in _iter_selection(store, selection, limit):
        state = "not on record" if task is None else task.state
        states[state] = states.get(state, 0) + 1
        if len(sample) < SAMPLE_SIZE:
            sample.append(PlanSample(uuid, None if task is None else task.name, None if task is None else task.state))
        reason = _find_exclusion(action, task, is_abortable)
        if reason is not None:
            refused.setdefault(reason, []).append(uuid)
    return JobPlan(
        action=action,
        count=count,
        limit=limit,
        states=states,
        sample=tuple(sample),
        excluded=tuple(
            ExcludedTasks(reason, len(tasks), tuple(tasks[:MAX_EXAMPLES]))
            for reason, tasks in sorted(refused.items(), key=lambda one: -len(one[1]))
        ),
        rate=rate,
        min_duration=round(count / rate, 1),
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
    count = _count_tasks(store, selection)
    if expected is not None and count != expected:
        raise InvalidRequest(f"{count:,} tasks match now, not {expected:,}", hint="look again, and ask for these")
    if count > limit:
        raise _limit_error(count, limit)
    if not count:
        raise NotFound("No task matches", hint="nothing was started")
    pairs = [
        (uuid, str(uuids.uuid4()) if action == "rerun" else None) for uuid in _select_ids(store, selection, limit + 1)
    ]
    asked = Job(
        id=secrets.token_hex(6),
        action=action,
        state="running",
        created_by=by,
        created_at=time.time(),
        query=selection.query or "",
        signal=signal,
        rate=rate,
        total=0,
    )
    made = ledger.jobs.create(asked, pairs, limit=limit)
    if made is None:  # more have come since they were counted
        raise _limit_error(len(pairs), limit)
    return made


def _limit_error(count: int, limit: int) -> InvalidRequest:
    hint = "narrow the query, for instance by received:>-1h or name:…, or let the server's --bulk-limit be higher"
    return InvalidRequest(f"{count:,} tasks match, and one job takes at most {limit:,}", hint=hint)


def _count_tasks(store: Reader, selection: Selection) -> int:
    if selection.ids is not None:
        return len(set(selection.ids))
    return store.count(_selection_query(selection).where)


def _selection_query(selection: Selection) -> Query:
    if selection.query is None:
        raise InvalidRequest("Neither ids nor a query was given", hint='every task is {"query": ""}')
    return Query(build_filter(selection.query, **selection.window), sort=())


def _select_ids(store: Reader, selection: Selection, most: int) -> list[str]:
    if selection.ids is not None:
        return list(dict.fromkeys(selection.ids))
    return [task.uuid for task in store.tasks(_selection_query(selection), limit=most)]


def _iter_selection(store: Reader, selection: Selection, most: int) -> Iterator[tuple[str, Task | None]]:
    if selection.ids is not None:
        ids: Iterable[str] = list(dict.fromkeys(selection.ids))[:most]
        yield from ((uuid, store.task(uuid)) for uuid in ids)
    else:
        yield from ((task.uuid, task) for task in store.tasks(_selection_query(selection), limit=most))


def _find_exclusion(action: JobAction, task: Task | None, abortable: AbortablePredicate) -> str | None:
    """Why nothing would be done to this task, as far as the records tell."""
    if action == "rerun":
        return _find_rerun_exclusion(task)
    if task is not None and task.state in FINAL_STATES:
        return f"it has ended: {task.state}"
    if action == "abort" and task is not None and abortable(task.name) is False:
        return f"{task.name} is no AbortableTask"
    return None


def _find_rerun_exclusion(task: Task | None) -> str | None:
    if task is None:
        return _NOT_RECORDED
    if task.name is None:
        return "its name is not known"
    try:
        parse_arguments("args", task.args, task.uuid)
        parse_arguments("kwargs", task.kwargs, task.uuid)
    except TruncatedArguments as error:
        return f"its {error.part} are not known in full: {error.reason}"
    return None
