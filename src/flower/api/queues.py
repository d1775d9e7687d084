"""State of the queues: current statistics from the broker, names of queues in recent tasks, and rates: how fast queues
fill and drain.

Rates are computed from recorded tasks by queue and from samples of the queue depth. Unknown values are None, never 0.
Only task-sent events name the queue of a task, so rates are known for queues named by such an event within the last
day, while the recorder is recording.
"""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec

from flower import cluster
from flower.api.inspection import load_celery_app
from flower.api.thread_pool import run_in_thread
from flower.api.worker_states import find_live_workers
from flower.errors import FlowerError
from flower.recorder_status import RecorderStatus
from flower.search.parser import parse_search
from flower.search.tree import Term, all_of
from flower.store.ledger import Ledger
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Reader
from flower.store.query_results import Facets

if TYPE_CHECKING:
    from flower.api.context import Context  # which contains the cache of queue names
    from flower.cluster.queues import QueueStats

#: The tasks whose queues are listed; a queue that is no longer used disappears after a day.
_RECENT_QUERY: Final = "sent:>-1d"
_REFRESH_INTERVAL: Final = 60.0
MAX_QUEUE_NAMES: Final = 500

#: Seconds over which rates and trends are computed, and the minimum for a rate.
RATE_WINDOW: Final = 300.0
MIN_RATE_WINDOW: Final = 30.0
#: Minimum number of samples for a trend, and minimum seconds between the first and the last of them.
_MIN_SAMPLES: Final = 3
_MIN_SAMPLES_SPAN: Final = 40.0
#: A queue is growing if it gained this many messages within the window, and this part of its depth.
_MIN_GROWTH: Final = 5.0
_MIN_RELATIVE_GROWTH: Final = 0.05
#: Seconds; a queue that needs longer to drain counts as not draining.
_MAX_TIME_TO_EMPTY: Final = 30 * 86_400.0
_MAX_QUEUES: Final = 1_000


class QueueRates(msgspec.Struct, frozen=True):
    """`arrivals_per_second`: tasks sent; `departures_per_second`: tasks started; `slope`: growth of the depth in
    messages per second; `time_to_empty`: seconds until the queue is empty at the current rate, None if unknown or if
    the queue is not draining. All None if unknown."""

    arrivals_per_second: float | None = None
    departures_per_second: float | None = None
    slope: float | None = None
    growing: bool | None = None
    time_to_empty: float | None = None
    #: the depth at each sample, oldest first
    depths: tuple[int, ...] = ()


class QueueNameCache:
    """Names of the queues of recent tasks. They are read once a minute, because the query covers many tasks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._expires = 0.0

    def get(self, store: Reader) -> frozenset[str]:
        """At most MAX_QUEUE_NAMES names, those with most tasks. If the store exceeds its time limit, the previous
        names."""
        with self._lock:
            if time.monotonic() >= self._expires:
                try:
                    facets = store.facets(parse_search(_RECENT_QUERY), ("queue",), limit=MAX_QUEUE_NAMES).facets
                    self._names = frozenset(str(each.value) for each in facets["queue"].values if each.value)
                except FlowerError:
                    pass
                self._expires = time.monotonic() + _REFRESH_INTERVAL
            return self._names


async def get_current_queues(context: "Context") -> "list[QueueStats]":
    """Statistics from the broker of the queues that workers consume or consumed, or else of the queues in the
    application's configuration; and of the queues of recent tasks. Raises NotFound for a broker without statistics,
    BackendUnavailable."""
    app = await load_celery_app(context)
    consumed = {queue for inspection in context.inspections.all().values() for queue in inspection.queues}
    recorded = await run_in_thread(lambda: context.queue_names.get(context.store))
    names = (consumed or cluster.queues.configured_queues(app)) | recorded
    return await cluster.queues.queue_stats(app, names, broker_api=context.broker_api)


async def get_current_samples(context: "Context") -> list[QueueSample]:
    """The same, with the age of the oldest message where it is known."""
    queues = await get_current_queues(context)
    return await run_in_thread(lambda: _build_samples(context, queues, time.time()))


async def record_queue_samples(context: "Context") -> None:
    """Write a sample of each queue to the ledger."""
    samples = await get_current_samples(context)
    await run_in_thread(lambda: context.ledger.queue_samples.add(samples))


def _build_samples(context: "Context", queues: "Sequence[QueueStats]", now: float) -> list[QueueSample]:
    return [
        QueueSample(
            queue.name,
            now,
            queue.ready,
            queue.unacknowledged,
            queue.consumers,
            _oldest_message_age(context.store, queue, now),
        )
        for queue in queues
    ]


def _oldest_message_age(store: Reader, queue: "QueueStats", now: float) -> float | None:
    """Seconds. Where messages have no timestamp, the task-sent events of the tasks at the head of the queue are used. A
    task that is not recorded may be the oldest, so the age is unknown then."""
    if not queue.ready:
        return None
    if queue.oldest_sent_at is not None:
        return max(now - queue.oldest_sent_at, 0.0)
    tasks = [store.task(uuid) for uuid in queue.head_task_ids]
    sent = [task.sent for task in tasks if task is not None and task.sent is not None]
    return max(now - min(sent), 0.0) if sent and len(sent) == len(tasks) else None


def get_current_rates(context: "Context") -> Mapping[str, QueueRates]:
    """The rates of all queues with samples or recent tasks."""
    reader = context.recorded_reader
    return compute_rates(reader, context.ledger, context.queue_names.get(reader), time.time())


def compute_rates(
    store: Reader, ledger: Ledger, queues_with_events: Collection[str], now: float
) -> Mapping[str, QueueRates]:
    """`queues_with_events`: the queues named by recent task-sent events."""
    samples = group_by_queue(ledger.queue_samples.list_since(now - RATE_WINDOW))
    arrivals, departures = compute_task_rates(store, now)
    return {
        queue: compute_queue_rates(
            samples.get(queue, ()),
            arrivals.get(queue, 0.0) if arrivals is not None and queue in queues_with_events else None,
            departures.get(queue, 0.0) if departures is not None and queue in queues_with_events else None,
        )
        for queue in {*samples, *queues_with_events}
    }


def list_queue_consumers(context: "Context") -> Mapping[str, tuple[str, ...]]:
    """By queue: the workers online that consume it according to their last inspection reply."""
    live_workers = find_live_workers(context.store, time.time())
    consumers: dict[str, tuple[str, ...]] = {}
    for name, inspection in context.inspections.all().items():
        for queue in inspection.queues if name in live_workers else ():
            consumers[queue] = (*consumers.get(queue, ()), name)
    return consumers


def group_by_queue(samples: Sequence[QueueSample]) -> dict[str, tuple[QueueSample, ...]]:
    """`samples` must be sorted by queue."""
    return {queue: tuple(group) for queue, group in groupby(samples, lambda sample: sample.queue)}


def compute_task_rates(store: Reader, now: float) -> tuple[Mapping[str, float] | None, Mapping[str, float] | None]:
    """Tasks sent and tasks started per second, by queue; None if the recorder has not been recording long enough."""
    seconds = get_recording_seconds(RecorderStatus.from_dict(store.recorder_status()), now)
    if seconds < MIN_RATE_WINDOW:
        return None, None
    recent = Term("timestamp", "range", (now - seconds, None))
    sent = store.facets(all_of([recent, Term("sent", "range", (now - seconds, None))]), ("queue",), limit=_MAX_QUEUES)
    started = store.facets(Term("started", "range", (now - seconds, None)), ("queue",), limit=_MAX_QUEUES)
    return _per_second(sent, seconds), _per_second(started, seconds)


def get_recording_seconds(status: RecorderStatus, now: float) -> float:
    """Seconds of the rate window during which the recorder has been running until now; 0 if it is not recording."""
    if status.started_at is None or not status.is_recording(now):
        return 0.0
    return max(0.0, min(RATE_WINDOW, now - status.started_at))


def compute_queue_rates(samples: Sequence[QueueSample], arrivals: float | None, departures: float | None) -> QueueRates:
    """The rates of one queue; `samples` oldest first."""
    depths = [(sample.at, sample.ready) for sample in samples if sample.ready is not None]
    slope = compute_slope(depths)
    ready = depths[-1][1] if depths else None
    return QueueRates(
        arrivals,
        departures,
        slope,
        is_growing(depths, slope, arrivals, departures),
        estimate_time_to_empty(ready, slope, arrivals, departures),
        tuple(depth for _, depth in depths),
    )


def compute_slope(depths: Sequence[tuple[float, int]]) -> float | None:
    """Messages per second by least squares over (time, depth); None if the samples are too few or too close
    together."""
    if len(depths) < _MIN_SAMPLES or depths[-1][0] - depths[0][0] < _MIN_SAMPLES_SPAN:
        return None
    average_time = sum(moment for moment, _ in depths) / len(depths)
    average_depth = sum(depth for _, depth in depths) / len(depths)
    variance = sum((moment - average_time) ** 2 for moment, _ in depths)
    return sum((moment - average_time) * (depth - average_depth) for moment, depth in depths) / variance


def is_growing(
    depths: Sequence[tuple[float, int]], slope: float | None, arrivals: float | None, departures: float | None
) -> bool | None:
    """Samples from the broker take precedence over rates from events. None if unknown."""
    if slope is not None:
        growth = slope * (depths[-1][0] - depths[0][0])
        return growth >= max(_MIN_GROWTH, _MIN_RELATIVE_GROWTH * sum(depth for _, depth in depths) / len(depths))
    if arrivals is None or departures is None:
        return None
    return arrivals - departures >= max(_MIN_GROWTH / RATE_WINDOW, _MIN_RELATIVE_GROWTH * departures)


def estimate_time_to_empty(
    ready: int | None, slope: float | None, arrivals: float | None, departures: float | None
) -> float | None:
    """Seconds; None if unknown, or if the queue is not draining."""
    if ready is None:
        return None
    if ready == 0:
        return 0.0
    if slope is not None:
        drain_rate = -slope
    elif arrivals is not None and departures is not None:
        drain_rate = departures - arrivals
    else:
        return None
    return ready / drain_rate if drain_rate * _MAX_TIME_TO_EMPTY > ready else None


def _per_second(facets: Facets, seconds: float) -> dict[str, float]:
    values = facets.facets["queue"].values
    return {str(each.value): each.count / seconds for each in values if each.value is not None}
