"""Queues: how they are, and how they were."""

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Final

import msgspec
from anyio import to_thread
from msgspec import UNSET, Meta, UnsetType

from flower.api.query_params import choose_buckets, parse_time_bound, parse_time_zone
from flower.api.queues import QueueRates, estimate_time_to_empty, get_current_rates, list_queue_consumers
from flower.api.thread_pool import run_in_thread
from flower.http.v1.params import BucketCountParam, BucketWidthParam
from flower.http.v1.route import ActionRoute, NoParams, RequestContext
from flower.store.ledger.queue_samples import QueueBucket, QueueSample

#: Seconds of history where nobody says.
_DEFAULT_HISTORY: Final = 6 * 3600.0


class QueueRow(msgspec.Struct, frozen=True):
    """Null is what the broker does not tell. `ready` messages wait for a worker, `unacknowledged` ones were given to a
    worker that has not confirmed them; `consumers` is the broker's count; `oldest` is how long the oldest message that
    waits has done so, in seconds. `workers` are those that live and said that they consume it.

    `in_rate` and `out_rate` are tasks sent and begun a second, over the last five minutes, null where no `task-sent`
    event names the queue. `growing`: whether it does, over the same time. `empty_in`: seconds until it is empty if it
    goes on like this, -1 for never."""

    name: str
    ready: int | None
    unacked: int | None
    consumers: int | None
    oldest_message_age: float | None
    workers: tuple[str, ...]
    arrivals_per_second: float | None
    departures_per_second: float | None
    growing: bool | None
    time_to_empty: float | None


class QueueList(msgspec.Struct, frozen=True):
    """`at`: when the broker was asked."""

    sampled_at: float
    queues: tuple[QueueRow, ...]


class QueueHistory(msgspec.Struct, frozen=True):
    """Stretches of `width` seconds, the oldest first; those without a sample are left out."""

    name: str
    start_at: float
    width: float
    buckets: tuple[QueueBucket, ...]


class QueueHistoryParams(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="The queue's name.", examples=["celery"])]
    start: Annotated[
        str, Meta(description="From then on: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds. Default: `-6h`.")
    ] = ""
    end: Annotated[str, Meta(description="Until then. Default: now.")] = ""
    tz: Annotated[str, Meta(description="The zone of times that name none. Default: the server's.")] = ""
    buckets: BucketCountParam = 60
    width: BucketWidthParam | UnsetType = UNSET


async def list_queues(acting: RequestContext, asked: NoParams, body: None) -> QueueList:
    module = await to_thread.run_sync(import_module, "flower.api.queues")
    found: Sequence[QueueSample] = await module.get_current_samples(acting.server)
    consumers = await run_in_thread(lambda: list_queue_consumers(acting.server))
    rates = await run_in_thread(lambda: get_current_rates(acting.server))
    return QueueList(
        time.time(), tuple(_queue_row(each, rates.get(each.queue, QueueRates()), consumers) for each in found)
    )


def _queue_row(found: QueueSample, rates: QueueRates, consumers: Mapping[str, tuple[str, ...]]) -> QueueRow:
    # the depth of this moment, which is newer than the last sample
    left = estimate_time_to_empty(found.ready, rates.slope, rates.arrivals_per_second, rates.departures_per_second)
    return QueueRow(
        name=found.queue,
        ready=found.ready,
        unacked=found.unacknowledged,
        consumers=found.consumers,
        oldest_message_age=found.oldest,
        workers=consumers.get(found.queue, ()),
        arrivals_per_second=rates.arrivals_per_second,
        departures_per_second=rates.departures_per_second,
        growing=rates.growing,
        time_to_empty=left,
    )


async def get_queue_history(acting: RequestContext, asked: QueueHistoryParams, body: None) -> QueueHistory:
    now = time.time()
    zone = parse_time_zone(asked.tz)
    end = parse_time_bound(asked.end, "end", zone, now)
    end = now if end is None else end
    start = parse_time_bound(asked.start, "start", zone, now)
    start = end - _DEFAULT_HISTORY if start is None else start
    width = None if asked.width is UNSET else asked.width
    span = choose_buckets(start, end, buckets=asked.buckets, width=width, zone=zone, key="received")
    samples = acting.server.ledger.queue_samples
    found = await run_in_thread(lambda: samples.history(asked.name, span.start_at, span.end, span.width))
    return QueueHistory(asked.name, span.start_at, span.width, tuple(found))


QUEUE_ROUTES: tuple[ActionRoute, ...] = (
    ActionRoute(
        "GET",
        "/queues",
        "listQueues",
        "queues",
        "The queues as the broker has them now",
        "view",
        NoParams,
        None,
        QueueList,
        list_queues,
        {
            "at": 1795342592.0,
            "queues": [
                {
                    "name": "celery",
                    "ready": 3,
                    "unacknowledged": 4,
                    "consumers": None,
                    "oldest": 1.75,
                    "workers": ["celery@w1"],
                    "in_rate": 2.5,
                    "out_rate": 4.0,
                    "growing": False,
                    "empty_in": 2.0,
                }
            ],
        },
    ),
    ActionRoute(
        "GET",
        "/queues/{name:path}/history",
        "getQueueHistory",
        "queues",
        "How a queue was over time",
        "view",
        QueueHistoryParams,
        None,
        QueueHistory,
        get_queue_history,
        {
            "name": "celery",
            "start": 1795342200.0,
            "width": 300.0,
            "stretches": [
                {
                    "at": 1795342200.0,
                    "samples": 20,
                    "ready": 2.5,
                    "ready_most": 7,
                    "unacknowledged_most": 4,
                    "consumers_fewest": None,
                    "oldest": 1.75,
                }
            ],
        },
    ),
)
