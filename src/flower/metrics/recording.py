"""How the recorder and the store are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flower.metrics import families as of
from flower.metrics.families import MetricFamily
from flower.metrics.text import format_gauge
from flower.records import Gap
from flower.store.port import StoreStatus

#: Seconds after which a recorder that says nothing has stopped or hangs.
RECORDER_TIMEOUT: Final = 15.0


def recorder_gauges(status: Mapping[str, Any], now: float) -> Iterator[bytes]:
    """`said` is what it last said of itself; what it did not say is left out."""
    capture = status.get("capture")
    capture = capture if isinstance(capture, dict) else {}
    running = is_recorder_running(status, now)
    yield from _render_gauges(
        {
            of.RUNNING: running,
            of.CONNECTED: running and capture.get("connected") is True,
            of.RATE: status.get("events_per_second") if running else 0,
            of.LAG: status.get("lag"),
            of.BACKLOG: _sum_known(capture.get("backlog_bytes"), capture.get("spilled_bytes")),
            of.BLOCKED: running and status.get("trouble") is not None,
            of.LAST_EVENT: status.get("last_event"),
        }
    )


def gap_gauges(found: Sequence[Gap], now: float) -> Iterator[bytes]:
    seconds = sum(max((now if gap.end is None else gap.end) - gap.start, 0.0) for gap in found)
    is_open = any(gap.end is None for gap in found)
    yield from _render_gauges({of.GAPS: len(found), of.GAP_SECONDS: seconds, of.GAP_OPEN: is_open})


def store_gauges(status: StoreStatus, max_bytes: int, max_tasks: int) -> Iterator[bytes]:
    yield from _render_gauges(
        {
            of.BYTES: status.size_bytes,
            of.TASKS: status.tasks,
            of.BYTES_LIMIT: max_bytes or None,
            of.TASKS_LIMIT: max_tasks or None,
            of.DAMAGED: len(status.damaged),
        }
    )


def is_recorder_running(said: Mapping[str, Any], now: float) -> bool:
    at = said.get("at")
    return isinstance(at, int | float) and now - at <= RECORDER_TIMEOUT and said.get("running") is not False


def _render_gauges(values: Mapping[MetricFamily, Any]) -> Iterator[bytes]:
    """Those that are numbers."""
    for family, value in values.items():
        yield format_gauge(family, {b"": float(value) if isinstance(value, int | float) else None})


def _sum_known(*values: Any) -> float | None:
    known = [value for value in values if isinstance(value, int | float)]
    return sum(known) if known else None
