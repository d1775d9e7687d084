"""`flower workers`."""

import time
from collections.abc import Mapping
from typing import Any, Final

import click

from flower.api.queries import worker_history
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    format_options,
    limit_option,
    query_command,
    selected_format,
    utc_option,
)
from flower.cli.table import OutputFormat, TableColumn, write_table
from flower.recorder_status import RecorderStatus
from flower.records import Worker
from flower.running_tasks import count_running_tasks
from flower.store.query_results import WorkerSnapshot
from flower.worker_state import WorkerState, WorkerStateName, judge_workers, last_sign

_WORKER_COLUMNS = (
    TableColumn("worker", drop_order=0, min_width=16),
    TableColumn("status", drop_order=0, min_width=7),
    TableColumn("last_seen_at", "time", drop_order=1, min_width=19, title="last seen"),
    TableColumn("active", "integer", drop_order=2, min_width=6),
    TableColumn("processed", "integer", drop_order=3, min_width=9),
    TableColumn("load", drop_order=4, min_width=14),
    TableColumn("pid", "text", drop_order=5, min_width=7),
    TableColumn("software", drop_order=6, min_width=16),
)
_STATUS_NAMES: Final[Mapping[WorkerStateName, str]] = {
    "online": "online",
    "busy": "busy",
    "no_heartbeats": "no heartbeats",
    "silent": "silent",
    "offline": "offline",
    "unknown": "unknown",
}
_HISTORY_COLUMNS = (
    TableColumn("recorded_at", "time", drop_order=0, min_width=19, title="recorded"),
    TableColumn("worker", drop_order=1, min_width=16),
    TableColumn("event", drop_order=0, min_width=9),
    TableColumn("active", "integer", drop_order=0, min_width=6),
    TableColumn("processed", "integer", drop_order=2, min_width=9),
    TableColumn("load", drop_order=3, min_width=14),
    TableColumn("pid", "text", drop_order=4, min_width=7),
)


@query_command("workers")
@click.argument("name", required=False)
@limit_option(100, "Maximum number of history entries.")
@utc_option
@format_options
def workers(ctx: CommandContext, *, name: str | None, limit: int, output_formats: tuple[OutputFormat, ...]) -> None:
    """List all recorded workers, or show the history of the worker NAME, newest entry first."""
    output_format = selected_format(output_formats)
    if name is None:
        now = time.time()
        recorded, running = ctx.store.workers(), count_running_tasks(ctx.store)
        states = judge_workers(recorded, RecorderStatus.from_dict(ctx.store.recorder_status()), now)
        rows = [_worker_row(worker, states[name], running) for name, worker in recorded.items()]
        exit_if_empty(write_table(_WORKER_COLUMNS, rows, output_format, zone=ctx.zone))
    else:
        snapshots = worker_history(ctx.store, name, limit=limit)
        exit_if_empty(
            write_table(
                _HISTORY_COLUMNS, [_history_row(snapshot) for snapshot in snapshots], output_format, zone=ctx.zone
            )
        )


def _worker_row(worker: Worker, state: WorkerState, running: Mapping[str, int] | None) -> list[Any]:
    return [
        worker.hostname,
        _STATUS_NAMES[state.name],
        last_sign(worker),
        worker.active if running is None else running.get(worker.hostname, 0),
        worker.processed,
        _format_load(worker.loadavg),
        worker.pid,
        " ".join(part for part in (worker.sw_ident, worker.sw_ver) if part) or None,
    ]


def _history_row(one: WorkerSnapshot) -> list[Any]:
    return [one.recorded_at, one.worker, one.event, one.active, one.processed, _format_load(one.loadavg), one.pid]


def _format_load(loadavg: tuple[float, ...] | None) -> str | None:
    return None if loadavg is None else " ".join(f"{load:.2f}" for load in loadavg)
