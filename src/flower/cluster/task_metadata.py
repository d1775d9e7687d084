"""Metadata of a sent task: from the result backend (with `result_extended`) or from the worker that has it. In contrast
to the text of events it is never truncated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from celery import Celery

from flower.cluster import results, thread_pools
from flower.cluster.connection import translate_broker_errors
from flower.cluster.remote_control import call_workers
from flower.untrusted_values import convert_or_none

MetadataSource: TypeAlias = Literal["result_backend", "worker"]


@dataclass(frozen=True, slots=True)
class TaskMetadata:
    """None for unknown values."""

    source: MetadataSource
    name: str | None = None
    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)


async def metadata_from_backend(app: Celery, task_id: str) -> TaskMetadata | None:
    """None if the backend has no metadata. Raises BackendUnavailable."""
    if results.result_pool(app) == "rpc":
        return None  # rpc:// holds results only, and reading them would take them from the waiting client
    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, lambda: _read_backend(app, task_id))


async def metadata_from_worker(app: Celery, task_id: str, hostname: str) -> TaskMetadata | None:
    """None if the worker does not have the task (anymore) or does not reply. Raises BackendUnavailable."""
    replies = await call_workers(app, "query_task", {"ids": [task_id]}, [hostname])
    worker_reply = replies.get(hostname)
    state_and_info = worker_reply.get(task_id) if isinstance(worker_reply, dict) else None
    if not isinstance(state_and_info, list | tuple) or len(state_and_info) != 2:
        return None
    info = state_and_info[1]
    delivery = info.get("delivery_info") or {}
    return TaskMetadata(
        "worker",
        name=_text(info.get("name")),
        args=_args(info.get("args")),
        kwargs=_kwargs(info.get("kwargs")),
        exchange=delivery.get("exchange"),
        routing_key=_text(delivery.get("routing_key")),
        priority=convert_or_none(delivery.get("priority"), int),
    )


async def is_in_backend(app: Celery, task_id: str) -> bool:
    """Whether the result backend has a result under this id. Raises BackendUnavailable."""
    if results.result_pool(app) == "rpc":
        return False

    def work() -> bool:
        return results.has_backend(app) and results.is_known_state(results.read_result(app, task_id)["state"])

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, work)


def queue_for_routing_key(app: Celery, routing_key: str) -> str | None:
    """The queue to which a message with this routing key was sent, according to the application's configuration: the
    result backend stores only the routing key."""
    queues = app.amqp.queues
    for queue in list(queues.values()):
        if routing_key in (queue.name, queue.routing_key):
            return str(queue.name)
    # Without task_queues Celery creates each queue when it is first used, with a routing key of the same name.
    return None if app.conf.task_queues else routing_key


def _read_backend(app: Celery, task_id: str) -> TaskMetadata | None:
    if not results.has_backend(app):
        return None
    with translate_broker_errors():
        meta = app.backend.get_task_meta(task_id, cache=False)
    if not any(meta.get(key) is not None for key in ("name", "args", "kwargs", "queue")):
        return None
    stamps = {key: meta[key] for key in meta.get("stamped_headers") or () if key in meta}
    return TaskMetadata(
        "result_backend",
        name=_text(meta.get("name")),
        args=_args(meta.get("args")),
        kwargs=_kwargs(meta.get("kwargs")),
        routing_key=_text(meta.get("queue")),  # the field is named queue and holds the routing key
        headers={**stamps, "stamped_headers": list(stamps), "stamps": stamps} if stamps else {},
    )


def _args(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, list | tuple) else None


def _kwargs(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
