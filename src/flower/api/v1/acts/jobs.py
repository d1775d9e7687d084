"""Counting and starting bulk jobs."""

from functools import partial

from flower.api.actions.plans import Selection, plan_job, start_job
from flower.api.actions.stopping import signal_name
from flower.api.reading import read
from flower.api.v1.acting import Acting, Nothing
from flower.api.v1.actions.jobs import JobBody, StartedJob
from flower.cluster.registered import is_abortable
from flower.errors import Forbidden, Invalid


async def start(acting: Acting, asked: Nothing, body: JobBody) -> StartedJob:
    context = acting.context
    if (body.ids is None) == (body.query is None):
        raise Invalid("Either ids or a query say which tasks", hint='every task is {"query": ""}')
    signal = signal_name(body.signal) if body.action == "terminate" else ""
    selection = Selection(
        body.ids, body.query, {"start": body.start, "end": body.end, "time": body.time, "tz": body.tz}
    )
    rate = min(body.rate or context.bulk_rate, context.bulk_rate)
    if body.dry_run:
        app = await read(context.app)
        plan = partial(
            plan_job,
            context.records,
            body.action,
            selection,
            limit=context.bulk_limit,
            rate=rate,
            abortable=lambda name: is_abortable(app, name),
        )
        acting.note.message = "dry run: nothing was started"
        return StartedJob(plan=await read(plan))
    if context.read_only:  # nobody would work it off
        raise Forbidden("Read only mode is enabled")
    begin = partial(
        start_job,
        context.records,
        context.ledger,
        body.action,
        selection,
        by=acting.identity.name,
        limit=context.bulk_limit,
        rate=rate,
        signal=signal,
        expected=body.expected,
    )
    job = await read(begin)
    acting.note.targets += [job.id, *await read(lambda: [item.task for item in context.ledger.jobs.items(job.id)])]
    acting.note.message = f"{job.total} tasks"
    return StartedJob(job=job)
