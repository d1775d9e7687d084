"""Queue statistics of every supported broker: the table of adapters and the functions that use it."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from celery import Celery
from kombu.connection import Connection

from flower.cluster import thread_pools
from flower.cluster.connection import app_or_current, broker_connection
from flower.cluster.queues import kombu_virtual, rabbitmq_management, sqs
from flower.cluster.queues.stats import QueueLength, QueueStats
from flower.cluster.remote_control import call_workers
from flower.errors import NotFound


def configured_queues(app: Celery) -> set[str]:
    """Names of the queues in the application's configuration."""
    return {str(app.conf.task_default_queue), *(str(queue.name) for queue in app.conf.task_queues or ())}


#: Called with the application, a connection, queue names and the management API's URL ("" = default URL).
StatsAdapter: TypeAlias = Callable[[Celery, Connection, Sequence[str], str], list[QueueStats]]


def _redis_adapter(app: Celery, connection: Connection, names: Sequence[str], broker_api: str) -> list[QueueStats]:
    from flower.cluster.queues import redis  # noqa: PLC0415 - redis-py is optional

    return redis.redis_queue_stats(connection, names)


#: Adapters by driver type, independent of the spelling of the URL: rediss and sentinel are `redis`, amqps is `amqp`.
ADAPTERS: dict[str, StatsAdapter] = {
    "redis": _redis_adapter,
    "amqp": rabbitmq_management.management_queue_stats,
    "sqs": lambda app, connection, names, broker_api: sqs.sqs_queue_stats(connection, names),
}


async def queue_stats(app: Celery, names: Iterable[str], *, broker_api: str = "") -> list[QueueStats]:
    """Statistics of these queues, sorted by name. A queue that the broker does not know is left out; on Redis, which
    has no empty queues, it is empty.

    Raises NotFound for brokers without an adapter, BackendUnavailable.
    """
    queue_names = sorted(set(names))

    def work() -> list[QueueStats]:
        with broker_connection(app) as connection:
            return select_adapter(app, connection)(app, connection, queue_names, broker_api)

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, work)


async def queue_lengths(names: Iterable[str] | None = None, *, app: Celery | None = None) -> list[QueueLength]:
    """The number of ready messages by queue, sorted by name. Without names: the queues that workers consume, or, if
    there are none, those of the application's configuration. A queue that the broker does not know is left out.

    Raises NotFound for brokers without an adapter.
    """
    app = app_or_current(app)
    wanted = set(names) if names is not None else await _active_queue_names(app)
    return [stats.as_queue_length for stats in await queue_stats(app, wanted)]


async def _active_queue_names(app: Celery) -> set[str]:
    replies = await call_workers(app, "active_queues", {})
    names = {str(queue["name"]) for queues in replies.values() for queue in queues if "name" in queue}
    return names or configured_queues(app)


def select_adapter(app: Celery, connection: Connection) -> StatsAdapter:
    """The adapter of the connection's transport. Raises NotFound."""
    adapter = ADAPTERS.get(str(connection.transport.driver_type))
    if adapter is not None:
        return adapter
    if kombu_virtual.can_count(connection):
        return lambda app, connection, names, broker_api: kombu_virtual.virtual_queue_stats(connection, names)
    raise NotFound(f"'{connection.transport_cls}' broker is not supported")
