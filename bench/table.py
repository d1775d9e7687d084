"""The table of results."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.results import Measurement, Sample

_MET = {True: "yes", False: "NO", None: ""}


def print_table(measurements: Iterable[Measurement], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("measurement", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for heading in ("Flower", "Bellflower", "ratio", "target", "met"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for measurement in measurements:
        table.add_row(
            measurement.name,
            measurement.unit,
            _cell(measurement.samples.get("flower")),
            _cell(measurement.samples.get("bellflower")),
            f"{format_number(measurement.compared_value)} ×" if measurement.compared_value is not None else "",
            str(measurement.target or ""),
            _MET[measurement.met],
            escape(measurement.note),
        )
    console.print(table)


def _cell(sample: Sample | None) -> str:
    return "" if sample is None else format_spread(sample.value, sample.low, sample.high)


def format_spread(value: float, low: float, high: float) -> str:
    """The value, with minimum and maximum in parentheses if they differ."""
    if low == high:
        return format_number(value)
    return f"{format_number(value)} ({format_number(low)}–{format_number(high)})"


def format_number(value: float) -> str:
    """Three significant digits."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
