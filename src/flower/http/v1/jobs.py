"""Routes of bulk jobs. Only counting and starting one may need Celery."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.actions.bulk_plan import JobPlan
from flower.api.actions.bulk_report import iter_job_items, serialize_job_items
from flower.api.exporter import EXPORT_MEDIA_TYPES
from flower.api.thread_pool import run_in_thread
from flower.errors import NotFound
from flower.http.v1.route import ActionRoute, NoParams, RequestContext, lazy_handler
from flower.http.v1.streaming_body import StreamingBody
from flower.store.ledger.jobs import ITEM_OUTCOMES, Job, JobAction, JobItem
from flower.store.query_results import TimeKey

_HANDLERS_MODULE = "flower.http.v1.job_handlers"


class CreateJobBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tasks: `ids`, or else all that `query` lets through within the window, where an empty query is every task.

    With `dry_run` nothing is started, and the answer has the `plan`. `expected` is the count that you were shown: if
    another number of tasks matches now, nothing is started. `rate` may be lower than the server's own."""

    action: Annotated[JobAction, Meta(description="What to do to each task.")]
    ids: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=512)]], Meta(max_length=1_000_000)] | None,
        Meta(description="The tasks with these ids."),
    ] = None
    query: Annotated[str | None, Meta(description="A query of the search language, instead of `ids`.")] = None
    start: Annotated[str | None, Meta(description="Only tasks from then on; times are written as in questions.")] = None
    end: Annotated[str | None, Meta(description="Only tasks until then.")] = None
    time: Annotated[TimeKey, Meta(description="The time that `start` and `end` are about.")] = "received"
    tz: Annotated[str | None, Meta(description="The zone of times that name none.")] = None
    signal: Annotated[str, Meta(description="Of `terminate`.", max_length=32)] = "SIGTERM"
    dry_run: Annotated[bool, Meta(description="Start nothing, and tell what would be.")] = False
    expected_count: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Start only if it is exactly so many tasks.")
    ] = None
    rate: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Tasks a second at most.")] = None


class CreatedJob(msgspec.Struct, frozen=True, kw_only=True):
    """Either of them."""

    job: Job | UnsetType = UNSET
    plan: JobPlan | UnsetType = UNSET


class JobListParams(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Jobs at most.")] = 100
    before: Annotated[str, Meta(description="The id of the job that the page before ended with.")] = ""


class JobParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The job's id.", examples=["5f0c9a3b17de"])]


_OutcomeParam = Annotated[str, Meta(extra_json_schema={"enum": list(ITEM_OUTCOMES)})]


class JobItemListParams(JobParams, frozen=True, kw_only=True):
    outcome: Annotated[tuple[_OutcomeParam, ...], Meta(description="Only tasks with one of these outcomes.")] = ()
    after: Annotated[int, Meta(ge=-1, le=2**53, description="The `next` of the page before.")] = -1
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Tasks on a page.")] = 1_000


class JobExportParams(JobParams, frozen=True, kw_only=True):
    format: Annotated[Literal["ndjson", "csv"], Meta(description="`csv` is for spreadsheets.")] = "ndjson"


class JobList(msgspec.Struct, frozen=True):
    """Newest first."""

    jobs: tuple[Job, ...]


class JobItemList(msgspec.Struct, frozen=True):
    """The tasks of a job, in the order in which they are worked off; `next` is where the next page begins, null on the
    last one."""

    items: tuple[JobItem, ...]
    next: int | None = None


async def list_jobs(acting: RequestContext, asked: JobListParams, body: None) -> JobList:
    ledger = acting.server.ledger
    return JobList(tuple(await run_in_thread(lambda: ledger.jobs.jobs(limit=asked.limit, before=asked.before or None))))


async def get_job(acting: RequestContext, asked: JobParams, body: None) -> Job:
    ledger = acting.server.ledger
    return _require_job(await run_in_thread(lambda: ledger.jobs.job(asked.id)), asked.id)


async def list_job_items(acting: RequestContext, asked: JobItemListParams, body: None) -> JobItemList:
    ledger = acting.server.ledger

    def look() -> JobItemList:
        _require_job(ledger.jobs.job(asked.id), asked.id)
        outcomes: Sequence[Any] = asked.outcome
        found = ledger.jobs.items(asked.id, outcomes=outcomes, after=asked.after, limit=asked.limit + 1)
        more = len(found) > asked.limit
        return JobItemList(tuple(found[: asked.limit]), found[asked.limit - 1].index if more else None)

    return await run_in_thread(look)


async def export_job_items(acting: RequestContext, asked: JobExportParams, body: None) -> StreamingBody:
    ledger = acting.server.ledger

    def look() -> StreamingBody:
        _require_job(ledger.jobs.job(asked.id), asked.id)
        pieces = serialize_job_items(iter_job_items(ledger, asked.id), asked.format)
        headers = {"content-disposition": f'attachment; filename="job-{asked.id}.{asked.format}"'}
        return StreamingBody(EXPORT_MEDIA_TYPES[asked.format], pieces, headers)

    return await run_in_thread(look)


async def stop_job(acting: RequestContext, asked: JobParams, body: None) -> Job:
    """It stops before the next task; what is being done is ended."""
    ledger = acting.server.ledger
    return _require_job(await run_in_thread(lambda: ledger.jobs.request_stop(asked.id)), asked.id)


def _require_job(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise NotFound(f"There is no job '{job_id}'")
    return job


_JOB_EXAMPLE = {
    "id": "5f0c9a3b17de",
    "action": "rerun",
    "state": "running",
    "by": "ann",
    "created": 1795342600.0,
    "ended": None,
    "query": "state:FAILURE name:shop.*",
    "signal": "",
    "rate": 100.0,
    "total": 2000,
    "outcomes": {"waiting": 1499, "begun": 1, "done": 498, "refused": 2},
    "aborting": False,
}

JOB_ROUTES: tuple[ActionRoute, ...] = (
    ActionRoute(
        "POST",
        "/jobs",
        "startJob",
        "jobs",
        "Do one thing to many tasks: count them, or start",
        "tasks",
        NoParams,
        CreateJobBody,
        CreatedJob,
        lazy_handler(_HANDLERS_MODULE, "start"),
        {"job": {**_JOB_EXAMPLE, "outcomes": {"waiting": 2000}}},
        {"action": "rerun", "query": "state:FAILURE name:shop.*", "start": "-1h", "expected": 2000},
        "job.start",
    ),
    ActionRoute(
        "GET",
        "/jobs",
        "listJobs",
        "jobs",
        "Bulk jobs, newest first",
        "view",
        JobListParams,
        None,
        JobList,
        list_jobs,
        {"jobs": [_JOB_EXAMPLE]},
    ),
    ActionRoute(
        "GET",
        "/jobs/{id}",
        "getJob",
        "jobs",
        "One bulk job and how far it is",
        "view",
        JobParams,
        None,
        Job,
        get_job,
        _JOB_EXAMPLE,
    ),
    ActionRoute(
        "GET",
        "/jobs/{id}/tasks",
        "listJobTasks",
        "jobs",
        "What became of each task of a job",
        "view",
        JobItemListParams,
        None,
        JobItemList,
        list_job_items,
        {
            "items": [
                {
                    "place": 0,
                    "task": "charge-18",
                    "outcome": "done",
                    "message": "sent as 6d1f7f0c-6f0c-4f0e-9a0e-2b7c3f1c9d11",
                    "new_task": "6d1f7f0c-6f0c-4f0e-9a0e-2b7c3f1c9d11",
                    "begun": 1795342600.5,
                    "ended": 1795342600.6,
                }
            ],
            "next": 0,
        },
    ),
    ActionRoute(
        "GET",
        "/jobs/{id}/export",
        "exportJob",
        "jobs",
        "What became of each task of a job, as a file",
        "view",
        JobExportParams,
        None,
        None,
        export_job_items,
        {},
        media_types=(EXPORT_MEDIA_TYPES["ndjson"], EXPORT_MEDIA_TYPES["csv"]),
    ),
    ActionRoute(
        "POST",
        "/jobs/{id}/abort",
        "abortJob",
        "jobs",
        "Stop a job: what still waits is left alone",
        "tasks",
        JobParams,
        None,
        Job,
        stop_job,
        {**_JOB_EXAMPLE, "aborting": True},
        audit_action="job.abort",
    ),
)
