"""The Celery application of the workers and monitors of a run, configured by environment variables."""

import contextlib
import os
import select
import signal
from pathlib import Path
from typing import Any

from celery import Celery

from chaos.ledger import LedgerWriter, connect_signals

LEDGER = Path(os.environ.get("CHAOS_LEDGER", "."))
writer = LedgerWriter(LEDGER)


def make(environment: dict[str, str] | None = None) -> Celery:
    """The application for the brokers of this environment."""
    values = environment or dict(os.environ)
    app = Celery("chaos", broker=values["CHAOS_BROKER"], backend=values.get("CHAOS_BACKEND") or None)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        # A worker must come back after any broker restart of a scenario.
        broker_connection_max_retries=None,
        worker_send_task_events="CHAOS_NO_EVENTS" not in values,
        task_send_sent_event=True,
        task_track_started=True,
        worker_prefetch_multiplier=4,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_default_queue="main",
        task_ignore_result=not values.get("CHAOS_BACKEND"),
        result_extended=True,
        result_expires=3600,
    )
    if values.get("CHAOS_VISIBILITY"):
        app.conf.broker_transport_options = {"visibility_timeout": float(values["CHAOS_VISIBILITY"])}
    if values.get("CHAOS_DURABLE"):
        app.events_cls = "flower.durable_events:DurableEvents"
    for name, (function, options) in TASKS.items():
        app.task(name=name, shared=False, **options)(function)
    return app


def quick(value: int = 0, *_: Any) -> int:
    return value


def rest(seconds: float, *_: Any) -> float:
    # time.sleep() waits for an absolute time, which libfaketime changes.
    select.select([], [], [], seconds)
    return seconds


def fail(message: str = "card declined") -> None:
    raise ValueError(message)


def retry(self: Any, times: int = 2, seconds: float = 1) -> int:
    if self.request.retries < times:
        raise self.retry(countdown=seconds, max_retries=times + 1)
    return int(self.request.retries)


def kill_own_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def total(values: list[int], *_: Any) -> int:
    return len(values)


def end_differently(self: Any, seconds: float) -> str:
    """The first run of a task succeeds, every later one fails, whichever ends first."""
    marker = LEDGER / f"{self.request.id}.first"
    first = False
    with contextlib.suppress(FileExistsError):
        marker.touch(exist_ok=False)
        first = True
    rest(seconds)
    if not first:
        raise ValueError("a later run")
    return "first run"


TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "chaos.quick": (quick, {}),
    "chaos.rest": (rest, {}),
    "chaos.fail": (fail, {}),
    "chaos.retry": (retry, {"bind": True}),
    "chaos.retry_late": (retry, {"bind": True, "acks_late": True}),
    "chaos.rest_late": (rest, {"acks_late": True}),
    "chaos.differ_late": (end_differently, {"acks_late": True, "bind": True}),
    "chaos.limited": (quick, {"rate_limit": "1/s"}),
    "chaos.limited_long": (quick, {"rate_limit": "1/m"}),
    "chaos.overdue": (rest, {"time_limit": 1}),
    "chaos.overdue_softly": (rest, {"soft_time_limit": 1}),
    "chaos.kill": (kill_own_process, {}),
    "chaos.total": (total, {}),
}

if "CHAOS_BROKER" in os.environ:
    connect_signals(writer)
    app = make()
    app.set_default()  # as in a project; Flower reads results through the current application
