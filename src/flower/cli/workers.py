"""`flower workers`."""

import time
from typing import Any

import click

from flower.api.questions import worker_history
from flower.cli.asking import Asked, asking, form_of, found, with_forms
from flower.cli.sheet import Form, Heading, write_rows
from flower.records import Worker
from flower.store.answers import WorkerMoment

_WORKERS = (
    Heading("worker", rank=0, least=16),
    Heading("status", rank=0, least=7),
    Heading("heartbeat", "time", rank=1, least=19),
    Heading("active", "integer", rank=2, least=6),
    Heading("processed", "integer", rank=3, least=9),
    Heading("load", rank=4, least=14),
    Heading("pid", "text", rank=5, least=7),
    Heading("software", rank=6, least=16),
)
_HISTORY = (
    Heading("at", "time", rank=0, least=19),
    Heading("worker", rank=1, least=16),
    Heading("event", rank=0, least=9),
    Heading("active", "integer", rank=0, least=6),
    Heading("processed", "integer", rank=2, least=9),
    Heading("load", rank=3, least=14),
    Heading("pid", "text", rank=4, least=7),
)


@asking("workers")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Lines of history.")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@with_forms
def workers(asked: Asked, *, name: str | None, limit: int, forms: tuple[Form, ...]) -> None:
    """All workers that were ever heard of; with NAME when that one came, went and how it was, newest first."""
    form = form_of(forms)
    if name is None:
        now = time.time()
        rows = [_worker(worker, now) for worker in asked.store.workers().values()]
        found(write_rows(_WORKERS, rows, form, zone=asked.zone))
    else:
        moments = worker_history(asked.store, name, limit=limit)
        found(write_rows(_HISTORY, [_moment(one) for one in moments], form, zone=asked.zone))


def _worker(worker: Worker, now: float) -> list[Any]:
    return [
        worker.hostname,
        status(worker, now),
        worker.heartbeat,
        worker.active,
        worker.processed,
        _load(worker.loadavg),
        worker.pid,
        " ".join(part for part in (worker.sw_ident, worker.sw_ver) if part) or None,
    ]


def status(worker: Worker, now: float) -> str:
    """`silent` is one that did not say that it goes, and has not been heard of for long."""
    if worker.is_alive(now):
        return "online"
    return "silent" if worker.online else "offline"


def _moment(one: WorkerMoment) -> list[Any]:
    return [one.at, one.hostname, one.event, one.active, one.processed, _load(one.loadavg), one.pid]


def _load(loadavg: tuple[float, ...] | None) -> str | None:
    return None if loadavg is None else " ".join(f"{load:.2f}" for load in loadavg)
