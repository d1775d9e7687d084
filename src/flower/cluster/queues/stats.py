"""The statistics of a queue."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

#: Flower's format: `name`, `messages`, and further fields that the broker reports.
QueueLength: TypeAlias = dict[str, Any]


class QueueStats(msgspec.Struct, frozen=True):
    """Statistics of one queue; None for values that the broker does not report. `ready` messages wait for a worker;
    `unacknowledged` messages were delivered to a worker that has not acknowledged them."""

    name: str
    ready: int | None = None
    unacknowledged: int | None = None
    consumers: int | None = None
    #: when the oldest ready message was sent, epoch seconds, if messages have a timestamp
    oldest_sent_at: float | None = None
    #: otherwise the ids of tasks, one of which has the oldest message; the caller may know when they were sent
    head_task_ids: tuple[str, ...] = ()
    #: the complete object of the management API
    broker_fields: Mapping[str, Any] | None = None

    @property
    def as_queue_length(self) -> QueueLength:
        """The queue in Flower's format."""
        if self.broker_fields is not None:
            return dict(self.broker_fields)
        known = {"messages": self.ready, "consumers": self.consumers}
        return {"name": self.name, **{key: value for key, value in known.items() if value is not None}}
