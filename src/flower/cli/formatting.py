"""Formatting of values for terminals and for pipes, and parsing of durations. Formatted values are safe to print."""

import math
from datetime import datetime, tzinfo
from typing import Any, Literal, TypeAlias

import click

from flower.api import columns
from flower.api.csv_format import format_csv_cell
from flower.cli.escaping import escape_control
from flower.units import parse_duration


def parse_duration_option(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Callback of a click option that takes a duration: `90`, `15m`, `24h`, `7d`. Seconds."""
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e11:
        raise click.BadParameter(f"'{text}' is not a duration, e.g. 90, 15m, 24h or 7d", ctx, parameter)
    return seconds


#: part      0 to 1, displayed as percent
#: rate      per second
ValueKind: TypeAlias = columns.ColumnKind | Literal["part", "rate"]

#: Kinds that are right-aligned in tables.
NUMERIC_KINDS: frozenset[ValueKind] = frozenset({"integer", "duration", "part", "rate"})


def format_human(value: Any, kind: ValueKind, zone: tzinfo | None) -> str:
    """The value for a terminal."""
    match kind, value:
        case _, None:
            return ""
        case "time", int() | float():
            return format_time(value, zone, "seconds").replace("T", " ")[:19]
        case "duration", int() | float():
            return format_duration(value)
        case "part", int() | float():
            return f"{value:.1%}"
        case "rate", int() | float():
            return format_rate(value)
        case "integer", int():
            return f"{value:,}"
    return escape_control(format_csv_cell(value))


def format_machine(value: Any, kind: ValueKind, zone: tzinfo | None) -> str:
    """The value for a pipe, without tabs and line breaks: times are ISO 8601 with the zone, numbers plain, durations in
    seconds."""
    match kind, value:
        case "time", int() | float():
            return format_time(value, zone, "milliseconds")
        case _, float() if math.isfinite(value):
            return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else repr(value)
    return escape_control(format_csv_cell(value))


def format_time(seconds: float, zone: tzinfo | None, precision: str) -> str:
    """ISO 8601 in the zone (None: local); the number for a time outside the calendar."""
    try:
        return datetime.fromtimestamp(seconds).astimezone(zone).isoformat("T", precision)
    except (ValueError, OverflowError, OSError):
        return repr(seconds)


def format_rate(per_second: float) -> str:
    """`12.3/s`, `4.5/min`, `0.8/h`: in the unit that shows a number of events."""
    if per_second >= 1_000:
        return f"{per_second:,.0f}/s"
    if per_second == 0 or per_second >= 0.1:
        return f"{per_second:.3g}/s"
    return f"{per_second * 60:.3g}/min" if per_second * 60 >= 0.1 else f"{per_second * 3_600:.2g}/h"


def format_size(size: int) -> str:
    """`812 B`, `8.1 kB`, `2.2 MB`, `1,204.0 MB`."""
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


def format_duration(seconds: float) -> str:
    """`12ms`, `1.25s`, `2m03s`, `5h07m`, `3d04h`."""
    if not math.isfinite(seconds):
        return repr(seconds)
    sign, size = ("-", -seconds) if seconds < 0 else ("", seconds)
    if size < 0.9995:
        return f"{sign}{size * 1000:.3g}ms"
    if size < 59.95:
        return f"{sign}{size:.3g}s"
    rounded = round(size)
    for unit, below, large, small in ((60, 3_600, "m", "s"), (3_600, 86_400, "h", "m")):
        if rounded < below:
            return f"{sign}{rounded // unit}{large}{rounded % unit // (unit // 60):02d}{small}"
    return f"{sign}{rounded // 86_400:,}d{rounded % 86_400 // 3_600:02d}h"
