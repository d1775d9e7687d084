"""Modules that need no page, run in a browser on an empty one: no Node is needed."""

from typing import Any

import pytest

from tests.helpers.js_modules import Do


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0 s"), (0.00005, "50 µs"), (0.0123, "12 ms"), (1.234, "1.23 s"), (12.34, "12.3 s"),
        (59.97, "1 m 00 s"), (125.2, "2 m 05 s"), (3723, "1 h 02 m"), (90_000, "1 d 1 h"),
    ],
)  # fmt: skip
def test_durations(run_js: Do, seconds: float | None, text: str) -> None:
    assert run_js("format/numbers.js", "duration(given)", seconds).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("n", "text"), [(1234, "1,234"), (12_345, "12.3 k"), (234_567, "235 k"), (2_480_000, "2.48 M"), (0.5, "0.50")]
)
def test_numbers(run_js: Do, n: float, text: str) -> None:
    assert run_js("format/numbers.js", "compact(given)", n).replace("\u202f", " ") == text


def test_times_are_in_the_zone_of_the_browser(run_js: Do) -> None:
    assert run_js("format/time.js", "clock(given, true)", 1_795_395_308.955) == "01:55:08.955"
    assert run_js("format/time.js", "full(given)", 1_795_395_308.955).endswith("01:55:08.955 CET")
    assert run_js("format/time.js", "utc(given)", 1_795_395_308.955) == "2026-11-23T00:55:08.955Z"


@pytest.mark.parametrize(
    ("facet", "terms", "value", "after"),
    [
        ("state", ([], ""), "FAILURE", "state:FAILURE"),
        ("state", (["FAILURE"], ""), "RETRY", "state:FAILURE,RETRY"),
        ("state", (["FAILURE", "RETRY"], "x"), "FAILURE", "x state:RETRY"),
        ("state", (["FAILURE"], ""), "FAILURE", ""),
        ("name", ([], "(a OR b)"), "shop.add", "(a OR b) name:=shop.add"),
        ("queue", ([], ""), 'a "b", c', 'queue:="a \\"b\\", c"'),
        ("queue", ([], "x"), None, "x -has:queue"),
        ("queue", ([None], "x"), None, "x"),
        ("queue", (["a", None], "x"), "b", "x queue:=a,b -has:queue"),
    ],
)
def test_facet_values_become_terms(
    run_js: Do, facet: str, terms: tuple[list[str | None], str], value: str | None, after: str
) -> None:
    given = [facet, {"selected": terms[0], "remaining_query": terms[1]}, value]
    assert run_js("search/queryText.js", "toggleFacetValue(given[0], given[1], given[2])", given) == after


@pytest.mark.parametrize(
    ("query", "after"), [("", "failure:f"), (" a ", "a failure:f"), ("a OR b", "(a OR b) failure:f")]
)
def test_appended_terms(run_js: Do, query: str, after: str) -> None:
    assert run_js("search/queryText.js", "appendTerm(given, 'failure:f')", query) == after


def token(start: int, end: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "kind": kind, **more}


def test_token_positions_count_utf16_code_units(run_js: Do) -> None:
    given = ["😀 a:b", [token(0, 1, "text"), token(2, 4, "field"), token(4, 5, "value")]]
    converted = run_js("search/highlight.js", "convertPositions(given[0], given[1])", given)
    assert [(each["start"], each["end"]) for each in converted] == [(0, 2), (3, 5), (5, 6)]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("state:FAIL x", "state:FAILURE x", ["state:", "FAILURE", "x"]),  # grows while it is typed
        ("state:FAIL x", "state:FAIL (x", ["state:", "FAIL", "x"]),
        ("state:FAIL x", "x", ["x"]),
        ("state:FAIL x", "state:FAIL x yy", ["state:", "FAIL", "x"]),
    ],
)
def test_tokens_are_carried_over_an_edit(run_js: Do, before: str, after: str, kept: list[str]) -> None:
    tokens = [token(0, 6, "field"), token(6, 10, "value"), token(11, 12, "text")]
    carried = run_js("search/highlight.js", "carryTokens(given[0], given[1], given[2])", [before, tokens, after])
    assert [after[each["start"] : each["end"]] for each in carried] == kept


def test_segments_cover_the_whole_text(run_js: Do) -> None:
    given = ["a  b:c ", [token(0, 1, "text"), token(3, 5, "field"), token(5, 6, "value")]]
    found = run_js("search/highlight.js", "segments(given[0], given[1])", given)
    assert [each["text"] for each in found] == ["a", "  ", "b:", "c", " "]
    assert [each["start"] for each in found] == [0, 1, 3, 5, 6]


STRING = {"kind": "string", "text": "'it\\'s'", "value": "it's"}
NUMBER = {"kind": "number", "text": "20.0"}
NONE = {"kind": "constant", "text": "None"}
OBJECT = {"kind": "object", "text": "Decimal('9.50')"}


def items(*values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"value": value} for value in values]


@pytest.mark.parametrize(
    ("node", "json"),
    [
        ({"kind": "tuple", "items": items(NUMBER, STRING, NONE)}, '[20.0, "it\'s", null]'),
        ({"kind": "dict", "items": [{"key": STRING, "value": NUMBER}]}, '{"it\'s": 20.0}'),
        ({"kind": "list", "items": []}, "[]"),
        ({"kind": "dict", "items": [{"key": NUMBER, "value": NUMBER}]}, None),
        ({"kind": "list", "items": items(OBJECT)}, None),
        ({"kind": "set", "items": items(NUMBER)}, None),
        ({"kind": "number", "text": "1_000"}, None),
        (None, None),
    ],
)  # fmt: skip
def test_literal_trees_as_json(run_js: Do, node: dict[str, Any] | None, json: str | None) -> None:
    assert run_js("task/literalTree.js", "toJson(given)", node) == json


def test_server_sent_events_in_chunks(run_js: Do) -> None:
    pieces = ["retry: 20", "00\n\nevent: hel", 'lo\nid: 5\ndata: {"a"', ":1}\n\n: still here\n\ndata: x\r\ndata: y\n\n"]
    expression = "(p => [given.flatMap(each => p.push(each)), p.retry])(new SseParser())"
    found, retry = run_js("sseParser.js", expression, pieces)
    assert retry == 2000
    assert found == [
        {"event": "hello", "data": '{"a":1}', "id": "5"}, None, {"event": "message", "data": "x\ny", "id": ""},
    ]  # fmt: skip


def row(number: int, received: float | None) -> dict[str, Any]:
    return {"uuid": f"t{number}", "time_at": received}


def test_new_rows_are_inserted_in_order(run_js: Do) -> None:
    given = {
        "page": [row(n, 100.0 - n) for n in range(5)],
        "batch": {
            "tasks": [row(9, 200.0), row(8, 97.5), row(7, 1.0), {**row(2, 98.0), "state": "SUCCESS"}],
            "removed": ["t4"],
        },
    }
    expression = """(rows => { rows.append(given.page, 'next'); const fresh = rows.apply(given.batch, false);
        const ids = rows.slice(0, 99).map(each => each.uuid);
        return [ids, fresh, rows.total, rows.get('t2').state, rows.indexOf('t8')]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [
        ["t9", "t0", "t1", "t2", "t8", "t3"], ["t9", "t8"], 6, "SUCCESS", 4,
    ]  # fmt: skip


def test_pending_rows_are_applied_later(run_js: Do) -> None:
    given = {"page": [row(1, 10.0)], "batch": {"tasks": [row(2, 20.0)], "removed": ["t1"], "more": 0}}
    expression = """(rows => { rows.append(given.page, null); rows.apply(given.batch, true);
        const held = [rows.total, rows.pendingCount, rows.at(0).gone]; rows.applyPending();
        return [held, rows.ids()]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [[1, 1, True], ["t2"]]


def test_row_of_a_retried_task_moves_to_its_place_in_the_order(run_js: Do) -> None:
    """The task is received again, so the time that is shown changes."""
    given = {"page": [row(n, 100.0 - n) for n in range(4)], "batch": {"tasks": [row(2, 99.5)], "removed": []}}
    expression = """(rows => { rows.append(given.page, null); rows.apply(given.batch, false);
        return [rows.ids(), rows.total, rows.arrived]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [["t0", "t2", "t1", "t3"], 4, 0]
    # while the pointer is on the rows they do not move
    expression = """(rows => { rows.append(given.page, null); rows.apply(given.batch, true);
        const held = [rows.ids(), rows.get('t2').time_at, rows.pendingCount]; rows.applyPending();
        return [...held, rows.ids(), rows.pendingCount]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [
        ["t0", "t1", "t2", "t3"], 99.5, 1, ["t0", "t2", "t1", "t3"], 0,
    ]  # fmt: skip


def test_histogram_distinguishes_retrying_revoked_and_unfinished_tasks(run_js: Do) -> None:
    states = {
        "SUCCESS": [5, 0], "FAILURE": [1, 0], "RETRY": [2, 0], "REVOKED": [3, 0], "REJECTED": [1, 0],
        "PENDING": [0, 4], "PROGRESS": [0, 1],
    }  # fmt: skip
    given = {"span": {"start_at": 10, "width": 5, "buckets": 2}, "states": states}
    assert run_js("explorer/histogram.js", "buildHistogramSeries(given)", given) == [
        [10, 15], [1, 0], [2, 0], [4, 0], [5, 0], [0, 5],
    ]  # fmt: skip


def test_throughput_counts_every_retry(run_js: Do) -> None:
    """Not the tasks that are waiting for a retry now."""
    percentiles = {"p50": None, "p95": None, "p99": None}
    group = {
        "group": 100, "states": {"SUCCESS": 10}, "retries": 20, "failure_rate": 0, "runtime": percentiles,
        "wait": percentiles,
    }  # fmt: skip
    given = {"span": {"width": 10}, "groups": [group]}
    found = run_js("overview/series.js", "buildSeries(given, {start: 100, end: 120})", given)
    assert (found["ok"], found["retry"], found["failed"]) == ([1], [2], [0])


def test_a_store_that_is_a_moment_old_has_a_rate_and_percentiles(run_js: Do) -> None:
    percentiles = {"p50": 0.1, "p95": 0.2, "p99": 0.3}
    group = {"group": 100, "states": {"SUCCESS": 1}, "retries": 0, "failure_rate": 0, "runtime": percentiles,
             "wait": percentiles}  # fmt: skip
    given = {"span": {"width": 2}, "groups": [group]}
    for end in (100.1, 101.5, 103):
        found = run_js("overview/series.js", f"buildSeries(given, {{end: {end}}})", given)
        assert (found["times"], found["p50"], found["p95"], found["p99"]) == ([100], [0.1], [0.2], [0.3])
        assert found["ok"][0] == pytest.approx(1 / min(max(end - 100, 1), 2))


@pytest.mark.parametrize("first", [1_795_395_308.1236, 1_795_395_308.9999])
def test_the_time_range_of_a_new_store_includes_its_first_task(run_js: Do, first: float) -> None:
    start = run_js("overview/series.js", "timeBounds(3600, given, given + 1).start.toFixed(3)", first)
    assert first - 1 < float(start) <= first


def test_rates_of_cut_buckets(run_js: Do) -> None:
    given = [[0, 10, 20], [5, 20, 3]]
    expression = "bucketRates(given[0], given[1], 10, {start: 9, end: %s})"
    assert run_js("bucketRates.js", expression % 25, given) == [None, 2, 0.6]
    assert run_js("bucketRates.js", expression % 21, given) == [None, 2, None]


def test_the_newest_rate_of_a_queue_is_not_lower_because_its_bucket_is_incomplete(run_js: Do) -> None:
    given = {"span": {"start_at": 100, "width": 30, "buckets": 2}, "states": {"SUCCESS": [30, 10], "FAILURE": [30, 0]}}
    assert run_js("bucketRates.js", "Array.from(histogramRates(given, 135))", given) == [[100, 2], [130, 2]]


def test_the_history_of_a_queue_ends_with_its_present_state(run_js: Do) -> None:
    history: dict[str, Any] = {
        "width": 20,
        "buckets": [{"start_at": 100, "ready_max": 5, "ready_avg": 4, "consumers_min": 2}],
    }
    given = {"history": history, "queue": {"ready": 9, "consumers": 3}}
    call = "withPresentState(given.history, given.queue, %d)"
    (last,) = run_js("queue/history.js", call % 110, given)
    assert (last["start_at"], last["ready_max"], last["ready_avg"], last["consumers_min"]) == (100, 9, 4, 2)
    before, last = run_js("queue/history.js", call % 145, given)
    assert before == history["buckets"][0]
    assert (last["start_at"], last["ready_max"], last["consumers_min"]) == (140, 9, 3)
    # the broker is unreachable: the present state is not known
    assert run_js("queue/history.js", "withPresentState(given, null, 145)", history) == history["buckets"]


def test_the_history_of_a_worker_ends_with_its_last_event(run_js: Do) -> None:
    events = [{"recorded_at": 10, "active": 1}]
    given = {"events": events, "worker": {"last_seen_at": 12, "active": 3, "loadavg": [0.5]}}
    call = "withLastEvent(given.events, given.worker)"
    last, *rest = run_js("worker/history.js", call, given)
    assert (last["recorded_at"], last["active"], last["loadavg"], rest) == (12, 3, [0.5], events)
    given["worker"] = {"last_seen_at": 10, "active": 3}
    assert run_js("worker/history.js", call, given) == events


def test_batches_wait_while_the_table_is_scrolled(run_js: Do) -> None:
    """They are applied together, before the next frame or after the movement."""
    expression = """((queue, applied) => {
        queue.apply = (batches) => applied.push(batches);
        const wait = (n) => new Promise((done) => {
            const step = () => n ? (n -= 1, requestAnimationFrame(step)) : done();
            step(); });
        const waitFor = (n) => applied.length >= n ? null : wait(1).then(() => waitFor(n));
        const state = [];
        return Promise.resolve().then(() => { queue.push(1); queue.push(2); return wait(2); })
            .then(() => { queue.setMoving(true); queue.push(3); return wait(3); })
            .then(() => { state.push(applied.length); queue.setMoving(false); return wait(2); })
            .then(() => { state.push(applied.length); queue.push(4); queue.clear(); return wait(2); })
            .then(() => { queue.setMoving(true); queue.push(5); return waitFor(3); })
            .then(() => [applied, ...state]); })(new BatchQueue(() => {}), [])"""
    assert run_js("explorer/batchQueue.js", expression) == [[[1, 2], [3], [5]], 1, 2]


@pytest.mark.parametrize(("ms", "seconds"), [(0, 1.2), (40, 1.2), (55, 1.375), (200, 1.5), (1000, 4.0)])
def test_figures_are_loaded_again_soon_unless_that_occupies_the_server(run_js: Do, ms: float, seconds: float) -> None:
    assert run_js("refreshTimer.js", "refreshDelay(given)", ms) == pytest.approx(seconds)


def test_distant_pages_are_dropped_and_loaded_again(run_js: Do) -> None:
    expression = """(rows => { for (let p = 0; p < 5; p += 1)
            rows.append(Array.from({ length: 10 }, (_, i) => ({ uuid: `${p}-${i}`, time_at: 100 - p })), `c${p}`);
        rows.dropDistantPages(40, 50, 20); const gaps = rows.droppedPages(0, 50).map(each => each.cursor);
        const total = rows.total;
        rows.refill(rows.droppedPages(10, 20)[0],
            Array.from({ length: 10 }, (_, i) => ({ uuid: `1-${i}`, time_at: 99 })));
        return [gaps, total, rows.at(12).uuid, rows.at(22) === undefined]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression) == [["c0", "c1", "c2"], 50, "1-2", True]


TRACEBACK = """Traceback (most recent call last):
  File "/srv/.venv/lib/python3.11/site-packages/celery/app/trace.py", line 564, in trace_task
    R = retval = fun(*args, **kwargs)
                 ^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/orders/pay.py", line 9, in pay
    charge(card)
KeyError: 'card'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/orders/pay.py", line 11, in pay
    raise Declined("no") from error
shop.Declined: no
more of it
"""


def test_tracebacks(run_js: Do) -> None:
    first, last = run_js("task/stackFrames.js", "parseTraceback(given)", TRACEBACK)
    assert [frame["library"] for frame in first["frames"]] == ["celery", None]
    assert first["frames"][0]["source"] == ["R = retval = fun(*args, **kwargs)"]
    assert (first["type"], first["message"]) == ("KeyError", "'card'")
    assert (last["type"], last["message"], last["link"]) == ("shop.Declined", "no\nmore of it", "cause")
    assert run_js("task/stackFrames.js", "parseTraceback(given)", "nothing of the kind") == []


def test_a_workflow_is_laid_out_without_overlaps(run_js: Do) -> None:
    nodes = [
        {"uuid": "r", "parent": None},
        *({"uuid": f"c{n}", "parent": "r"} for n in range(3)),
        {"uuid": "d", "parent": "c1"},
    ]
    found = run_js(
        "task/graphLayout.js", "(d => ({...d, positions: Object.fromEntries(d.positions)}))(layoutTree(given))", nodes
    )
    positions = found["positions"]
    assert positions["r"]["x"] == positions["c1"]["x"] == positions["d"]["x"]
    assert positions["c0"]["x"] + 152 < positions["c1"]["x"] < positions["c2"]["x"] - 152
    assert found["edges"] == [["r", "c0"], ["r", "c1"], ["r", "c2"], ["c1", "d"]]


def test_a_task_as_code(run_js: Do) -> None:
    task = {
        "uuid": "u'1",
        "name": "a'b",
        "args": "(20.0,)",
        "kwargs": "{'x': 'it\\'s'}",
        "queue": "q",
        "state": "FAILURE",
        "started_at": 0,
        "last_event_at": 1.5,
        "values": {
            "args": {"kind": "tuple", "items": items(NUMBER)},
            "kwargs": {
                "kind": "dict",
                "items": [{"key": {"kind": "string", "text": "'x'", "value": "x"}, "value": STRING}],
            },
        },
    }
    code = run_js("task/copyFormats.js", "formatPythonCall(given)", task)
    calls: list[Any] = []
    eval(code, {"app": type("App", (), {"send_task": staticmethod(lambda *a, **k: calls.append((a, k)))})})
    assert calls == [(("a'b",), {"args": (20.0,), "kwargs": {"x": "it's"}, "queue": "q"})]
    assert '"args": [20.0]' in run_js("task/copyFormats.js", "formatCurl(given, 'http://h/x')", task)
    assert run_js("task/copyFormats.js", "buildLogUrl('https://l/{uuid}?a={start}&b={end}&c={odd}', given)", task) == (
        "https://l/u'1?a=1970-01-01T00%3A00%3A00.000Z&b=1970-01-01T00%3A00%3A01.500Z&c={odd}"
    )
    assert run_js("task/copyFormats.js", "buildLogUrl('javascript:alert(1)', given)", task) == ""


def test_the_number_of_pending_rows_is_limited(run_js: Do) -> None:
    given = {"first": [row(n, float(n)) for n in range(1100)], "again": [row(n, float(n)) for n in range(900, 1100)]}
    expression = """(rows => { rows.append([], null);
        rows.apply({tasks: given.first, removed: []}, true);
        rows.apply({tasks: given.again, removed: ['t0', 't1']}, true);
        return [rows.pendingCount, rows.overflowing, rows.canApplyPending]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [998, True, False]


def test_elements_are_reused_while_the_table_is_scrolled(run_js: Do) -> None:
    steps: list[tuple[str, bool]] = [("abcd", False), ("cdef", True), ("cdefg", True), ("fg", True), ("fgh", False)]
    expression = "(recycler => given.map(([ids, moving]) => recycler.assign([...ids], moving)))(new RowRecycler())"
    placed = run_js("explorer/rowRecycler.js", expression, steps)
    shown = [[(each["key"], ids[each["at"]]) for each in step] for step, (ids, _) in zip(placed, steps, strict=True)]
    assert shown == [
        [(1, "a"), (2, "b"), (3, "c"), (4, "d")],
        [(1, "e"), (2, "f"), (3, "c"), (4, "d")],
        [(1, "e"), (2, "f"), (3, "c"), (4, "d"), (5, "g")],
        [(2, "f"), (5, "g")],
        [(2, "f"), (5, "g"), (6, "h")],
    ]


def test_only_unreadably_fast_scrolling_is_fast(run_js: Do) -> None:
    expression = "(speed => given.map(([top, time]) => speed.isFast(top, 600, time)))(new ScrollSpeed())"
    flying = [(700 * n, 16 * n) for n in range(1, 6)]
    assert run_js("explorer/scrollSpeed.js", expression, flying) == [False, False, True, True, True]
    assert run_js("explorer/scrollSpeed.js", expression, [(200 * n, 16 * n) for n in range(1, 9)]) == [False] * 8
    # the key for the next page, held down slowly
    assert run_js("explorer/scrollSpeed.js", expression, [(580 * n, 200 * n) for n in range(1, 9)]) == [False] * 8


GAPS = """[
    {started_at: 100, ended_at: 110, reason: 'broker unreachable', cause: 'broker_unreachable'},
    {started_at: 200, ended_at: null, reason: 'a worker sends no events', cause: 'worker_events_disabled', worker: 'a'},
]"""


def test_zeros_in_a_gap_are_unknown(run_js: Do) -> None:
    found = run_js(
        "gaps.js", f"clearGaps({GAPS}.map(row => readGap(row)), [90, 100, 105, 110, 200], 5, given)", [0, 0, 7, 0, 0]
    )
    # the gap of one worker does not make a count of all workers unknown
    assert found == [0, None, 7, 0, 0]


def test_gaps_of_other_workers_do_not_affect_a_task(run_js: Do) -> None:
    expression = f"findTaskGaps({GAPS}.map(row => readGap(row)), given, false).map(gap => gap.from)"
    assert run_js("gaps.js", expression, {"sent_at": 150, "worker": "b"}) == []
    assert run_js("gaps.js", expression, {"sent_at": 150, "worker": "a"}) == [200]
    assert run_js("gaps.js", expression, {"sent_at": 105, "worker": "b"}) == [100]
    finished = expression.replace("false", "true")
    assert run_js("gaps.js", finished, {"sent_at": 150, "last_event_at": 160, "worker": "a"}) == []


def test_a_gap_affects_the_depth_of_queues_only_if_it_is_not_sampled(run_js: Do) -> None:
    assert run_js("gaps.js", f"{GAPS}.map(row => isUnsampled(readGap(row)))") == [True, False]


def test_gaps_are_between_the_rows_before_and_after_them(run_js: Do) -> None:
    expression = f"separateRows({GAPS}.map(row => readGap(row)), given, true).map(all => all.map(gap => gap.from))"
    assert run_js("gaps.js", expression, [None, 150, 120, 90]) == [[200], [], [100]]
    ascending = expression.replace("true", "false")
    assert run_js("gaps.js", ascending, [None, 90, 120, 250]) == [[], [100], [200]]


def test_times_are_corrected_by_the_clock_of_each_worker(run_js: Do) -> None:
    task = {
        "sent_at": 100, "client_offset": None, "received_at": 3701, "started_at": 3702, "last_event_at": 3703,
        "clock_offset": 3600,
        "attempts": [
            {"received_at": 101, "started_at": 102},
            {"received_at": 3701, "started_at": 3702, "ended_at": 3703, "clock_offset": 3600},
        ],
    }  # fmt: skip
    found = run_js("task/clockOffset.js", "correctTimes(given)", task)
    assert (found["sent_at"], found["received_at"], found["last_event_at"]) == (100, 101, 103)
    assert [(each["received_at"], each["started_at"]) for each in found["attempts"]] == [(101, 102), (101, 102)]


def test_the_terms_of_the_lost_filter(run_js: Do) -> None:
    for before, after in (("", "is:lost"), ("a OR b", "(a OR b) is:lost"), ("x is:lost y", "x y"), ("is:lost", "")):
        assert run_js("search/queryText.js", "toggleLost(given)", before) == after
    assert not run_js("search/queryText.js", "selectsLost(given)", "-is:lost this:lost is:lostness")
