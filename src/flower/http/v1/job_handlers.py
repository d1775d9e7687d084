"""Counting and starting bulk jobs."""

from functools import partial

from flower.api.actions.bulk_plan import Selection, plan_job, start_job
from flower.api.actions.stop import parse_signal
from flower.api.thread_pool import run_in_thread
from flower.cluster.registered import is_abortable
from flower.errors import Forbidden, InvalidRequest
from flower.http.v1.jobs import CreatedJob, CreateJobBody
from flower.http.v1.route import NoParams, RequestContext


async def start(acting: RequestContext, asked: NoParams, body: CreateJobBody) -> CreatedJob:
    context = acting.server
    if (body.ids is None) == (body.query is None):
        raise InvalidRequest("Either ids or a query say which tasks", hint='every task is {"query": ""}')
    signal = parse_signal(body.signal) if body.action == "terminate" else ""
    selection = Selection(
        body.ids, body.query, {"start": body.start, "end": body.end, "time": body.time, "tz": body.tz}
    )
    rate = min(body.rate or context.bulk_rate, context.bulk_rate)
    if body.dry_run:
        app = await run_in_thread(context.app)
        plan = partial(
            plan_job,
            context.recorded_reader,
            body.action,
            selection,
            limit=context.bulk_limit,
            rate=rate,
            is_abortable=lambda name: is_abortable(app, name),
        )
        acting.audit_note.message = "dry run: nothing was started"
        return CreatedJob(plan=await run_in_thread(plan))
    if context.read_only:  # nobody would work it off
        raise Forbidden("Read only mode is enabled")
    begin = partial(
        start_job,
        context.recorded_reader,
        context.ledger,
        body.action,
        selection,
        by=acting.identity.name,
        limit=context.bulk_limit,
        rate=rate,
        signal=signal,
        expected=body.expected_count,
    )
    job = await run_in_thread(begin)
    acting.audit_note.targets += [
        job.id,
        *await run_in_thread(lambda: [item.task for item in context.ledger.jobs.items(job.id)]),
    ]
    acting.audit_note.message = f"{job.total} tasks"
    return CreatedJob(job=job)
