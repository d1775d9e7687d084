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
            f"{_number(measurement.compared_value)} ×" if measurement.compared_value is not None else "",
            str(measurement.target or ""),
            _MET[measurement.met],
            escape(measurement.note),
        )
    console.print(table)


def _cell(sample: Sample | None) -> str:
    if sample is None:
        return ""
    if sample.low == sample.high:
        return _number(sample.value)
    return f"{_number(sample.value)} ({_number(sample.low)}–{_number(sample.high)})"


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
