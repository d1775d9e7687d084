"""Run a task again, as it was or with other arguments; run any registered task."""

import time
import uuid as uuids
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower.api.actions.models import ActionContext, SentTask
from flower.api.actions.rerun_source import ArgumentSource, RerunSource, load_rerun_source
from flower.api.json_encoder import to_json_safe
from flower.api.thread_pool import run_in_thread
from flower.cluster import tasks
from flower.cluster.calls import build_call
from flower.cluster.registered import is_registered, worker_task_names
from flower.errors import BackendUnavailable, FlowerError, Forbidden, NotRegistered
from flower.store.ledger.reruns import Rerun

#: The header that a re-run carries to its worker (`self.request.headers` there): the id of its origin.
ORIGIN_HEADER = "bellflower-rerun-of"


async def rerun_task(
    means: ActionContext,
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
    """Send a task once more, with a new id (`task_id`, if one is given), as a new root, and note whose re-run it is.

    Of `args` and `kwargs` what is not given is the origin's. `options` are those of Celery's `apply_async` and win
    over what is known of the origin. Nothing that comes after the origin (chain, chord, callbacks) is sent: events do
    not tell of it. With `dry_run` nothing is sent, and the answer holds what would be.

    Raises NotWhole if arguments that are not given are not known in full, NoSuchTask, Invalid, Unavailable."""
    origin = await load_rerun_source(means, uuid)
    asked = build_call(
        origin.name,
        _override("args", args, origin.args),
        _override("kwargs", kwargs, origin.kwargs),
        {**origin.delivery, **{name: value for name, value in options.items() if value is not None}},
    )
    headers = {**origin.headers, **(asked.options.get("headers") or {}), ORIGIN_HEADER: uuid}
    asked.options["headers"] = headers
    answer = _build_reply(origin, asked.options, given=(args is not None, kwargs is not None))
    if dry_run:
        seen = (redact_arguments(means, part) for part in (asked.args, asked.kwargs, headers))
        return msgspec.structs.replace(answer, **dict(zip(("args", "kwargs", "headers"), seen, strict=True)))
    new = task_id or str(uuids.uuid4())
    asked.options["task_id"] = new
    note = Rerun(
        origin=uuid,
        task=new,
        created_at=time.time(),
        created_by=by,
        edited=args is not None or kwargs is not None,
        job=job,
        priority=asked.options.get("priority"),
    )
    registered = await is_registered(means.app, origin.name)
    await _link_rerun(means, note)
    try:
        await tasks.submit_call(means.app, asked, registered=registered)
    except BackendUnavailable:
        raise  # it may have arrived: the note stays, and is not confirmed
    except FlowerError:
        await _unlink_rerun(means, new)
        raise
    await _confirm_rerun(means, new)
    return msgspec.structs.replace(answer, task=new)


async def run_task(
    means: ActionContext,
    name: str,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> SentTask:
    """Send a task that is registered in this process or at a worker. Raises NotRegistered, Invalid if the arguments do
    not fit its signature (which only this process knows), Unavailable."""
    asked = build_call(name, args, kwargs, {key: value for key, value in options.items() if value is not None})
    here = await is_registered(means.app, name)
    if not here and not any(name in names for names in (await worker_task_names(means.app)).values()):
        raise NotRegistered(name)
    sent = await tasks.submit_call(means.app, asked, registered=here)
    return SentTask(
        task=sent["task-id"],
        name=name,
        queue=asked.options.get("queue"),
        exchange=asked.options.get("exchange"),
        routing_key=asked.options.get("routing_key"),
        priority=asked.options.get("priority"),
    )


def redact_arguments(means: ActionContext, value: Any) -> Any:
    """Arguments that no event told, as they may be seen. The one place from which they leave."""
    return means.redactor.mask_value(to_json_safe(value))


def _override(part: str, value: Any, known: ArgumentSource) -> Any:
    if value is not None:
        return value
    if known.problem is not None:
        raise known.problem
    return known.value


def _build_reply(origin: RerunSource, options: Mapping[str, Any], *, given: tuple[bool, bool]) -> SentTask:
    return SentTask(
        task=None,
        name=origin.name,
        origin=origin.uuid,
        args_from="given" if given[0] else origin.args.source,
        kwargs_from="given" if given[1] else origin.kwargs.source,
        queue=options.get("queue"),
        exchange=options.get("exchange"),
        routing_key=options.get("routing_key"),
        priority=options.get("priority"),
        unknown_options=tuple(name for name in origin.unknown_options if options.get(name) is None),
    )


async def _link_rerun(means: ActionContext, note: Rerun) -> None:
    ledger = means.ledger
    if ledger is not None and not await run_in_thread(lambda: ledger.reruns.add(note)):
        raise Forbidden(
            f"A re-run with the id '{note.task}' is there already", hint="every re-run has an id of its own"
        )


async def _confirm_rerun(means: ActionContext, task: str) -> None:
    ledger = means.ledger
    if ledger is not None:
        await run_in_thread(lambda: ledger.reruns.mark_sent(task))


async def _unlink_rerun(means: ActionContext, task: str) -> None:
    ledger = means.ledger
    if ledger is not None:
        await run_in_thread(lambda: ledger.reruns.delete(task))
