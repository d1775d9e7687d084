"""How the recorder and the store are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flower.metrics import families as of
from flower.metrics.families import Family
from flower.metrics.text import gauge
from flower.records import Gap
from flower.store.port import StoreStatus

#: Seconds after which a recorder that says nothing has stopped or hangs.
SILENCE: Final = 15.0


def recorder(said: Mapping[str, Any], now: float) -> Iterator[bytes]:
    """`said` is what it last said of itself; what it did not say is left out."""
    capture = said.get("capture")
    capture = capture if isinstance(capture, dict) else {}
    running = is_running(said, now)
    yield from _gauges(
        {
            of.RUNNING: running,
            of.CONNECTED: running and capture.get("connected") is True,
            of.RATE: said.get("events_per_second") if running else 0,
            of.LAG: said.get("lag"),
            of.BACKLOG: _sum(capture.get("backlog_bytes"), capture.get("spilled_bytes")),
            of.BLOCKED: running and said.get("trouble") is not None,
            of.LAST_EVENT: said.get("last_event"),
        }
    )


def gaps(found: Sequence[Gap], now: float) -> Iterator[bytes]:
    seconds = sum(max((now if gap.end is None else gap.end) - gap.start, 0.0) for gap in found)
    is_open = any(gap.end is None for gap in found)
    yield from _gauges({of.GAPS: len(found), of.GAP_SECONDS: seconds, of.GAP_OPEN: is_open})


def store(status: StoreStatus, max_bytes: int, max_tasks: int) -> Iterator[bytes]:
    yield from _gauges(
        {
            of.BYTES: status.bytes,
            of.TASKS: status.tasks,
            of.BYTES_LIMIT: max_bytes or None,
            of.TASKS_LIMIT: max_tasks or None,
            of.DAMAGED: len(status.damaged),
        }
    )


def is_running(said: Mapping[str, Any], now: float) -> bool:
    at = said.get("at")
    return isinstance(at, int | float) and now - at <= SILENCE and said.get("running") is not False


def _gauges(values: Mapping[Family, Any]) -> Iterator[bytes]:
    """Those that are numbers."""
    for family, value in values.items():
        yield gauge(family, {b"": float(value) if isinstance(value, int | float) else None})


def _sum(*values: Any) -> float | None:
    known = [value for value in values if isinstance(value, int | float)]
    return sum(known) if known else None
