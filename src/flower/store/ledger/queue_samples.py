"""How the queues were: noted by the web servers every few seconds, kept for some time."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

#: Seconds between two samples of a queue. Those of several web servers that fall into the same stretch are one.
SAMPLE_INTERVAL: Final = 15

#: Seconds that samples are kept as they were; then those of five minutes are put together, and kept for longer.
RAW_SAMPLE_RETENTION: Final = 2 * 86_400
SAMPLE_RETENTION: Final = 90 * 86_400
COARSE_SAMPLE_INTERVAL: Final = 300

#: Stretches of time that one question may ask for.
MAX_HISTORY_BUCKETS: Final = 2_000


class QueueSample(msgspec.Struct, frozen=True):
    """A queue at a moment; None is what the broker does not tell. `at` is the beginning of the sample's stretch of
    time, epoch seconds. `ready` messages wait for a worker, `unacknowledged` ones were given to a worker that has not
    confirmed them. `oldest` is how long the oldest message had waited, in seconds."""

    queue: str
    at: float
    ready: int | None = None
    unacknowledged: int | None = None
    consumers: int | None = None
    oldest: float | None = None


class QueueBucket(msgspec.Struct, frozen=True):
    """A queue over a stretch of time that begins at `at`: the mean of `ready`, and of everything the extreme that
    matters: most messages, fewest consumers, the oldest message."""

    start_at: float
    samples: int
    ready_avg: float | None
    ready_max: int | None
    unacked_max: int | None
    consumers_min: int | None
    oldest_message_age_max: float | None


class QueueSamples(Protocol):
    def add(self, samples: Sequence[QueueSample]) -> None:
        """Keep these; `at` is rounded down to SAMPLE_EVERY, and what was noted of the same queue and stretch before is
        replaced. What is too old goes, a bounded part of it each time."""
        ...

    def latest(self, after: float = 0.0) -> Sequence[QueueSample]:
        """The newest sample of each queue, by name; only queues that were sampled after this time."""
        ...

    def list_since(self, after: float) -> Sequence[QueueSample]:
        """All samples after this time, by queue and then the oldest first."""
        ...

    def history(self, queue: str, start: float, end: float, width: float) -> Sequence[QueueBucket]:
        """Stretches of `width` seconds from `start` to `end`, those without a sample left out, the oldest first; at
        most MAX_STRETCHES of them. What is older than KEPT_EXACT is known by stretches of COARSE seconds."""
        ...
