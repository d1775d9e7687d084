"""The Celery application of the tests: one task for each kind of outcome. It is configured by environment variables, so
that tests and worker processes share it."""

import os
import time
from typing import Any

from celery import Celery, Task
from celery.contrib.abortable import AbortableTask


def make(broker: str, backend: str | None) -> Celery:
    app = Celery("shop", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        worker_send_task_events=True,
        task_send_sent_event=True,
        task_track_started=True,
        worker_prefetch_multiplier=1,
        result_expires=600,
        result_extended="SHOP_EXTENDED" in os.environ,
        task_default_queue=os.environ.get("SHOP_QUEUE", "celery"),
        worker_pool_restarts=bool(os.environ.get("SHOP_POOL_RESTARTS")),
    )
    if serializer := os.environ.get("SHOP_RESULT_SERIALIZER"):
        app.conf.update(result_serializer=serializer, accept_content=["json", serializer])
    if visibility := os.environ.get("SHOP_VISIBILITY"):
        app.conf.broker_transport_options = {"visibility_timeout": float(visibility)}
    if "SHOP_DURABLE" in os.environ:
        app.events_cls = "flower.durable_events:DurableEvents"
    for name, (function, options) in TASKS.items():
        app.task(name=name, shared=False, **options)(function)
    return app


def add(x: Any, y: Any) -> Any:
    return x + y


def fail(message: str = "card declined") -> None:
    raise ValueError(message)


#: Exceptions whose failures are groups of their own. The parent of the pool must be able to import them.
ERRORS = {
    name: type(name, (ValueError,), {"__module__": __name__})
    for name in (
        "Bluebell", "Campion", "Declined", "Foxglove", "Gentian", "Heather", "Listed", "Shown", "Speedwell",
    )
}  # fmt: skip
globals().update(ERRORS)


def fail_as(kind: str, message: str) -> None:
    """Fail with one of ERRORS: failures of one line are grouped by the class of the exception."""
    raise ERRORS[kind](message)


def rest(seconds: float) -> str:
    time.sleep(seconds)
    return "rested"


def again(self: "Task[Any, Any]") -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0, max_retries=5)
    return int(self.request.retries)


def until_aborted(self: Any) -> str:
    for _ in range(600):
        if self.is_aborted():
            return "saw it"
        time.sleep(0.05)
    return "never aborted"


def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


def thing() -> set[int]:
    return {1}


def odd_keys() -> dict[Any, Any]:
    """JSON has no such keys; pickle has."""
    return {None: 1, 1: "a", False: {2.5: None}}


def tell(self: "Task[Any, Any]", *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the delivery information that the worker received."""
    request, delivery = self.request, self.request.delivery_info or {}
    return {
        "args": list(args),
        "kwargs": kwargs,
        "id": request.id,
        "queue": delivery.get("routing_key"),
        "priority": delivery.get("priority"),
        "retries": request.retries,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "origin": request.get("bellflower-rerun-of"),
    }


def mark(self: "Task[Any, Any]", path: str, number: int, fails: bool = False) -> None:
    """Append a line to a file."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{number} {self.request.id}\n")
    if fails:
        raise ValueError("it was to fail")


TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "shop.add": (add, {}),
    "shop.fail": (fail, {}),
    "shop.fail_as": (fail_as, {}),
    "shop.rest": (rest, {}),
    "shop.rest_late": (rest, {"acks_late": True}),
    "shop.again": (again, {"bind": True}),
    "shop.until_aborted": (until_aborted, {"bind": True, "base": AbortableTask}),
    "shop.echo": (echo, {}),
    "shop.odd_keys": (odd_keys, {}),
    "shop.tell": (tell, {"bind": True}),
    "shop.mark": (mark, {"bind": True}),
    "shop.thing": (thing, {"serializer": "json"}),
    "shop.limited": (echo, {}),  # tests change its limits, which the worker keeps
    "my_task": (echo, {}),
    "long_running_task": (echo, {}),
}

if "SHOP_BROKER" in os.environ:
    app = make(os.environ["SHOP_BROKER"], os.environ.get("SHOP_BACKEND") or None)
    app.set_default()  # as in a project; Flower reads results through the current application
