"""Actions on one task."""

from typing import Any

import msgspec

from flower.api.actions import task_registry as registry
from flower.api.actions.models import ActionContext, RegisteredTasks, SentTask, WorkerReplies
from flower.api.actions.rerun import rerun_task, run_task
from flower.api.actions.stop import abort_task, revoke_task, terminate_task
from flower.api.thread_pool import run_in_thread
from flower.http.v1.params import TaskParams
from flower.http.v1.route import NoParams, RequestContext
from flower.http.v1.tasks import RegisteredTaskParams, RerunTaskBody, RunTaskBody, SendOptions, TerminateTaskBody


async def action_context(acting: RequestContext) -> ActionContext:
    # loading the application imports the user's modules, for as long as that takes
    context = acting.server
    return ActionContext(context.recorded_reader, await run_in_thread(context.app), context.ledger, context.redactor)


async def rerun(acting: RequestContext, asked: TaskParams, body: RerunTaskBody) -> SentTask:
    means = await action_context(acting)
    by = acting.identity.name
    options = _send_options(body)
    sent = await rerun_task(means, asked.uuid, body.args, body.kwargs, by=by, dry_run=body.dry_run, **options)
    _record_sent_task(acting, sent)
    return sent


async def run(acting: RequestContext, asked: RegisteredTaskParams, body: RunTaskBody) -> SentTask:
    sent = await run_task(await action_context(acting), asked.name, body.args, body.kwargs, **_send_options(body))
    _record_sent_task(acting, sent)
    return sent


async def revoke(acting: RequestContext, asked: TaskParams, body: None) -> WorkerReplies:
    return await revoke_task(await action_context(acting), asked.uuid)


async def terminate(acting: RequestContext, asked: TaskParams, body: TerminateTaskBody) -> WorkerReplies:
    return await terminate_task(await action_context(acting), asked.uuid, body.signal)


async def abort(acting: RequestContext, asked: TaskParams, body: None) -> WorkerReplies:
    return await abort_task(await action_context(acting), asked.uuid)


async def registered(acting: RequestContext, asked: NoParams, body: None) -> RegisteredTasks:
    return await registry.registered_tasks((await action_context(acting)).app)


def _record_sent_task(acting: RequestContext, sent: SentTask) -> None:
    if sent.task is None:
        acting.audit_note.message = "dry run: nothing was sent"
    else:
        acting.audit_note.targets.append(sent.task)


def _send_options(body: SendOptions) -> dict[str, Any]:
    return {name: getattr(body, name) for name in msgspec.structs.asdict(SendOptions())}
