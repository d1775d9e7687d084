"""`python -m bench.results_page RESULTS`: writes the results of a run to docs/benchmarks.md, as a table."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.install import ROOT
from bench.table import format_number, format_spread

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: written by bench.results_page -->\n", "<!-- end of results -->\n"


def make_table(results: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| measure | unit | Flower | Bellflower | ratio | target | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(figure) for figure in results["figures"]]
    return "\n".join(lines) + "\n"


def describe_run(results: dict[str, Any]) -> str:
    """When and where the figures were measured."""
    machine, versions = results["machine"], results["versions"]
    flower = versions.get("flower", {}).get("flower", "2.2.0")
    return (
        f"{results['when'][:10]}, {machine['cpus']} processors, Python {machine['python']}, Flower {flower}."
        " Minimum and maximum are in parentheses.\n"
    )


def insert_results(page: str, results: dict[str, Any]) -> str:
    """The page with these results in place of the previous ones."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{describe_run(results)}\n{make_table(results)}\n{END}{after}"


def _row(figure: dict[str, Any]) -> str:
    cells = (
        figure["name"],
        figure["unit"],
        _cell(figure["samples"].get("flower")),
        _cell(figure["samples"].get("bellflower")),
        "" if figure["compared"] is None else f"{format_number(figure['compared'])} ×",
        figure["target"] if isinstance(figure["target"], str) else "",
        {True: "met", False: "**missed**", None: ""}[figure.get("met")],
    )
    return f"| {' | '.join(cells)} |"


def _cell(sample: dict[str, Any] | None) -> str:
    return "" if sample is None else format_spread(sample["value"], sample["low"], sample["high"])


if __name__ == "__main__":
    document = msgspec.json.decode(Path(sys.argv[1]).read_bytes())
    PAGE.write_text(insert_results(PAGE.read_text(), document))
