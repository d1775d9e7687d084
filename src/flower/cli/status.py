"""`flower status`: recorder, broker, store, workers, reconciliation and gaps."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from typing import TYPE_CHECKING, Final

import click

from flower.api.health.messages import describe_bytes, pluralize
from flower.api.json_encoder import dump_json
from flower.cli.base import CommandContext, query_command, utc_option
from flower.cli.formatting import format_duration, format_human
from flower.cli.table import write_output
from flower.cli.terminal import DetailLine, print_lines
from flower.recorder_status import RecorderStatus
from flower.store.protocols import StoreStatus
from flower.worker_state import judge_workers

if TYPE_CHECKING:
    from flower.http.v1.schemas import StatusResponse

_LABEL_WIDTH: Final = 12
#: Styles of the states of a recorder; the others are red.
_RECORDER_STYLES: Final = {"recording": "green", "unknown": "yellow"}
_RECORDER_TEXTS: Final = {
    "unknown": "no recorder has written to this store yet: start `celery -A proj flower` or `flower record`",
    "stopped": "stopped",
    "blocked": "cannot write to the store",
    "disconnected": "running, without a connection to the broker",
    "recording": "recording",
}


@query_command("status")
@utc_option
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def status(ctx: CommandContext, *, as_json: bool) -> None:
    """Show the status of recorder, broker, store, workers, reconciliation and gaps, as last recorded.

    The JSON document is that of GET /api/v1/status."""
    from flower.http.v1.system import read_status  # noqa: PLC0415 - slow to import; not needed for --help

    response = read_status(ctx.store, ctx.ledger)
    if as_json:
        write_output(dump_json(response) + b"\n", "json")
    else:
        print_lines(_status_lines(ctx, response, time.time()))


def _status_lines(ctx: CommandContext, response: "StatusResponse", now: float) -> Iterator[DetailLine]:
    recorder = RecorderStatus.from_dict(ctx.store.recorder_status())
    yield from _recorder_lines(recorder, now)
    if recorder.is_alive(now):
        is_connected = bool(recorder.connected)
        text = "connected" if is_connected else f"unreachable: {recorder.connection_error or 'no reason reported'}"
        if recorder.blocked_since is not None:
            text += f"; blocks publishers for {format_duration(now - recorder.blocked_since)}"
        yield _line("Broker", text, "" if is_connected and recorder.blocked_since is None else "red")
    else:
        yield _line("Broker", "unknown: no recorder is running", "dim")
    interruption = response.recorder.interruption
    if interruption and response.recorder.current_at is not None:
        as_of = format_human(response.recorder.current_at, "time", ctx.zone)
        yield _line("Current to", f"{as_of}. {interruption}", "yellow")
    yield from _store_lines(ctx.store.status())
    yield _worker_line(ctx, recorder, now)
    yield from _reconcile_lines(recorder, now)
    yield from _gap_lines(response, ctx.zone, now)


def _recorder_lines(recorder: RecorderStatus, now: float) -> Iterator[DetailLine]:
    state = recorder.state(now)
    parts = [_RECORDER_TEXTS[state]]
    if state == "stopped" and recorder.reported_at is not None:
        parts.append(f"last report {format_duration(max(0.0, now - recorder.reported_at))} ago")
    if recorder.is_alive(now):
        if recorder.started_at is not None:
            parts.append(f"running for {format_duration(max(0.0, now - recorder.started_at))}")
        if recorder.events is not None:
            parts.append(f"{recorder.events:,} events")
        if recorder.events_per_second is not None:
            parts.append(format_human(recorder.events_per_second, "rate", None))
        if recorder.last_event_at is not None:
            parts.append(f"last event {format_duration(max(0.0, now - recorder.last_event_at))} ago")
    yield _line("Recorder", ", ".join(parts), _RECORDER_STYLES.get(state, "red"))
    if recorder.error and state == "blocked":
        yield _line("", recorder.error, "red")
    if recorder.backlog_bytes and recorder.is_alive(now):
        yield _line("Backlog", f"{describe_bytes(recorder.backlog_bytes)} received and not recorded yet", "yellow")
    if recorder.unreadable is not None and recorder.unreadable.count:
        yield _line("Unreadable", f"{recorder.unreadable.count:,} messages since the start of the recorder", "yellow")


def _store_lines(store: StoreStatus) -> Iterator[DetailLine]:
    parts = [pluralize(store.tasks, "task"), describe_bytes(store.size_bytes)]
    if store.free_bytes is not None:
        parts.append(f"{describe_bytes(store.free_bytes)} free on the disk")
    yield _line("Store", ", ".join(parts))
    if store.migration is not None:
        yield _line("Migration", f"{store.migration.done:,} of {store.migration.total:,} files", "yellow")
        if store.migration.error:
            yield _line("", f"cannot convert {store.migration.error}", "red")
    if store.damaged:
        yield _line("Damaged", f"{', '.join(store.damaged)}: run `flower check`", "red")


def _worker_line(ctx: CommandContext, recorder: RecorderStatus, now: float) -> DetailLine:
    workers = ctx.store.workers()
    if not workers:
        return _line("Workers", "none yet: start a worker with `celery -A proj worker -E`", "yellow")
    counts = Counter(state.name.replace("_", " ") for state in judge_workers(workers, recorder, now).values())
    return _line("Workers", ", ".join(f"{count:,} {name}" for name, count in counts.most_common()))


def _reconcile_lines(recorder: RecorderStatus, now: float) -> Iterator[DetailLine]:
    status = recorder.reconcile
    if status is None:
        if recorder.is_alive(now):
            yield _line("Reconcile", "off, or not started yet")
        return
    parts = []
    if status.last_pass_at is not None:
        parts.append(f"last pass {format_duration(max(0.0, now - status.last_pass_at))} ago")
    if status.passes is not None and status.seconds is not None:
        parts.append(
            f"{format_duration(status.seconds)} for {status.passes:,} pass{'' if status.passes == 1 else 'es'}"
        )
    requests = (
        (status.worker_requests, "workers"), (status.broker_requests, "broker"), (status.backend_requests, "backend"),
    )  # fmt: skip
    parts += [f"{pluralize(count, 'request')} to {name}" for count, name in requests if count]
    yield _line("Reconcile", ", ".join(parts) or "no pass yet")
    found = (
        (status.checked, "examined"),
        (status.corrected, "corrected"),
        (status.lost, "lost"),
        (status.found, "found"),
    )
    yield _line("", ", ".join(f"{count:,} {name}" for count, name in found if count is not None) or "no tasks examined")
    if status.error:
        yield _line("", status.error, "red")


def _gap_lines(response: "StatusResponse", zone: tzinfo | None, now: float) -> Iterator[DetailLine]:
    if not response.gaps:
        yield _line("Gaps", "none")
        return
    latest = max(response.gaps, key=lambda gap: gap.started_at)
    length = format_duration(max(0.0, (latest.ended_at or now) - latest.started_at))
    started_at = format_human(latest.started_at, "time", zone)
    lasting = f"{started_at}, {length}" if latest.ended_at is not None else f"since {started_at}"
    yield _line("Gaps", f"{len(response.gaps):,} not dismissed; latest {lasting}: {latest.reason}", "yellow")


def _line(label: str, text: str, style: str = "") -> DetailLine:
    return DetailLine(text, style, f"{label:{_LABEL_WIDTH}} ")
