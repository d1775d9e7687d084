"""The arithmetic of the results: comparisons, ratios and targets."""

import pytest
from rich.console import Console

from bench.event_stream import Outcome
from bench.results import Measurement, Target, median_sample, single_sample
from bench.results_page import BEGIN, END, insert_results
from bench.table import print_table
from bench.visibility_check import VisibleTask, compare_tasks

OUTCOME = Outcome("a.b", "(1,)", "{}", "SUCCESS")


@pytest.mark.parametrize(
    ("shown", "missing", "wrong"),
    [
        ({}, 1, 0),
        ({"1": VisibleTask("a.b", "(1,)", "{}", "SUCCESS")}, 0, 0),
        ({"1": VisibleTask("a.b", "(1,)", "{}", "STARTED")}, 0, 1),
        ({"1": VisibleTask(None, None, None, "SUCCESS")}, 0, 1),
        ({"2": VisibleTask("a.b", "(1,)", "{}", "SUCCESS")}, 1, 0),
    ],
)
def test_task_is_correct_missing_or_wrong(shown: dict[str, VisibleTask], missing: int, wrong: int) -> None:
    comparison = compare_tasks(shown, {"1": OUTCOME})
    assert (comparison.expected, comparison.missing, comparison.wrong) == (1, missing, wrong)


def test_ratio_is_bellflower_to_flower() -> None:
    measurement = Measurement(
        "speed", "events/s", {"flower": single_sample(5.0), "bellflower": median_sample([40, 60, 50])}
    )
    assert measurement.ratio == 10
    assert measurement.met is None


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("ratio", ">=", 10), True),
        (Target("ratio", ">=", 10.1), False),
        (Target("ratio", "<=", 0.1), False),
        (Target("value", ">=", 50), True),
        (Target("value", "<=", 0), False),
    ],
)
def test_targets(target: Target, met: bool) -> None:
    measurement = Measurement(
        "speed", "events/s", {"flower": single_sample(5.0), "bellflower": single_sample(50.0)}, target
    )
    assert measurement.met is met


def test_target_is_undecided_without_a_measurement() -> None:
    assert Measurement("speed", "events/s", {"flower": single_sample(5.0)}, Target("value", ">=", 1)).met is None
    assert Measurement("speed", "events/s", {"bellflower": single_sample(5.0)}, Target("ratio", ">=", 1)).met is None


def test_table_has_one_line_for_each_measurement() -> None:
    console = Console(width=140, record=True, quiet=False)
    measurements = [
        Measurement(
            "speed",
            "events/s",
            {"flower": single_sample(4_668.2), "bellflower": single_sample(70_000)},
            Target("ratio", ">=", 8),
        ),
        Measurement(
            "lost",
            "% of tasks",
            {"flower": single_sample(99.9), "bellflower": single_sample(0)},
            Target("value", "<=", 0),
        ),
    ]
    print_table(measurements, console)
    _, speed, lost = console.export_text().strip().splitlines()
    assert speed.split() == ["speed", "events/s", "4,668", "70,000", "15", "×", ">=", "8", "×", "yes"]
    assert lost.split()[-5:] == ["0", "×", "<=", "0", "yes"]


def test_the_page_of_results_contains_the_figures_of_the_last_run_only() -> None:
    faster = Measurement(
        "page",
        "ms",
        {"flower": single_sample(90.0), "bellflower": median_sample([2, 3, 4])},
        Target("faster", ">=", 40),
    )
    size = Measurement("space", "bytes", {"bellflower": single_sample(484)})
    results = {
        "when": "2026-11-30T23:00:00+00:00",
        "machine": {"cpus": 2, "python": "3.11.7"},
        "versions": {},
        "figures": [faster.as_dict(), size.as_dict()],
    }
    page = insert_results(f"# Benchmarks\n\n{BEGIN}old\n{END}\nMethod\n", results)
    assert "| page | ms | 90 | 3 (2–4) | 30 × | >= 40 × | **missed** |" in page
    assert "| space | bytes |  | 484 |  |  |  |" in page
    assert "2026-11-30, 2 processors" in page
    assert "old" not in page
    assert page.endswith("Method\n")
    assert insert_results(page, results) == page
