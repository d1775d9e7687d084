"""Examples of the OpenAPI document: responses of the handlers on a small store."""

import json
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.routing import compile_path

from flower.access import ANONYMOUS
from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.http.v1.parsing import parse_params
from flower.http.v1.route import RequestContext, Route
from flower.http.v1.stream import StreamParams, example_stream
from flower.records import FAILURE, RECEIVED, SUCCESS, Gap, Task, Worker
from flower.store.ledger import Ledger
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
    """A task that was sent `after` seconds after the base time, received and started shortly after."""
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
            gaps=[Gap(_BASE_TIME - 60.0, _BASE_TIME - 48.0, "not connected to Redis", "broker_unreachable")],
        )
    )
    writer.set_status(
        {"at": _BASE_TIME + 92.0, "running": True, "events": 18, "last_event": _BASE_TIME + 90.5, "trouble": None}
    )
    return MemoryReader(store)


def example_response(route: Route) -> Any:
    """The response to the route's example: JSON values, or the text of a stream."""
    if not isinstance(route.example, str):
        return route.example
    store, params = example_store(), parse_example(route, route.example)
    if isinstance(params, StreamParams):
        return b"".join(example_stream(store, params)).decode()
    ctx = RequestContext(Context(store, _no_app, cast(Ledger, None)), ANONYMOUS)
    return json.loads(dump_json(route.handler(ctx, params, None)))


def parse_example(route: Route, url: str) -> msgspec.Struct:
    """The parameters of a URL relative to the prefix."""
    parts = urlsplit(url)
    pattern, _, _ = compile_path(route.path)
    match = pattern.match(f"/{parts.path}")
    path = match.groupdict() if match else {}
    return parse_params(route.params, path, parse_qsl(parts.query))


def _no_app() -> Any:
    raise AssertionError("examples do not load the Celery application")
