"""Queues: how they are, and how they were."""

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Final

import msgspec
from anyio import to_thread
from msgspec import UNSET, Meta, UnsetType

from flower.api.asking import bound, zone_of
from flower.api.queue_rates import QueueRates, consumers_of, empty_in, rates_now
from flower.api.reading import read
from flower.api.spans import span_over
from flower.api.v1.acting import Acting, Action, Nothing
from flower.api.v1.asked import Buckets, Width
from flower.store.ledger.samples import QueueSample, QueueStretch

#: Seconds of history where nobody says.
_RECENT: Final = 6 * 3600.0


class QueueRow(msgspec.Struct, frozen=True):
    """Null is what the broker does not tell. `ready` messages wait for a worker, `unacknowledged` ones were given to a
    worker that has not confirmed them; `consumers` is the broker's count; `oldest` is how long the oldest message that
    waits has done so, in seconds. `workers` are those that live and said that they consume it.

    `in_rate` and `out_rate` are tasks sent and begun a second, over the last five minutes, null where no `task-sent`
    event names the queue. `growing`: whether it does, over the same time. `empty_in`: seconds until it is empty if it
    goes on like this, -1 for never."""

    name: str
    ready: int | None
    unacknowledged: int | None
    consumers: int | None
    oldest: float | None
    workers: tuple[str, ...]
    in_rate: float | None
    out_rate: float | None
    growing: bool | None
    empty_in: float | None


class QueueList(msgspec.Struct, frozen=True):
    """`at`: when the broker was asked."""

    at: float
    queues: tuple[QueueRow, ...]


class QueueHistory(msgspec.Struct, frozen=True):
    """Stretches of `width` seconds, the oldest first; those without a sample are left out."""

    name: str
    start: float
    width: float
    stretches: tuple[QueueStretch, ...]


class History(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="The queue's name.", examples=["celery"])]
    start: Annotated[
        str, Meta(description="From then on: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds. Default: `-6h`.")
    ] = ""
    end: Annotated[str, Meta(description="Until then. Default: now.")] = ""
    tz: Annotated[str, Meta(description="The zone of times that name none. Default: the server's.")] = ""
    buckets: Buckets = 60
    width: Width | UnsetType = UNSET


async def queues(acting: Acting, asked: Nothing, body: None) -> QueueList:
    module = await to_thread.run_sync(import_module, "flower.api.queue_figures")
    found: Sequence[QueueSample] = await module.samples_now(acting.context)
    consumers = await read(lambda: consumers_of(acting.context))
    rates = await read(lambda: rates_now(acting.context))
    return QueueList(time.time(), tuple(_row(each, rates.get(each.queue, QueueRates()), consumers) for each in found))


def _row(found: QueueSample, rates: QueueRates, consumers: Mapping[str, tuple[str, ...]]) -> QueueRow:
    # the depth of this moment, which is newer than the last sample
    left = empty_in(found.ready, rates.slope, rates.in_rate, rates.out_rate)
    return QueueRow(
        name=found.queue,
        ready=found.ready,
        unacknowledged=found.unacknowledged,
        consumers=found.consumers,
        oldest=found.oldest,
        workers=consumers.get(found.queue, ()),
        in_rate=rates.in_rate,
        out_rate=rates.out_rate,
        growing=rates.growing,
        empty_in=left,
    )


async def history(acting: Acting, asked: History, body: None) -> QueueHistory:
    now = time.time()
    zone = zone_of(asked.tz)
    end = bound(asked.end, "end", zone, now)
    end = now if end is None else end
    start = bound(asked.start, "start", zone, now)
    start = end - _RECENT if start is None else start
    width = None if asked.width is UNSET else asked.width
    span = span_over(start, end, buckets=asked.buckets, width=width, zone=zone, key="received")
    samples = acting.context.ledger.samples
    found = await read(lambda: samples.history(asked.name, span.start, span.end, span.width))
    return QueueHistory(asked.name, span.start, span.width, tuple(found))


QUEUES: tuple[Action, ...] = (
    Action(
        "GET",
        "/queues",
        "listQueues",
        "queues",
        "The queues as the broker has them now",
        "view",
        Nothing,
        None,
        QueueList,
        queues,
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
    Action(
        "GET",
        "/queues/{name:path}/history",
        "getQueueHistory",
        "queues",
        "How a queue was over time",
        "view",
        History,
        None,
        QueueHistory,
        history,
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
