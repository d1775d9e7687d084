"""Modes of a run: broker, result backend, and whether workers also write durable events."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Mode:
    name: str
    #: as in the published table
    title: str
    broker: Literal["redis", "rabbitmq"]
    has_backend: bool
    has_durable_events: bool = False

    @property
    def is_lossless(self) -> bool:
        """Whether the broker keeps events while the monitor does not read them."""
        return self.broker == "rabbitmq" or self.has_durable_events


RABBITMQ = Mode("rabbitmq", "RabbitMQ", "rabbitmq", has_backend=True)
REDIS = Mode("redis", "Redis", "redis", has_backend=True)
REDIS_ONLY = Mode("redis-no-backend", "Redis, no result backend", "redis", has_backend=False)
# Without a result backend: nothing but the events themselves can be the source.
REDIS_DURABLE = Mode("redis-durable", "Redis, durable events", "redis", has_backend=False, has_durable_events=True)

MODES = {mode.name: mode for mode in (RABBITMQ, REDIS, REDIS_ONLY, REDIS_DURABLE)}
