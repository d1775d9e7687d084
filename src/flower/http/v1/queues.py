"""Routes of queues: current statistics and history."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.query_params import choose_buckets, parse_time_bound, parse_time_zone
from flower.api.queues import (
    QueueRates,
    estimate_time_to_empty,
    get_current_rates,
    list_queue_consumers,
)
from flower.api.thread_pool import run_in_thread
from flower.errors import BackendUnavailable
from flower.http.v1.params import BucketCountParam, BucketWidthParam
from flower.http.v1.route import NoParams, RequestContext, Route
from flower.store.ledger.queue_samples import QueueBucket, QueueSample

#: Seconds of history by default.
_DEFAULT_HISTORY: Final = 6 * 3600.0
#: Seconds for which the last samples are shown while the broker is unreachable.
_MAX_SAMPLE_AGE: Final = 86_400.0


class QueueHistoryParams(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="The queue's name.", examples=["celery"])]
    start: Annotated[
        str,
        Meta(description="Start of the history: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds. Default: `-6h`."),
    ] = ""
    end: Annotated[str, Meta(description="End of the history. Default: now.")] = ""
    tz: Annotated[str, Meta(description="Time zone of times without a zone. Default: the server's time zone.")] = ""
    buckets: BucketCountParam = 60
    width: BucketWidthParam | UnsetType = UNSET


class QueueRow(msgspec.Struct, frozen=True):
    """Null: not reported by the broker. `ready` messages wait for a consumer, `unacked` messages are delivered and not
    acknowledged, `consumers` is the broker's count. `oldest_message_age` is the age of the oldest ready message in
    seconds. `workers` are the online workers that consume the queue.

    `arrivals_per_second` and `departures_per_second` are the tasks sent to and started from the queue over the last
    five minutes; null if no `task-sent` event names the queue. `growing`: the queue grew over the same time.
    `time_to_empty` is the number of seconds until the queue is empty at these rates; null if it does not shrink or the
    rates are unknown."""

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
    """`sampled_at`: the time of the broker's reply. If the broker is unreachable, the queues are those of the last
    samples of the last day, and `problem` states why; null otherwise."""

    sampled_at: float
    queues: tuple[QueueRow, ...]
    problem: str | None = None


class QueueHistory(msgspec.Struct, frozen=True):
    """Buckets of `width` seconds, oldest first, without those that have no sample."""

    name: str
    start_at: float
    width: float
    buckets: tuple[QueueBucket, ...]


async def list_queues(ctx: RequestContext, params: NoParams, body: None) -> QueueList:
    try:
        samples = await ctx.server.queue_depths.get(ctx.server)
    except BackendUnavailable as error:
        return await _list_last_samples(ctx, error)
    consumers = await run_in_thread(lambda: list_queue_consumers(ctx.server))
    rates = await run_in_thread(lambda: get_current_rates(ctx.server))
    rows = (_queue_row(sample, rates.get(sample.queue, QueueRates()), consumers) for sample in samples)
    return QueueList(min((sample.at for sample in samples), default=time.time()), tuple(rows))


async def _list_last_samples(ctx: RequestContext, error: BackendUnavailable) -> QueueList:
    """The last known state of the queues, without rates. Raises `error` if there is none."""
    since = time.time() - _MAX_SAMPLE_AGE
    samples = await run_in_thread(lambda: ctx.server.ledger.queue_samples.latest(since))
    if not samples:
        raise error
    consumers = await run_in_thread(lambda: list_queue_consumers(ctx.server))
    rows = tuple(_queue_row(sample, QueueRates(), consumers) for sample in samples)
    return QueueList(max(sample.at for sample in samples), rows, "The broker is unreachable.")


def _queue_row(sample: QueueSample, rates: QueueRates, consumers: Mapping[str, tuple[str, ...]]) -> QueueRow:
    return QueueRow(
        name=sample.queue,
        ready=sample.ready,
        unacked=sample.unacknowledged,
        consumers=sample.consumers,
        oldest_message_age=sample.oldest,
        workers=consumers.get(sample.queue, ()),
        arrivals_per_second=rates.arrivals_per_second,
        departures_per_second=rates.departures_per_second,
        growing=rates.growing,
        # From the current depth, which is newer than that of the rates.
        time_to_empty=estimate_time_to_empty(
            sample.ready, rates.slope, rates.arrivals_per_second, rates.departures_per_second
        ),
    )


def get_queue_history(ctx: RequestContext, params: QueueHistoryParams, body: None) -> QueueHistory:
    now = time.time()
    zone = parse_time_zone(params.tz)
    end = parse_time_bound(params.end, "end", zone, now)
    end = now if end is None else end
    start = parse_time_bound(params.start, "start", zone, now)
    start = end - _DEFAULT_HISTORY if start is None else start
    width = None if params.width is UNSET else params.width
    span = choose_buckets(start, end, buckets=params.buckets, width=width, zone=zone, key="time")
    buckets = ctx.server.ledger.queue_samples.history(params.name, span.start_at, span.end, span.width)
    return QueueHistory(params.name, span.start_at, span.width, tuple(buckets))


_QUEUE_LIST_EXAMPLE: Final[dict[str, Any]] = {
    "sampled_at": 1795342592.0,
    "queues": [
        {
            "name": "celery",
            "ready": 3,
            "unacked": 4,
            "consumers": None,
            "oldest_message_age": 1.75,
            "workers": ["celery@w1"],
            "arrivals_per_second": 2.5,
            "departures_per_second": 4.0,
            "growing": False,
            "time_to_empty": 2.0,
        }
    ],
    "problem": None,
}
_QUEUE_HISTORY_EXAMPLE: Final[dict[str, Any]] = {
    "name": "celery",
    "start_at": 1795342200.0,
    "width": 300.0,
    "buckets": [
        {
            "start_at": 1795342200.0,
            "samples": 20,
            "ready_avg": 2.5,
            "ready_max": 7,
            "unacked_max": 4,
            "consumers_min": None,
            "oldest_message_age_max": 1.75,
        }
    ],
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/queues", "listQueues", "queues", "List queues with their current statistics", list_queues,
        response=QueueList, example=_QUEUE_LIST_EXAMPLE,
    ),
    Route(
        "GET", "/queues/{name:path}/history", "getQueueHistory", "queues", "Get the history of a queue",
        get_queue_history, params=QueueHistoryParams, response=QueueHistory, example=_QUEUE_HISTORY_EXAMPLE,
    ),
)  # fmt: skip
