"""Samples of queue lengths, recorded by the web servers at a fixed interval."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

#: Seconds between two samples of a queue. Samples of several web servers in the same interval are one.
SAMPLE_INTERVAL: Final = 15

#: Seconds that exact samples are retained; then they are aggregated to intervals of five minutes, which are retained
#: longer.
RAW_SAMPLE_RETENTION: Final = 2 * 86_400
SAMPLE_RETENTION: Final = 90 * 86_400
COARSE_SAMPLE_INTERVAL: Final = 300

#: Maximum number of buckets of one request.
MAX_HISTORY_BUCKETS: Final = 2_000


class QueueSample(msgspec.Struct, frozen=True):
    """A queue at one moment; None is unknown to the broker. `at` is the start of the sample interval, epoch seconds.
    `ready` messages wait for a worker, `unacknowledged` ones were delivered to a worker and are not acknowledged.
    `oldest` is how long the oldest message has waited, in seconds."""

    queue: str
    at: float
    ready: int | None = None
    unacknowledged: int | None = None
    consumers: int | None = None
    oldest: float | None = None


class QueueBucket(msgspec.Struct, frozen=True):
    """A queue over an interval that begins at `start_at`: average and maximum of `ready`, maximum of the unacknowledged
    messages, minimum of the consumers, and the maximum age of the oldest message in seconds."""

    start_at: float
    samples: int
    ready_avg: float | None
    ready_max: int | None
    unacked_max: int | None
    consumers_min: int | None
    oldest_message_age_max: float | None


class QueueSamples(Protocol):
    """Methods raise StoreFull and StoreError."""

    def add(self, samples: Sequence[QueueSample]) -> None:
        """Store samples; `at` is rounded down to SAMPLE_INTERVAL, and a sample of the same queue and interval is
        replaced. Also aggregates and removes old samples, a bounded number each time."""
        ...

    def latest(self, after: float = 0.0) -> Sequence[QueueSample]:
        """The latest sample of each queue, by name; only queues that were sampled after this time."""
        ...

    def list_since(self, after: float) -> Sequence[QueueSample]:
        """All samples after this time, by queue, oldest first."""
        ...

    def history(self, queue: str, start: float, end: float, width: float) -> Sequence[QueueBucket]:
        """Buckets of `width` seconds from `start` to `end`, oldest first; buckets without a sample are absent, and
        there are at most MAX_HISTORY_BUCKETS. Samples older than RAW_SAMPLE_RETENTION are aggregated to
        COARSE_SAMPLE_INTERVAL seconds."""
        ...
