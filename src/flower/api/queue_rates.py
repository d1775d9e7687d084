"""Queue rates: how fast queues fill and empty, from recorded tasks by queue and from samples of the queue depth.

What cannot be known is None, never 0. Which queue a task went to only `task-sent` events tell, so rates are known of
queues that such events have named within the last day, while the recorder is at work.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flower.search.tree import Term, all_of
from flower.store.ledger import Ledger
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Reader
from flower.store.query_results import Facets

if TYPE_CHECKING:  # the context holds the health report, which depends on rates
    from flower.api.context import Context

#: Seconds over which rates and trends are taken, and the fewest that tell anything.
RATE_WINDOW: Final = 300.0

MIN_RATE_WINDOW: Final = 30.0

#: Samples that make a trend, and the seconds between the first and the last of them.
_MIN_SAMPLES: Final = 3

_MIN_SAMPLES_SPAN: Final = 40.0

#: A queue grows if it gained so many messages within the window, and such a part of what it held.
_MIN_GROWTH: Final = 5.0

_MIN_RELATIVE_GROWTH: Final = 0.05

#: Emptying that takes longer than this, in seconds, is never.
_MAX_TIME_TO_EMPTY: Final = 30 * 86_400.0

_MAX_QUEUES: Final = 1_000

#: Seconds after which a recorder that says nothing has stopped or hangs.
RECORDER_TIMEOUT: Final = 15.0


class QueueRates(msgspec.Struct, frozen=True):
    """Tasks a second that come in and that are begun, None if unknown. `slope`: messages a second by which the depth
    grows. `empty_in`: seconds until it is empty if it goes on like this, -1 for never."""

    arrivals_per_second: float | None = None
    departures_per_second: float | None = None
    slope: float | None = None
    growing: bool | None = None
    time_to_empty: float | None = None
    #: the depth at each sample, the oldest first
    depths: tuple[int, ...] = ()


def get_current_rates(context: "Context") -> Mapping[str, QueueRates]:
    """Of all queues that samples or tasks tell of."""
    return compute_rates(
        context.recorded_reader, context.ledger, context.queue_names.get(context.recorded_reader), time.time()
    )


def compute_rates(
    store: Reader, ledger: Ledger, queues_with_events: Collection[str], now: float
) -> Mapping[str, QueueRates]:
    """`named`: the queues that `task-sent` events have told of lately."""
    samples = group_by_queue(ledger.queue_samples.list_since(now - RATE_WINDOW))
    coming, going = compute_task_rates(store, now)
    return {
        queue: compute_queue_rates(
            samples.get(queue, ()),
            coming.get(queue, 0.0) if coming is not None and queue in queues_with_events else None,
            going.get(queue, 0.0) if going is not None and queue in queues_with_events else None,
        )
        for queue in {*samples, *queues_with_events}
    }


def list_queue_consumers(context: "Context") -> Mapping[str, tuple[str, ...]]:
    """The workers that live and said that they consume it, by queue."""
    now = time.time()
    alive = {name for name, worker in context.store.workers().items() if worker.is_alive(now)}
    found: dict[str, tuple[str, ...]] = {}
    for name, inspected in context.inspections.all().items():
        for queue in inspected.queues if name in alive else ():
            found[queue] = (*found.get(queue, ()), name)
    return found


def group_by_queue(samples: Sequence[QueueSample]) -> dict[str, tuple[QueueSample, ...]]:
    """`samples` ordered by queue."""
    return {queue: tuple(group) for queue, group in groupby(samples, lambda sample: sample.queue)}


def compute_task_rates(store: Reader, now: float) -> tuple[Mapping[str, float] | None, Mapping[str, float] | None]:
    """Tasks a second that were sent and that were begun, by queue; None if the recorder has not been at work."""
    seconds = get_recording_seconds(store.recorder_status(), now)
    if seconds < MIN_RATE_WINDOW:
        return None, None
    recent = Term("timestamp", "range", (now - seconds, None))
    sent = store.facets(all_of([recent, Term("sent", "range", (now - seconds, None))]), ("queue",), limit=_MAX_QUEUES)
    begun = store.facets(Term("started", "range", (now - seconds, None)), ("queue",), limit=_MAX_QUEUES)
    return _per_second(sent, seconds), _per_second(begun, seconds)


def get_recording_seconds(status: Mapping[str, Any], now: float) -> float:
    """Seconds of the window that the recorder has been at work for, until now; 0 if it is not."""
    at, since, capture = status.get("at"), status.get("since"), status.get("capture")
    connected = isinstance(capture, dict) and bool(capture.get("connected"))
    if not isinstance(at, int | float) or not isinstance(since, int | float) or not connected:
        return 0.0
    if now - at > RECORDER_TIMEOUT or not status.get("running") or status.get("trouble"):
        return 0.0
    return max(0.0, min(RATE_WINDOW, now - since))


def compute_queue_rates(samples: Sequence[QueueSample], coming: float | None, going: float | None) -> QueueRates:
    """`samples` of one queue, the oldest first."""
    depths = [(sample.at, sample.ready) for sample in samples if sample.ready is not None]
    slope = compute_slope(depths)
    ready = depths[-1][1] if depths else None
    return QueueRates(
        coming,
        going,
        slope,
        is_growing(depths, slope, coming, going),
        estimate_time_to_empty(ready, slope, coming, going),
        tuple(depth for _, depth in depths),
    )


def compute_slope(depths: Sequence[tuple[float, int]]) -> float | None:
    """Messages a second, by least squares; None for samples that are too few or too close to tell."""
    if len(depths) < _MIN_SAMPLES or depths[-1][0] - depths[0][0] < _MIN_SAMPLES_SPAN:
        return None
    mean_at = sum(at for at, _ in depths) / len(depths)
    mean = sum(depth for _, depth in depths) / len(depths)
    spread = sum((at - mean_at) ** 2 for at, _ in depths)
    return sum((at - mean_at) * (depth - mean) for at, depth in depths) / spread


def is_growing(
    depths: Sequence[tuple[float, int]], slope: float | None, coming: float | None, going: float | None
) -> bool | None:
    """What was measured at the broker counts before what events tell."""
    if slope is not None:
        gain = slope * (depths[-1][0] - depths[0][0])
        return gain >= max(_MIN_GROWTH, _MIN_RELATIVE_GROWTH * sum(depth for _, depth in depths) / len(depths))
    if coming is None or going is None:
        return None
    return coming - going >= max(_MIN_GROWTH / RATE_WINDOW, _MIN_RELATIVE_GROWTH * going)


def estimate_time_to_empty(
    ready: int | None, slope: float | None, coming: float | None, going: float | None
) -> float | None:
    """Seconds; -1 is never, None unknown."""
    if ready is None:
        return None
    if ready == 0:
        return 0.0
    drain = -slope if slope is not None else None if coming is None or going is None else going - coming
    if drain is None:
        return None
    return ready / drain if drain * _MAX_TIME_TO_EMPTY > ready else -1.0


def _per_second(found: Facets, seconds: float) -> dict[str, float]:
    return {str(each.value): each.count / seconds for each in found.facets["queue"].values if each.value is not None}
