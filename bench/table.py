"""The table at the end."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.results import Figure, Sample

_MET = {True: "yes", False: "NO", None: ""}


def print_table(figures: Iterable[Figure], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for heading in ("Flower", "Bellflower", "ratio", "wanted", "met"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for figure in figures:
        table.add_row(
            figure.name,
            figure.unit,
            _cell(figure.samples.get("flower")),
            _cell(figure.samples.get("bellflower")),
            f"{_number(figure.compared)} ×" if figure.compared is not None else "",
            str(figure.bar or ""),
            _MET[figure.met],
            escape(figure.note),
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
