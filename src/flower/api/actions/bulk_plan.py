"""Dry run and creation of bulk jobs. Jobs are executed by `bulk_runner`."""

import secrets
import time
import uuid as uuids
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from flower.api.actions.rerun_source import parse_arguments
from flower.api.actions.workflow_membership import count_workflow_members
from flower.api.query_params import Window, build_filter
from flower.errors import InvalidRequest, NotFound, TruncatedArguments
from flower.records import FINAL_STATES, Task
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Job, JobAction
from flower.store.protocols import Query, Reader

#: Whether the task with this name can be aborted; None if unknown.
AbortablePredicate: TypeAlias = Callable[[str | None], bool | None]

#: Tasks in the sample of a plan, and ids listed for each reason of exclusion.
SAMPLE_SIZE: Final = 20
MAX_EXAMPLES: Final = 5

#: In `JobPlan.states`: ids without a record.
NOT_RECORDED: Final = "NOT_RECORDED"


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks with these ids, or else all tasks that match a query in a window."""

    ids: Sequence[str] | None = None
    query: str | None = None
    window: Window = field(default_factory=Window)


class ExcludedTasks(msgspec.Struct, frozen=True):
    """Tasks on which the action would not be executed, by reason: their number, and some of their ids."""

    reason: str
    count: int
    tasks: tuple[str, ...]


class PlanSample(msgspec.Struct, frozen=True):
    uuid: str
    name: str | None
    state: str | None


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The dry run of a job. `excluded` is based on the records: other tasks may finish before the job reaches them, and
    the result backend may have arguments that are truncated in the records. `rate`: tasks per second; `min_duration`:
    seconds at this rate. `workflow_task_count`: of a re-run, the tasks that would be sent and that belong to a
    workflow, whose later steps (chain, chord, callbacks) are not sent again."""

    action: JobAction
    count: Annotated[int, Meta(description="Exact number of tasks.")]
    limit: Annotated[int, Meta(description="Maximum number of tasks; a larger job is not created.")]
    states: dict[str, int]
    sample: tuple[PlanSample, ...]
    excluded: tuple[ExcludedTasks, ...]
    rate: float
    min_duration: float
    workflow_task_count: int = 0


def plan_job(
    store: Reader,
    action: JobAction,
    selection: Selection,
    *,
    limit: int,
    rate: float,
    is_abortable: AbortablePredicate = lambda name: None,
) -> JobPlan:
    """Raises InvalidRequest, SearchError, and DeadlineExceeded if the tasks cannot be counted within the time limit."""
    count = _count_tasks(store, selection)
    states: dict[str, int] = {}
    excluded: dict[str, list[str]] = {}
    sample: list[PlanSample] = []
    included: list[Task] = []
    for uuid, task in _iter_selection(store, selection, limit):
        state = NOT_RECORDED if task is None else task.state
        states[state] = states.get(state, 0) + 1
        if len(sample) < SAMPLE_SIZE:
            sample.append(PlanSample(uuid, None if task is None else task.name, None if task is None else task.state))
        reason = _find_exclusion(action, task, is_abortable)
        if reason is not None:
            excluded.setdefault(reason, []).append(uuid)
        elif task is not None and action == "rerun":
            included.append(task)
    return JobPlan(
        action=action,
        count=count,
        limit=limit,
        states=states,
        sample=tuple(sample),
        excluded=tuple(
            ExcludedTasks(reason, len(tasks), tuple(tasks[:MAX_EXAMPLES]))
            for reason, tasks in sorted(excluded.items(), key=lambda item: -len(item[1]))
        ),
        rate=rate,
        min_duration=round(count / rate, 1),
        workflow_task_count=count_workflow_members(store, included),
    )


def verify_count(store: Reader, selection: Selection, *, limit: int, expected: int | None = None) -> None:
    """Raises InvalidRequest if more than `limit` tasks match, or not `expected` ones; NotFound if there are none."""
    count = _count_tasks(store, selection)
    if expected is not None and count != expected:
        hint = "check the new plan and confirm it"
        raise InvalidRequest(f"The number of matching tasks changed from {expected:,} to {count:,}", hint=hint)
    if count > limit:
        raise _limit_error(count, limit)
    if not count:
        raise NotFound("No tasks match", hint="no job was created")


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
    """Create a job with the tasks that match now; a server executes it. Raises the errors of `verify_count`."""
    verify_count(store, selection, limit=limit, expected=expected)
    pairs = [
        (uuid, str(uuids.uuid4()) if action == "rerun" else None) for uuid in _select_ids(store, selection, limit + 1)
    ]
    job = Job(
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
    created = ledger.jobs.create(job, pairs, limit=limit)
    if created is None:  # more tasks were recorded since they were counted
        raise _limit_error(len(pairs), limit)
    return created


def _limit_error(count: int, limit: int) -> InvalidRequest:
    hint = "narrow the query, for example with received:>-1h or name:…, or raise --bulk-limit of the server"
    return InvalidRequest(f"Too many tasks: {count:,} (maximum {limit:,})", hint=hint)


def _count_tasks(store: Reader, selection: Selection) -> int:
    if selection.ids is not None:
        return len(set(selection.ids))
    return store.count(_selection_query(selection).where)


def _selection_query(selection: Selection) -> Query:
    if selection.query is None:
        raise InvalidRequest("Either ids or a query is required", hint='{"query": ""} selects all tasks')
    return Query(build_filter(selection.query, **selection.window), sort=())


def _select_ids(store: Reader, selection: Selection, limit: int) -> list[str]:
    if selection.ids is not None:
        return list(dict.fromkeys(selection.ids))
    return [task.uuid for task in store.tasks(_selection_query(selection), limit=limit)]


def _iter_selection(store: Reader, selection: Selection, limit: int) -> Iterator[tuple[str, Task | None]]:
    if selection.ids is not None:
        yield from ((uuid, store.task(uuid)) for uuid in list(dict.fromkeys(selection.ids))[:limit])
    else:
        yield from ((task.uuid, task) for task in store.tasks(_selection_query(selection), limit=limit))


def _find_exclusion(action: JobAction, task: Task | None, is_abortable: AbortablePredicate) -> str | None:
    """Why the action would not be executed on this task, according to the records; None if it would."""
    if action == "rerun":
        return _find_rerun_exclusion(task)
    if task is not None and task.state in FINAL_STATES:
        return f"already finished ({task.state})"
    if action == "abort" and task is not None and is_abortable(task.name) is False:
        return f"{task.name} is not an AbortableTask"
    return None


def _find_rerun_exclusion(task: Task | None) -> str | None:
    if task is None:
        return "not recorded"
    if task.name is None:
        return "task name unknown"
    try:
        parse_arguments("args", task.args, task.uuid)
        parse_arguments("kwargs", task.kwargs, task.uuid)
    except TruncatedArguments as error:
        return f"{error.part} incomplete: {error.reason}"
    return None
