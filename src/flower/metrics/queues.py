"""The queues, by their newest samples."""

from collections.abc import Iterator, Sequence
from typing import Final

from flower.metrics.families import CONSUMERS, OLDEST, READY, SAMPLED, UNACKNOWLEDGED
from flower.metrics.text import format_gauge, format_labels
from flower.store.ledger.samples import SAMPLE_INTERVAL, QueueSample
from flower.tallies import OTHER

#: Seconds after which a sample tells nothing of now.
MAX_QUEUE_SAMPLE_AGE: Final = 4.0 * SAMPLE_INTERVAL


def queue_gauges(samples: Sequence[QueueSample], most: int) -> Iterator[bytes]:
    """Of more queues than `most`, the longest ones; the others together."""
    found = sorted(samples, key=lambda sample: -(sample.ready or 0))
    told = sorted(found[:most], key=lambda sample: sample.queue)
    if len(found) > most:
        told.append(_aggregate_samples(found[most:]))
    where = {sample.queue: format_labels(queue=sample.queue) for sample in told}
    yield format_gauge(READY, {where[sample.queue]: sample.ready for sample in told})
    yield format_gauge(UNACKNOWLEDGED, {where[sample.queue]: sample.unacknowledged for sample in told})
    yield format_gauge(CONSUMERS, {where[sample.queue]: sample.consumers for sample in told})
    yield format_gauge(OLDEST, {where[sample.queue]: sample.oldest for sample in told})
    yield format_gauge(SAMPLED, {where[sample.queue]: sample.at for sample in told})


def _aggregate_samples(samples: Sequence[QueueSample]) -> QueueSample:
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
