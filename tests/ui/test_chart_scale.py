"""Scales, ticks and paths of charts."""

from tests.helpers.js_modules import Do


def test_values_between_unknown_ones_are_drawn_as_points(run_js: Do) -> None:
    given = [1, None, 2, 3, None, 4]
    assert run_js("ui/chartScale.js", "isolatedIndexes(given)", given) == [0, 5]
    assert run_js("ui/chartScale.js", "isolatedIndexes(given)", [7]) == [0]


def test_ticks_of_a_chart(run_js: Do) -> None:
    assert run_js("ui/chartScale.js", "linearTicks(11.2, 5)") == [0, 5, 10]
    assert run_js("ui/chartScale.js", "linearTicks(0.28, 3)") == [0, 0.1, 0.2]
    # a day in Berlin that has 25 hours: the ticks stay at full hours of local time
    start = 1792879200  # 2026-10-25 00:00
    expression = "timeTicks(%d, %d, 5)"
    summer, winter = start, start + 3600
    assert run_js("ui/chartScale.js", expression % (start, start + 86400)) == {
        "step": 21600,
        "ticks": [summer, winter + 21600, winter + 2 * 21600, winter + 3 * 21600],
    }
    ten_days = run_js("ui/chartScale.js", expression % (start - 5 * 86400, start + 5 * 86400))
    assert ten_days["step"] == 2 * 86400
    assert [each % 86400 for each in ten_days["ticks"]] in ([79200] * 3 + [82800] * 2, [79200] * 2 + [82800] * 3)
    # a logarithmic scale has a tick for each power of ten
    expression = "[valueScale(given, true, 5)].map((it) => [it.ticks, it.share(1)])[0]"
    scale = run_js("ui/chartScale.js", expression, [[0.02, 40]])
    assert scale == [[0.01, 0.1, 1, 10, 100], 0.5]


def test_lines_and_bars_of_a_chart(run_js: Do) -> None:
    given = [[0, 10, 20, 30], [5, None, 7, 8]]
    line = run_js("ui/chartScale.js", "linePaths(given[0], given[1], 9)", given)
    assert line == {"line": "M0 5M20 7L30 8", "area": "M0 9L0 5V9ZM20 9L20 7L30 8V9Z"}
    # a value of 0 has no bar
    assert run_js("ui/chartScale.js", "barPath(given[0], given[1], 10, 8)", given) == (
        "M0.9 8V5h8.2V8ZM20.9 8V7h8.2V8Z"
    )
    assert run_js("ui/chartScale.js", "stackSeries(given)", [[1, None, None], [2, 3, None]]) == [
        [1, None, None],
        [3, 3, None],
    ]
    # a bucket contains the times after its start; of single values the nearest is shown
    assert run_js("ui/chartScale.js", "indexAt([10, 20, 30], 19, given)", 10) == 0
    assert run_js("ui/chartScale.js", "indexAt([10, 20, 30], 19, given)", 0) == 1
