"""Durations on the command line: `90`, `15m`, `24h`, `7d`.

Values as people read them on a terminal, and as programs read them out of a pipe. Both are safe to print."""

import math
from datetime import datetime, tzinfo
from typing import Any, Literal, TypeAlias

import click

from flower.api import columns
from flower.api.csv_format import format_csv_cell
from flower.cli.escaping import escape_control
from flower.units import parse_duration


def parse_duration_option(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """The callback of an option that takes a duration."""
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e11:
        raise click.BadParameter(f"'{text}' is not a duration such as 90, 15m, 24h or 7d", ctx, parameter)
    return seconds


#: part      0 … 1, shown as percent
#: rate      a second
ValueKind: TypeAlias = columns.ColumnKind | Literal["part", "rate"]

#: Kinds that are compared by their size, and so stand at the right.
NUMERIC_KINDS: frozenset[ValueKind] = frozenset({"integer", "duration", "part", "rate"})


def format_human(value: Any, kind: ValueKind, zone: tzinfo | None) -> str:
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
            return f"{value:.3g}/s" if value < 1000 else f"{value:,.0f}/s"
        case "integer", int():
            return f"{value:,}"
    return escape_control(format_csv_cell(value))


def format_machine(value: Any, kind: ValueKind, zone: tzinfo | None) -> str:
    """Without tabs and line ends. Times are ISO 8601 with their zone; numbers are plain, durations seconds."""
    match kind, value:
        case "time", int() | float():
            return format_time(value, zone, "milliseconds")
        case _, float() if math.isfinite(value):
            return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else repr(value)
    return escape_control(format_csv_cell(value))


def format_time(seconds: float, zone: tzinfo | None, precision: str) -> str:
    """ISO 8601 in the zone (None: the local one); of a time that no calendar has, the number."""
    try:
        return datetime.fromtimestamp(seconds).astimezone(zone).isoformat("T", precision)
    except (ValueError, OverflowError, OSError):
        return repr(seconds)


def format_duration(seconds: float) -> str:
    """`12ms`, `1.25s`, `2m03s`, `5h07m`, `3d04h`."""
    if not math.isfinite(seconds):
        return repr(seconds)
    sign, size = ("-", -seconds) if seconds < 0 else ("", seconds)
    if size < 0.9995:
        return f"{sign}{size * 1000:.3g}ms"
    if size < 59.95:
        return f"{sign}{size:.3g}s"
    whole = round(size)
    for unit, below, large, small in ((60, 3_600, "m", "s"), (3_600, 86_400, "h", "m")):
        if whole < below:
            return f"{sign}{whole // unit}{large}{whole % unit // (unit // 60):02d}{small}"
    return f"{sign}{whole // 86_400:,}d{whole % 86_400 // 3_600:02d}h"
