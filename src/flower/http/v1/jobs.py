"""Routes of bulk jobs."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower import cluster
from flower.api.actions.bulk_plan import JobPlan, Selection, plan_job, start_job
from flower.api.actions.bulk_report import iter_job_items, serialize_job_items
from flower.api.actions.stop import parse_signal
from flower.api.exporter import EXPORT_MEDIA_TYPES
from flower.errors import Forbidden, InvalidRequest, NotFound
from flower.http.v1.route import NoParams, RequestContext, Route, StreamingBody
from flower.store.ledger.jobs import ITEM_OUTCOMES, Job, JobAction, JobItem
from flower.store.query_results import TimeKey


class CreateJobBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tasks are `ids`, or all that match `query` within the time window; an empty query matches all tasks.

    `dry_run` starts no job and returns the `plan`. `expected_count` is the number of tasks that was shown to the user:
    if a different number matches now, no job is started. `rate` can only lower the server's rate."""

    action: Annotated[JobAction, Meta(description="The action on each task.")]
    ids: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=512)]], Meta(max_length=1_000_000)] | None,
        Meta(description="Task ids."),
    ] = None
    query: Annotated[str | None, Meta(description="A search query, instead of `ids`.")] = None
    start: Annotated[str | None, Meta(description="Only tasks from this time on, as in `GET /tasks`.")] = None
    end: Annotated[str | None, Meta(description="Only tasks up to this time.")] = None
    time: Annotated[TimeKey, Meta(description="The time that `start` and `end` refer to.")] = "time"
    tz: Annotated[str | None, Meta(description="Time zone of times without a zone.")] = None
    signal: Annotated[str, Meta(description="Signal of the action `terminate`.", max_length=32)] = "SIGTERM"
    dry_run: Annotated[bool, Meta(description="Start no job; return the plan.")] = False
    expected_count: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Start only if exactly this number of tasks matches.")
    ] = None
    rate: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Maximum number of tasks per second.")] = None


class CreatedJob(msgspec.Struct, frozen=True, kw_only=True):
    """The started `job`, or with `dry_run` the `plan`."""

    job: Job | UnsetType = UNSET
    plan: JobPlan | UnsetType = UNSET


class JobListParams(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Jobs per page.")] = 100
    cursor: Annotated[str, Meta(description="`next_cursor` of the previous page.")] = ""


class JobParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The job's id.", examples=["5f0c9a3b17de"])]


_OutcomeParam = Annotated[str, Meta(extra_json_schema={"enum": list(ITEM_OUTCOMES)})]


class JobItemListParams(JobParams, frozen=True, kw_only=True):
    outcome: Annotated[tuple[_OutcomeParam, ...], Meta(description="Only items with one of these outcomes.")] = ()
    cursor: Annotated[str, Meta(description="`next_cursor` of the previous page.")] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Items per page.")] = 1_000


class JobExportParams(JobParams, frozen=True, kw_only=True):
    format: Annotated[Literal["ndjson", "csv"], Meta(description="`csv` is for spreadsheets.")] = "ndjson"


class JobList(msgspec.Struct, frozen=True):
    """Newest first."""

    jobs: tuple[Job, ...]
    next_cursor: str | None = None


class JobItemList(msgspec.Struct, frozen=True):
    """The tasks of a job, in the order in which they are processed."""

    items: tuple[JobItem, ...]
    next_cursor: str | None = None


def create_job(ctx: RequestContext, params: NoParams, body: CreateJobBody) -> CreatedJob:
    server = ctx.server
    if (body.ids is None) == (body.query is None):
        raise InvalidRequest("Exactly one of ids and query is required", hint='{"query": ""} selects all tasks')
    signal = parse_signal(body.signal) if body.action == "terminate" else ""
    selection = Selection(
        body.ids, body.query, {"start": body.start, "end": body.end, "time": body.time, "tz": body.tz}
    )
    rate = min(body.rate or server.bulk_rate, server.bulk_rate)
    if body.dry_run:
        app = server.app()
        ctx.audit_note.message = "dry run: no job was started"
        plan = plan_job(
            server.recorded_reader,
            body.action,
            selection,
            limit=server.bulk_limit,
            rate=rate,
            is_abortable=lambda name: cluster.task_registry.is_abortable(app, name),
        )
        return CreatedJob(plan=plan)
    if server.read_only:  # this server runs no jobs
        raise Forbidden("Read only mode is enabled")
    jobs = server.ledger.jobs
    job = start_job(
        server.recorded_reader,
        server.ledger,
        body.action,
        selection,
        by=ctx.identity.name,
        limit=server.bulk_limit,
        rate=rate,
        signal=signal,
        expected=body.expected_count,
    )
    ctx.audit_note.targets += [job.id, *(item.task for item in jobs.items(job.id))]
    ctx.audit_note.message = f"{job.total} tasks"
    return CreatedJob(job=job)


def list_jobs(ctx: RequestContext, params: JobListParams, body: None) -> JobList:
    jobs = ctx.server.ledger.jobs.jobs(limit=params.limit + 1, before=params.cursor or None)
    has_next = len(jobs) > params.limit
    return JobList(tuple(jobs[: params.limit]), jobs[params.limit - 1].id if has_next else None)


def get_job(ctx: RequestContext, params: JobParams, body: None) -> Job:
    return _require_job(ctx.server.ledger.jobs.job(params.id), params.id)


def list_job_items(ctx: RequestContext, params: JobItemListParams, body: None) -> JobItemList:
    jobs = ctx.server.ledger.jobs
    _require_job(jobs.job(params.id), params.id)
    outcomes: Sequence[Any] = params.outcome
    after = _parse_index(params.cursor) if params.cursor else -1
    items = jobs.items(params.id, outcomes=outcomes, after=after, limit=params.limit + 1)
    has_next = len(items) > params.limit
    return JobItemList(tuple(items[: params.limit]), str(items[params.limit - 1].index) if has_next else None)


def _parse_index(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _MAX_CURSOR_DIGITS):
        raise InvalidRequest(f"Invalid cursor '{cursor}'", hint="omit it to get the first page")
    return int(cursor)


#: No index of an item has more digits.
_MAX_CURSOR_DIGITS: Final = 15


def export_job_items(ctx: RequestContext, params: JobExportParams, body: None) -> StreamingBody:
    ledger = ctx.server.ledger
    _require_job(ledger.jobs.job(params.id), params.id)
    chunks = serialize_job_items(iter_job_items(ledger, params.id), params.format)
    headers = {"content-disposition": f'attachment; filename="job-{params.id}.{params.format}"'}
    return StreamingBody(EXPORT_MEDIA_TYPES[params.format], chunks, headers)


def stop_job(ctx: RequestContext, params: JobParams, body: None) -> Job:
    return _require_job(ctx.server.ledger.jobs.request_stop(params.id), params.id)


def _require_job(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise NotFound(f"Unknown job '{job_id}'", hint="GET /api/v1/jobs lists the ids")
    return job


_JOB_EXAMPLE: Final[dict[str, Any]] = {
    "id": "5f0c9a3b17de",
    "action": "rerun",
    "state": "running",
    "created_by": "ann",
    "created_at": 1795342600.0,
    "finished_at": None,
    "query": "state:FAILURE name:shop.*",
    "signal": "",
    "rate": 100.0,
    "total": 2000,
    "outcomes": {"waiting": 1499, "in_progress": 1, "done": 498, "refused": 2},
    "stopping": False,
}
_JOB_ITEMS_EXAMPLE: Final[dict[str, Any]] = {
    "items": [
        {
            "index": 0,
            "task": "charge-18",
            "outcome": "done",
            "message": "sent as 6d1f7f0c-6f0c-4f0e-9a0e-2b7c3f1c9d11",
            "new_task": "6d1f7f0c-6f0c-4f0e-9a0e-2b7c3f1c9d11",
            "started_at": 1795342600.5,
            "finished_at": 1795342600.6,
        }
    ],
    "next_cursor": "0",
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST", "/jobs", "createJob", "jobs", "Start a bulk job, or preview it", create_job,
        body=CreateJobBody, response=CreatedJob, permission="tasks", audit_action="job.create",
        example={"job": {**_JOB_EXAMPLE, "outcomes": {"waiting": 2000}}},
        body_example={"action": "rerun", "query": "state:FAILURE name:shop.*", "start": "-1h", "expected_count": 2000},
    ),
    Route(
        "GET", "/jobs", "listJobs", "jobs", "List bulk jobs, newest first", list_jobs,
        params=JobListParams, response=JobList, example={"jobs": [_JOB_EXAMPLE], "next_cursor": None},
    ),
    Route(
        "GET", "/jobs/{id}", "getJob", "jobs", "Get a bulk job with its progress", get_job,
        params=JobParams, response=Job, example=_JOB_EXAMPLE,
    ),
    Route(
        "GET", "/jobs/{id}/items", "listJobItems", "jobs", "List the tasks of a job with their outcomes",
        list_job_items, params=JobItemListParams, response=JobItemList, example=_JOB_ITEMS_EXAMPLE,
    ),
    Route(
        "GET", "/jobs/{id}/export", "exportJobItems", "jobs", "Export the tasks of a job with their outcomes",
        export_job_items, params=JobExportParams,
        media_types=(EXPORT_MEDIA_TYPES["ndjson"], EXPORT_MEDIA_TYPES["csv"]),
    ),
    Route(
        "POST", "/jobs/{id}/stop", "stopJob", "jobs",
        "Stop a job before its next task; the remaining tasks are not run", stop_job,
        params=JobParams, response=Job, permission="tasks", audit_action="job.stop",
        example={**_JOB_EXAMPLE, "stopping": True},
    ),
)  # fmt: skip
