"""What is told of a queue."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

#: The form of Flower: `name`, `messages`, and whatever else the broker tells.
QueueLength: TypeAlias = dict[str, Any]


class QueueFigures(msgspec.Struct, frozen=True):
    """None is what the broker does not tell. `ready` messages wait for a worker; `unacknowledged` ones were given to a
    worker that has not confirmed them."""

    name: str
    ready: int | None = None
    unacknowledged: int | None = None
    consumers: int | None = None
    #: when the oldest message that waits was sent, epoch seconds, if messages carry a time
    oldest: float | None = None
    #: else the tasks one of whose messages is the oldest, for those who know when they were sent
    heads: tuple[str, ...] = ()
    #: the whole object of a management API
    told: Mapping[str, Any] | None = None

    @property
    def length(self) -> QueueLength:
        if self.told is not None:
            return dict(self.told)
        known = {"messages": self.ready, "consumers": self.consumers}
        return {"name": self.name, **{key: value for key, value in known.items() if value is not None}}
