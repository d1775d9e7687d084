"""What Celery itself still knows of a task that was sent once: the result backend (with `result_extended`), and the
worker that has it. Unlike the text of events this is never cut."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from celery import Celery

from flower.cluster import results, thread_pools
from flower.cluster.connection import translate_broker_errors
from flower.cluster.remote_control import call_workers

MetadataSource: TypeAlias = Literal["result backend", "worker"]


@dataclass(frozen=True, slots=True)
class TaskMetadata:
    """None is what is not known there."""

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
    """None where nothing is kept of it. Raises Unavailable."""
    if results.result_pool(app) == "rpc":
        return None  # its messages are results only, and reading them would take them from whoever waits
    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, lambda: _read_backend(app, task_id))


async def metadata_from_worker(app: Celery, task_id: str, hostname: str) -> TaskMetadata | None:
    """None if the worker does not have it (any more), or does not answer. Raises Unavailable."""
    answers = await call_workers(app, "query_task", {"ids": [task_id]}, [hostname])
    found = answers.get(hostname)
    state_and_info = found.get(task_id) if isinstance(found, dict) else None
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
        priority=_integer(delivery.get("priority")),
    )


async def is_in_backend(app: Celery, task_id: str) -> bool:
    """Whether the result backend has anything under that id. Raises Unavailable."""
    if results.result_pool(app) == "rpc":
        return False

    def look() -> bool:
        return results.has_backend(app) and results.is_known_state(results.read_result(app, task_id)["state"])

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, look)


def queue_for_routing_key(app: Celery, routing_key: str) -> str | None:
    """The queue that a message with this routing key went to, as far as the application's configuration tells: all
    that the result backend keeps of where a task was sent is the routing key."""
    queues = app.amqp.queues
    for queue in list(queues.values()):
        if routing_key in (queue.name, queue.routing_key):
            return str(queue.name)
    # Without a list of queues Celery makes each one when it is first named, with a routing key of the same name.
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
        "result backend",
        name=_text(meta.get("name")),
        args=_args(meta.get("args")),
        kwargs=_kwargs(meta.get("kwargs")),
        routing_key=_text(meta.get("queue")),  # so it is called, and the routing key is what is in it
        headers={**stamps, "stamped_headers": list(stamps), "stamps": stamps} if stamps else {},
    )


def _args(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, list | tuple) else None


def _kwargs(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
