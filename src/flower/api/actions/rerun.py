"""Re-run a task with the same or other arguments; run a registered task."""

import time
import uuid as uuids
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from flower import cluster
from flower.api.actions.models import ActionContext, SentTask
from flower.api.actions.rerun_source import ArgumentSource, RerunSource, load_rerun_source
from flower.api.json_encoder import to_json_safe
from flower.api.thread_pool import run_in_thread
from flower.cluster.calls import build_call
from flower.errors import BackendUnavailable, FlowerError, Forbidden, NotRegistered
from flower.store.ledger.reruns import Rerun

#: Header of a re-run (`self.request.headers` in the task): the id of the original task.
ORIGIN_HEADER: Final = "bellflower-rerun-of"


async def rerun_task(
    ctx: ActionContext,
    uuid: str,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    by: str = "",
    task_id: str | None = None,
    job: str | None = None,
    dry_run: bool = False,
    **options: Any,
) -> SentTask:
    """Send a task again as a new root task with a new id (`task_id`, if given), and link it to the original in the
    ledger.

    `args` and `kwargs` default to those of the original. `options` are those of Celery's `apply_async` and override
    what is known of the original. Tasks that follow the original (chain, chord, callbacks) are not sent, because events
    do not contain them. With `dry_run` nothing is sent, and the result contains what would be sent.

    Raises TruncatedArguments if arguments are neither given nor completely known, NoSuchTask, InvalidRequest,
    BackendUnavailable."""
    source = await load_rerun_source(ctx, uuid)
    task_call = build_call(
        source.name,
        _override(args, source.args),
        _override(kwargs, source.kwargs),
        {**source.delivery, **{name: value for name, value in options.items() if value is not None}},
    )
    headers = {**source.headers, **(task_call.options.get("headers") or {}), ORIGIN_HEADER: uuid}
    task_call.options["headers"] = headers
    result = _build_reply(source, task_call.options, given=(args is not None, kwargs is not None))
    if dry_run:
        return msgspec.structs.replace(
            result,
            args=redact_arguments(ctx, task_call.args),
            kwargs=redact_arguments(ctx, task_call.kwargs),
            headers=redact_arguments(ctx, headers),
        )
    new_id = task_id or str(uuids.uuid4())
    task_call.options["task_id"] = new_id
    link = Rerun(
        origin=uuid,
        task=new_id,
        created_at=time.time(),
        created_by=by,
        edited=args is not None or kwargs is not None,
        job=job,
        priority=task_call.options.get("priority"),
    )
    registered = await cluster.task_registry.is_registered(ctx.app, source.name)
    await _link_rerun(ctx, link)
    try:
        await cluster.tasks.submit_call(ctx.app, task_call, registered=registered)
    except BackendUnavailable:
        raise  # the message may have arrived: the link remains, unconfirmed
    except FlowerError:
        await _unlink_rerun(ctx, new_id)
        raise
    await _confirm_rerun(ctx, new_id)
    return msgspec.structs.replace(result, task=new_id)


async def run_task(
    ctx: ActionContext,
    name: str,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> SentTask:
    """Send a task that is registered in this process or on a worker. Raises NotRegistered, InvalidRequest if the
    arguments do not match its signature (which is known only if it is registered in this process),
    BackendUnavailable."""
    task_call = build_call(name, args, kwargs, {key: value for key, value in options.items() if value is not None})
    is_local = await cluster.task_registry.is_registered(ctx.app, name)
    if not is_local:
        names_by_worker = await cluster.task_registry.worker_task_names(ctx.app)
        if not any(name in names for names in names_by_worker.values()):
            raise NotRegistered(name)
    submitted = await cluster.tasks.submit_call(ctx.app, task_call, registered=is_local)
    return SentTask(
        task=submitted["task-id"],
        name=name,
        queue=task_call.options.get("queue"),
        exchange=task_call.options.get("exchange"),
        routing_key=task_call.options.get("routing_key"),
        priority=task_call.options.get("priority"),
    )


def redact_arguments(ctx: ActionContext, value: Any) -> Any:
    """Arguments that do not come from events, redacted. All results of actions pass through here."""
    return ctx.redactor.mask_value(to_json_safe(value))


def _override(value: Any, source: ArgumentSource) -> Any:
    if value is not None:
        return value
    if source.problem is not None:
        raise source.problem
    return source.value


def _build_reply(source: RerunSource, options: Mapping[str, Any], *, given: tuple[bool, bool]) -> SentTask:
    """`given`: whether args and kwargs are those of the request."""
    return SentTask(
        task=None,
        name=source.name,
        origin=source.uuid,
        args_from="given" if given[0] else source.args.source,
        kwargs_from="given" if given[1] else source.kwargs.source,
        queue=options.get("queue"),
        exchange=options.get("exchange"),
        routing_key=options.get("routing_key"),
        priority=options.get("priority"),
        unknown_options=tuple(name for name in source.unknown_options if options.get(name) is None),
        workflow=source.workflow,
    )


async def _link_rerun(ctx: ActionContext, link: Rerun) -> None:
    ledger = ctx.ledger
    if ledger is not None and not await run_in_thread(lambda: ledger.reruns.add(link)):
        raise Forbidden(f"A re-run with the id '{link.task}' already exists", hint="choose another task id")


async def _confirm_rerun(ctx: ActionContext, task: str) -> None:
    ledger = ctx.ledger
    if ledger is not None:
        await run_in_thread(lambda: ledger.reruns.mark_sent(task))


async def _unlink_rerun(ctx: ActionContext, task: str) -> None:
    ledger = ctx.ledger
    if ledger is not None:
        await run_in_thread(lambda: ledger.reruns.delete(task))
