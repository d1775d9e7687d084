"""The arithmetic of the table: verdicts, ratios and bars."""

import pytest
from rich.console import Console

from bench.event_stream import Outcome
from bench.results import Bar, Figure, middle, single
from bench.table import print_table
from bench.visibility_check import Shown, judge

OUTCOME = Outcome("a.b", "(1,)", "{}", "SUCCESS")


@pytest.mark.parametrize(
    ("shown", "absent", "wrong"),
    [
        ({}, 1, 0),
        ({"1": Shown("a.b", "(1,)", "{}", "SUCCESS")}, 0, 0),
        ({"1": Shown("a.b", "(1,)", "{}", "STARTED")}, 0, 1),
        ({"1": Shown(None, None, None, "SUCCESS")}, 0, 1),
        ({"2": Shown("a.b", "(1,)", "{}", "SUCCESS")}, 1, 0),
    ],
)
def test_a_task_is_right_absent_or_wrong(shown: dict[str, Shown], absent: int, wrong: int) -> None:
    verdict = judge(shown, {"1": OUTCOME})
    assert (verdict.expected, verdict.absent, verdict.wrong) == (1, absent, wrong)


def test_a_ratio_is_ours_to_theirs() -> None:
    figure = Figure("speed", "events/s", {"flower": single(5.0), "bellflower": middle([40, 60, 50])})
    assert figure.ratio == 10
    assert figure.met is None


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (Bar("ratio", ">=", 10), True),
        (Bar("ratio", ">=", 10.1), False),
        (Bar("ratio", "<=", 0.1), False),
        (Bar("value", ">=", 50), True),
        (Bar("value", "<=", 0), False),
    ],
)
def test_bars(bar: Bar, met: bool) -> None:
    figure = Figure("speed", "events/s", {"flower": single(5.0), "bellflower": single(50.0)}, bar)
    assert figure.met is met


def test_a_bar_is_open_while_a_system_is_missing() -> None:
    assert Figure("speed", "events/s", {"flower": single(5.0)}, Bar("value", ">=", 1)).met is None
    assert Figure("speed", "events/s", {"bellflower": single(5.0)}, Bar("ratio", ">=", 1)).met is None


def test_the_table_shows_every_figure_on_a_line_of_its_own() -> None:
    console = Console(width=140, record=True, quiet=False)
    figures = [
        Figure("speed", "events/s", {"flower": single(4_668.2), "bellflower": single(70_000)}, Bar("ratio", ">=", 8)),
        Figure("lost", "% of tasks", {"flower": single(99.9), "bellflower": single(0)}, Bar("value", "<=", 0)),
    ]
    print_table(figures, console)
    _, speed, lost = console.export_text().strip().splitlines()
    assert speed.split() == ["speed", "events/s", "4,668", "70,000", "15", "×", ">=", "8", "×", "yes"]
    assert lost.split()[-5:] == ["0", "×", "<=", "0", "yes"]
