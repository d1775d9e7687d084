"""The table of the results, for the terminal and for docs/reliability.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from chaos.comparison import Comparison, MonitorResult
from chaos.modes import MODES
from chaos.run import RunReport
from chaos.verdicts import VERDICTS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
BEGIN = "<!-- results: written by `python -m chaos --publish` -->"
END = "<!-- end of results -->"


def render(reports: Sequence[RunReport]) -> str:
    """Markdown: one line per comparison, then the sums."""
    lines = [
        "Each cell: right / reported / stale / false / absent.",
        "",
        "| scenario | broker | when | tasks | Bellflower | Flower 2.2.0 | besides |",
        "| --- | --- | --- | ---: | --- | --- | --- |",
    ]
    for report in reports:
        title = MODES[report.mode].title
        reason = report.not_run or (report.error or "").strip().rsplit("\n", 1)[-1]
        if reason:
            lines.append(f"| {report.scenario} | {title} | not run | | | | {_cell(reason)} |")
        lines += [_render_comparison(comparison, title) for comparison in report.comparisons]
    return "\n".join([*lines, "", *_render_sums([c for report in reports for c in report.comparisons])])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _find(comparison: Comparison, title: str) -> MonitorResult | None:
    return next((result for result in comparison.results if result.monitor == title), None)


def _render_comparison(comparison: Comparison, title: str) -> str:
    cells = [
        " / ".join(str(result.counts[verdict]) for verdict in VERDICTS) if result else ""
        for result in (_find(comparison, "Bellflower"), _find(comparison, "Flower"))
    ]
    besides = "; ".join(filter(None, map(_describe_besides, comparison.results)))
    row = (comparison.scenario, title, comparison.when, str(comparison.tasks), *cells, _cell(besides))
    return f"| {' | '.join(row)} |"


def _describe_besides(result: MonitorResult) -> str:
    parts = [
        _count(len(result.wrong_signs), "worker sign wrong", "worker signs wrong"),
        _count(len(result.disagreements), "count disagrees", "counts disagree"),
        _count(len(result.absurd_waits), "absurd wait", "absurd waits"),
        _count(len(result.invented), "task invented", "tasks invented"),
        _count(len(result.gaps), "gap reported", "gaps reported"),
        "not running" if "not running" in result.errors else "",
    ]
    text = ", ".join(filter(None, parts))
    return f"{result.monitor}: {text}" if text else ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""


def _render_sums(comparisons: Iterable[Comparison]) -> list[str]:
    """Sums over the comparisons that both monitors took part in; of Bellflower also over all."""
    every = list(comparisons)
    both = [comparison for comparison in every if _find(comparison, "Flower")]
    columns = [
        [result for c in every if (result := _find(c, "Bellflower"))],
        [result for c in both if (result := _find(c, "Bellflower"))],
        [result for c in both if (result := _find(c, "Flower"))],
    ]
    rows: list[tuple[str, list[int]]] = [("tasks", [sum(sum(r.counts.values()) for r in column) for column in columns])]
    rows += [(verdict, [sum(r.counts[verdict] for r in column) for column in columns]) for verdict in VERDICTS]
    rows += [
        ("invented", [sum(len(r.invented) for r in column) for column in columns]),
        ("worker signs wrong", [sum(len(r.wrong_signs) for r in column) for column in columns]),
        ("counts that disagree", [sum(len(r.disagreements) for r in column) for column in columns]),
        ("absurd waits", [sum(len(r.absurd_waits) for r in column) for column in columns]),
    ]
    head = [
        "| sum | Bellflower, all comparisons | Bellflower, beside Flower | Flower 2.2.0 |",
        "| --- | ---: | ---: | ---: |",
    ]
    return head + [f"| {name} | {' | '.join(f'{value:,}' for value in values)} |" for name, values in rows]


def publish(reports: Sequence[RunReport], page: Path = PAGE) -> None:
    """Write the table between the markers of the page. Raises ValueError if the page has no markers."""
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"{page} must contain the lines {BEGIN} and {END}")
    page.write_text(f"{head}{BEGIN}\n\n{render(reports)}\n\n{END}{tail}")
