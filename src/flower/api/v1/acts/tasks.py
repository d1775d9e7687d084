"""Actions on one task."""

from typing import Any

import msgspec

from flower.api.actions import registered as registry
from flower.api.actions.answers import RegisteredTasks, Sent, Told
from flower.api.actions.means import Means
from flower.api.actions.running import rerun_task, run_task
from flower.api.actions.stopping import abort_task, revoke_task, terminate_task
from flower.api.reading import read
from flower.api.v1.acting import Acting, Nothing
from flower.api.v1.actions.tasks import OneName, Options, RerunBody, RunBody, TerminateBody
from flower.api.v1.asked import OneTask


async def means_of(acting: Acting) -> Means:
    # loading the application imports the user's modules, for as long as that takes
    context = acting.context
    return Means(context.records, await read(context.app), context.ledger, context.redactor)


async def rerun(acting: Acting, asked: OneTask, body: RerunBody) -> Sent:
    means = await means_of(acting)
    by = acting.identity.name
    options = _options(body)
    sent = await rerun_task(means, asked.uuid, body.args, body.kwargs, by=by, dry_run=body.dry_run, **options)
    _note(acting, sent)
    return sent


async def run(acting: Acting, asked: OneName, body: RunBody) -> Sent:
    sent = await run_task(await means_of(acting), asked.name, body.args, body.kwargs, **_options(body))
    _note(acting, sent)
    return sent


async def revoke(acting: Acting, asked: OneTask, body: None) -> Told:
    return await revoke_task(await means_of(acting), asked.uuid)


async def terminate(acting: Acting, asked: OneTask, body: TerminateBody) -> Told:
    return await terminate_task(await means_of(acting), asked.uuid, body.signal)


async def abort(acting: Acting, asked: OneTask, body: None) -> Told:
    return await abort_task(await means_of(acting), asked.uuid)


async def registered(acting: Acting, asked: Nothing, body: None) -> RegisteredTasks:
    return await registry.registered_tasks((await means_of(acting)).app)


def _note(acting: Acting, sent: Sent) -> None:
    if sent.task is None:
        acting.note.message = "dry run: nothing was sent"
    else:
        acting.note.targets.append(sent.task)


def _options(body: Options) -> dict[str, Any]:
    return {name: getattr(body, name) for name in msgspec.structs.asdict(Options())}
