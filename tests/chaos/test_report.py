"""The table of the results, and what makes a run fail."""

from pathlib import Path

import pytest

from chaos.__main__ import _is_meant, find_failures
from chaos.comparison import Comparison, MonitorResult
from chaos.report import BEGIN, END, publish, render
from chaos.run import RunReport
from chaos.verdicts import Verdict


def result(monitor: str, *numbers: int, **besides: object) -> MonitorResult:
    names: tuple[Verdict, ...] = ("right", "reported", "stale", "false", "absent")
    return MonitorResult(monitor, dict(zip(names, numbers, strict=True)), **besides)  # type: ignore[arg-type]


def report(*results: MonitorResult, mode: str = "redis") -> RunReport:
    return RunReport("h-purge", mode, comparisons=[Comparison("h-purge", mode, "after", 9, list(results))])


def test_table_has_a_line_per_comparison_and_sums() -> None:
    shown = report(result("Bellflower", 8, 1, 0, 0, 0, gaps=["one"]), result("Flower", 7, 0, 2, 0, 0))
    table = render([shown, RunReport("m-disk-full", "redis", not_run="only root may mount")])
    assert (
        "| h-purge | Redis | after | 9 | 8 / 1 / 0 / 0 / 0 | 7 / 0 / 2 / 0 / 0 | Bellflower: 1 gap reported |" in table
    )
    assert "| m-disk-full | Redis | not run | | | | only root may mount |" in table
    assert "| stale | 0 | 0 | 2 |" in table


def test_table_is_written_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"head\n\n{BEGIN}\n\nold\n\n{END}\n\ntail\n")
    publish([report(result("Bellflower", 9, 0, 0, 0, 0))], page)
    text = page.read_text()
    assert text.startswith(f"head\n\n{BEGIN}\n\nEach cell")
    assert text.endswith(f"{END}\n\ntail\n")
    assert "old" not in text
    page.write_text("no markers")
    with pytest.raises(ValueError, match="must contain"):
        publish([], page)


@pytest.mark.parametrize(
    ("shown", "failure"),
    [
        (result("Bellflower", 8, 1, 0, 0, 0), None),
        (result("Bellflower", 8, 0, 1, 0, 0), "1 stale"),
        (result("Bellflower", 8, 0, 0, 1, 0), "1 false"),
        (result("Bellflower", 8, 0, 0, 0, 1), "1 absent"),
        (result("Bellflower", 9, 0, 0, 0, 0, invented=["x"]), "1 invented"),
        (result("Bellflower", 9, 0, 0, 0, 0, wrong_signs=["/metrics: w is shown as dead"]), "/metrics: w"),
        (result("Bellflower", 9, 0, 0, 0, 0, disagreements=["running: 1 in x, 0 in y"]), "running: 1"),
        (result("Bellflower", 5, 4, 0, 0, 0, with_result=8, right_with_result=7), "7 right of 8"),
    ],
)
def test_run_fails(shown: MonitorResult, failure: str | None) -> None:
    failures = find_failures(report(shown))
    assert bool(failures) == bool(failure)
    assert failure is None or f"h-purge, redis, after: {failure}" in failures[0]


def test_reported_tasks_are_enough_without_a_result_backend() -> None:
    shown = result("Bellflower", 5, 4, 0, 0, 0, with_result=8, right_with_result=7)
    assert find_failures(report(shown, mode="redis-no-backend")) == []


def test_a_whole_name_selects_one_scenario_only() -> None:
    assert _is_meant("e-stop-monitor", "e-stop-monitor")
    assert not _is_meant("e-stop-monitor", "e-stop-monitor-dropped")
    assert _is_meant("e-stop", "e-stop-monitor-dropped")
