"""Queue lengths of a broker by its URL, for other programs: the class of Flower's module `flower.utils.broker`."""

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.connection import Connection

from flower.cluster import thread_pools
from flower.cluster.connection import configure_connection, translate_broker_errors
from flower.cluster.queues.adapters import select_adapter
from flower.cluster.queues.stats import QueueLength, QueueStats
from flower.errors import BackendUnavailable, NotFound

log = logging.getLogger(__name__)


class Broker:
    """The queues of the broker at this URL. `http_api` is the URL of RabbitMQ's management API, `broker_options` and
    `broker_use_ssl` are Celery's settings `broker_transport_options` and `broker_use_ssl`.

    Raises NotImplementedError for a broker whose queues cannot be counted, ValueError for invalid options."""

    def __init__(
        self,
        broker_url: str,
        http_api: str | None = None,
        *_: Any,
        broker_options: Mapping[str, Any] | None = None,
        broker_use_ssl: Any = None,
        **__: Any,
    ) -> None:
        scheme = urlsplit(broker_url).scheme
        options = dict(broker_options or {})
        if scheme == "sentinel" and "master_name" not in options:
            raise ValueError("master_name is required for a Sentinel broker: set it in broker_options")
        self._http_api = http_api or ""
        self._app = Celery("flower-broker", set_as_current=False, broker_use_ssl=broker_use_ssl)
        try:
            # not the application's connection: its URL can be overridden by CELERY_BROKER_URL
            create: Any = partial(Connection, broker_url, ssl=broker_use_ssl)
            self._connection: Any = configure_connection(create, options)
            self._adapter = select_adapter(self._app, self._connection)
        except (KeyError, NotFound) as error:
            raise NotImplementedError(f"'{scheme}' broker is not supported") from error
        self._is_amqp = self._connection.transport.driver_type == "amqp"

    async def queues(self, names: Iterable[str]) -> list[QueueLength]:
        """`name` and `messages` of each queue, in the given order, with further fields that the broker reports. A queue
        that RabbitMQ does not know is left out. If RabbitMQ is unreachable, the list is empty and the error is logged,
        as in Flower; other brokers raise BackendUnavailable, which is a ConnectionError."""
        ordered = list(names)
        try:
            stats = await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, lambda: self._read_stats(ordered))
        except BackendUnavailable as error:
            if not self._is_amqp:
                raise
            log.error("Queue lengths: %s", error.message)
            return []
        by_name = {each.name: each.as_queue_length for each in stats}
        return [by_name[name] for name in ordered if name in by_name]

    def _read_stats(self, names: Iterable[str]) -> list[QueueStats]:
        with translate_broker_errors(), self._connection.clone() as connection:
            return self._adapter(self._app, connection, sorted(set(names)), self._http_api)
