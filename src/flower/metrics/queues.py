"""The queues, by their newest samples."""

from collections.abc import Iterator, Sequence
from typing import Final

from flower.metrics.families import CONSUMERS, OLDEST, READY, SAMPLED, UNACKNOWLEDGED
from flower.metrics.text import gauge, labels
from flower.store.ledger.samples import SAMPLE_EVERY, QueueSample
from flower.tallies import OTHER

#: Seconds after which a sample tells nothing of now.
STALE: Final = 4.0 * SAMPLE_EVERY


def gauges(samples: Sequence[QueueSample], most: int) -> Iterator[bytes]:
    """Of more queues than `most`, the longest ones; the others together."""
    found = sorted(samples, key=lambda sample: -(sample.ready or 0))
    told = sorted(found[:most], key=lambda sample: sample.queue)
    if len(found) > most:
        told.append(_together(found[most:]))
    where = {sample.queue: labels(queue=sample.queue) for sample in told}
    yield gauge(READY, {where[sample.queue]: sample.ready for sample in told})
    yield gauge(UNACKNOWLEDGED, {where[sample.queue]: sample.unacknowledged for sample in told})
    yield gauge(CONSUMERS, {where[sample.queue]: sample.consumers for sample in told})
    yield gauge(OLDEST, {where[sample.queue]: sample.oldest for sample in told})
    yield gauge(SAMPLED, {where[sample.queue]: sample.at for sample in told})


def _together(samples: Sequence[QueueSample]) -> QueueSample:
    def known(name: str) -> list[float]:
        return [value for sample in samples if (value := getattr(sample, name)) is not None]

    def total(name: str) -> int | None:
        values = known(name)
        return int(sum(values)) if values else None

    return QueueSample(
        OTHER,
        min(sample.at for sample in samples),
        total("ready"),
        total("unacknowledged"),
        total("consumers"),
        max(known("oldest"), default=None),
    )
