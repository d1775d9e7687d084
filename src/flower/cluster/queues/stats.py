"""Queue statistics as a broker reports them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

#: The form of Flower: `name`, `messages`, and whatever else the broker tells.
QueueLength: TypeAlias = dict[str, Any]


class QueueStats(msgspec.Struct, frozen=True):
    """None is what the broker does not tell. `ready` messages wait for a worker; `unacknowledged` ones were given to a
    worker that has not confirmed them."""

    name: str
    ready: int | None = None
    unacknowledged: int | None = None
    consumers: int | None = None
    #: when the oldest message that waits was sent, epoch seconds, if messages carry a time
    oldest_sent_at: float | None = None
    #: else the tasks one of whose messages is the oldest, for those who know when they were sent
    head_task_ids: tuple[str, ...] = ()
    #: the whole object of a management API
    broker_fields: Mapping[str, Any] | None = None

    @property
    def as_queue_length(self) -> QueueLength:
        if self.broker_fields is not None:
            return dict(self.broker_fields)
        known = {"messages": self.ready, "consumers": self.consumers}
        return {"name": self.name, **{key: value for key, value in known.items() if value is not None}}
