"""A small store for the examples of the document: their answers are made by the very functions that answer requests."""

import json
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.routing import compile_path

from flower.api.json_encoder import dump_json
from flower.http.v1.parsing import parse_parameters
from flower.http.v1.routes import ReadRoute
from flower.http.v1.streaming_body import StreamingBody
from flower.records import FAILURE, RECEIVED, SUCCESS, Gap, Task, Worker
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Reader

#: 2026-11-22 10:15 UTC
_BASE_TIME = 1_795_342_500.0

_TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/billing.py", line 41, in charge
    raise CardDeclined(order, card)
shop.billing.CardDeclined: card of order 18 declined
"""


def _task(uuid: str, name: str, after: float, **fields: Any) -> Task:
    """Sent so many seconds after ten, received and started soon after."""
    sent = _BASE_TIME + after
    values = {"sent": sent, "received": sent + 0.02, "started": sent + 0.25, "timestamp": sent + 0.25}
    return Task(uuid=uuid, **{"name": name, "hostname": "celery@w1", "queue": "shop", "retries": 0, **values, **fields})


def _successful_task(uuid: str, name: str, after: float, runtime: float, **fields: Any) -> Task:
    end = _BASE_TIME + after + 0.25 + runtime
    ended = {"state": SUCCESS, "succeeded": end, "timestamp": end, "runtime": runtime}
    return _task(uuid, name, after, **ended, **fields)


EXAMPLE_TASKS = (
    _successful_task(
        "order-17",
        "shop.order",
        0.0,
        0.5,
        args="(17,)",
        kwargs="{'customer': {'id': 7731}}",
        result="'accepted'",
        root_id="order-17",
    ),
    _successful_task(
        "charge-17",
        "shop.charge",
        1.0,
        1.25,
        args="(17, 'EUR')",
        kwargs="{'amount': 99.9}",
        result="True",
        root_id="order-17",
        parent_id="order-17",
    ),
    _successful_task("mail-17", "shop.mail", 3.0, 0.125, args="(17,)", root_id="order-17", parent_id="charge-17"),
    _task(
        "charge-18",
        "shop.charge",
        60.0,
        state=FAILURE,
        failed=_BASE_TIME + 62.0,
        timestamp=_BASE_TIME + 62.0,
        args="(18, 'EUR')",
        kwargs="{'amount': 12.5}",
        exception="CardDeclined('card of order 18 declined')",
        traceback=_TRACEBACK,
        hostname="celery@w2",
    ),
    Task(
        uuid="order-19",
        name="shop.order",
        state=RECEIVED,
        hostname="celery@w2",
        queue="shop",
        sent=_BASE_TIME + 90.0,
        received=_BASE_TIME + 90.5,
        timestamp=_BASE_TIME + 90.5,
        args="(19,)",
    ),
)

EXAMPLE_WORKERS = (
    Worker(
        "celery@w1", pid=4711, heartbeat=_BASE_TIME + 92.0, timestamp=_BASE_TIME + 92.0, freq=2.0, active=0, processed=3
    ),
    Worker(
        "celery@w2", pid=4712, heartbeat=_BASE_TIME + 92.0, timestamp=_BASE_TIME + 92.0, freq=2.0, active=1, processed=1
    ),
)


@cache
def example_store() -> Reader:
    store = MemoryStore()
    writer = MemoryWriter(store)
    writer.write(
        Batch(
            new=EXAMPLE_TASKS,
            workers=EXAMPLE_WORKERS,
            gaps=[Gap(_BASE_TIME - 60.0, _BASE_TIME - 48.0, "the broker was away")],
        )
    )
    writer.set_status(
        {"at": _BASE_TIME + 92.0, "running": True, "events": 18, "last_event": _BASE_TIME + 90.5, "trouble": None}
    )
    return MemoryReader(store)


def example_response(route: ReadRoute) -> Any:
    """What the route's example is answered with: JSON values, or the text that a route streams."""
    found = route.handler(example_store(), parse_example(route, route.example))
    if isinstance(found, StreamingBody):
        return b"".join(found.chunks).decode()
    return json.loads(dump_json(found))


def parse_example(route: ReadRoute, address: str) -> msgspec.Struct:
    """The parameters that an address below the prefix gives this route."""
    parts = urlsplit(address)
    pattern, _, _ = compile_path(route.path)
    found = pattern.match(f"/{parts.path}")
    path = found.groupdict() if found else {}
    return parse_parameters(route.params, path, parse_qsl(parts.query))
