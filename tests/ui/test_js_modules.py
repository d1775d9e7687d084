"""Modules that need no page, run in a browser on an empty one: no Node is needed."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from flower.store.memory import MemoryStore
from flower.web.assets import default_assets
from tests.helpers.browser import Watched
from tests.helpers.web_server import Live

Do = Callable[[str, str, Any], Any]


@pytest.fixture(scope="module")
def run_js(browser: Browser) -> Iterator[Do]:
    """`run_js("format/numbers.js", "duration(given)", 1.5)`: an expression over what a module exports."""
    with Live(MemoryStore()) as live:
        context = browser.new_context(timezone_id="Europe/Berlin")
        watched = Watched(context.new_page(), expect_problems=True)
        watched.page.goto(f"http://127.0.0.1:{live.port}/tasks")
        folder = default_assets().url("", "js/")

        def do(module: str, expression: str, given: Any = None) -> Any:
            body = f"m => {{ const {{{_names(expression)}}} = m; return {expression}; }}"
            return watched.page.evaluate(f"given => import('{folder}{module}').then({body})", given)

        yield do
        context.close()


def _names(expression: str) -> str:
    known = re.findall(r"\b([A-Za-z]\w*)\s*\(", expression)
    return ", ".join(dict.fromkeys(name for name in known if name not in ("for", "map", "filter", "push", "from")))


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


def test_times_are_of_the_zone_of_the_browser(run_js: Do) -> None:
    assert run_js("format/time.js", "clock(given, true)", 1_795_395_308.955) == "01:55:08.955"
    assert run_js("format/time.js", "full(given)", 1_795_395_308.955).endswith("01:55:08.955 CET")
    assert run_js("format/time.js", "utc(given)", 1_795_395_308.955) == "2026-11-23T00:55:08.955Z"


@pytest.mark.parametrize(
    ("before", "field", "value", "after"),
    [
        ("", "state", "FAILURE", "state:FAILURE"),
        ("state:FAILURE", "state", "RETRY", "state:FAILURE,RETRY"),
        ("state:FAILURE,RETRY x", "state", "FAILURE", "x state:RETRY"),
        ("state:FAILURE", "state", "FAILURE", ""),
        ("a OR b", "name", "shop.add", "(a OR b) name:=shop.add"),
        ("-name:=x", "name", "x", "-name:=x name:=x"),
        ("(name:=x)", "name", "x", "(name:=x) name:=x"),
        ("", "queue", 'a "b", c', 'queue:="a \\"b\\", c"'),
        ("x", "queue", None, "x -has:queue"),
        ("x -has:queue", "queue", None, "x"),
    ],
)
def test_facets_write_themselves(run_js: Do, before: str, field: str, value: str | None, after: str) -> None:
    assert run_js("search/tokens.js", "toggle(given[0], given[1], given[2])", [before, field, value]) == after


@pytest.mark.parametrize("text", ['a:"b c" -(x OR y) kwargs."k e".z:>=3 "open', "NOT a:b,c ((", "état:ü -"])
def test_tokens_lose_nothing(run_js: Do, text: str) -> None:
    assert "".join(run_js("search/tokens.js", "tokens(given).map(each => each.text)", text)) == text


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ("(20.0, 'a\\'b', None)", '[20.0, "a\'b", null]'),
        ("{'a': [1, {'b': True}], \"c\": 1e5}", '{"a": [1, {"b": true}], "c": 1e5}'),
        ("(1,)", "[1]"), ("()", "[]"), ("{1, 2}", None), ("{1: 2}", None), ("(Decimal('9.50'),)", None),
        ("('cut...", None), ("[b'x']", None), ("'\\x41\\u00e9\\n'", '"Aé\\n"'),
    ],
)  # fmt: skip
def test_python_values_as_json(run_js: Do, text: str, json: str | None) -> None:
    assert run_js("format/python.js", "toJson(parse(given))", text) == json


def test_python_values_keep_their_text(run_js: Do) -> None:
    found = run_js(
        "format/python.js",
        "below(parse(given), ['order', 'items', '1', 'price'])",
        "{'order': {'items': [0, {'price': 20.0}]}}",
    )
    assert found == {"kind": "number", "text": "20.0"}
    assert (
        run_js("format/python.js", "parse(given)", "(<Order: <17>>, datetime.date(2026, 1, 2))")["items"][1]["value"][
            "kind"
        ]
        == "object"
    )
    assert run_js("format/python.js", "parse(given)", "[" * 5000) is None


def test_events_in_pieces(run_js: Do) -> None:
    pieces = ["retry: 20", "00\n\nevent: hel", 'lo\nid: 5\ndata: {"a"', ":1}\n\n: still here\n\ndata: x\r\ndata: y\n\n"]
    expression = "(p => [given.flatMap(each => p.push(each)), p.retry])(new EventParser())"
    found, retry = run_js("events.js", expression, pieces)
    assert retry == 2000
    assert found == [
        {"event": "hello", "data": '{"a":1}', "id": "5"}, None, {"event": "message", "data": "x\ny", "id": ""},
    ]  # fmt: skip


def row(number: int, received: float | None) -> dict[str, Any]:
    return {"uuid": f"t{number}", "received": received}


def test_rows_take_what_is_new_in_its_place(run_js: Do) -> None:
    given = {
        "page": [row(n, 100.0 - n) for n in range(5)],
        "batch": {
            "tasks": [row(9, 200.0), row(8, 97.5), row(7, 1.0), {**row(2, 98.0), "state": "SUCCESS"}],
            "gone": ["t4"],
        },
    }
    expression = """(rows => { rows.append(given.page, 'next'); const fresh = rows.apply(given.batch, false);
        const ids = rows.slice(0, 99).map(each => each.uuid);
        return [ids, fresh, rows.total, rows.get('t2').state, rows.indexOf('t8')]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [
        ["t9", "t0", "t1", "t2", "t8", "t3"], ["t9", "t8"], 6, "SUCCESS", 4,
    ]  # fmt: skip


def test_rows_hold_still_and_are_released(run_js: Do) -> None:
    given = {"page": [row(1, 10.0)], "batch": {"tasks": [row(2, 20.0)], "gone": ["t1"], "more": 0}}
    expression = """(rows => { rows.append(given.page, null); rows.apply(given.batch, true);
        const held = [rows.total, rows.waiting, rows.at(0).gone]; rows.release();
        return [held, rows.ids()]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [[1, 1, True], ["t2"]]


def test_far_pages_are_dropped_and_read_again(run_js: Do) -> None:
    expression = """(rows => { for (let p = 0; p < 5; p += 1)
            rows.append(Array.from({ length: 10 }, (_, i) => ({ uuid: `${p}-${i}`, received: 100 - p })), `c${p}`);
        rows.shed(40, 50, 20); const gaps = rows.missing(0, 50).map(each => each.cursor); const total = rows.total;
        rows.refill(rows.missing(10, 20)[0], Array.from({ length: 10 }, (_, i) => ({ uuid: `1-${i}`, received: 99 })));
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
    first, last = run_js("task/frames.js", "parse(given)", TRACEBACK)
    assert [frame["library"] for frame in first["frames"]] == ["celery", None]
    assert first["frames"][0]["source"] == ["R = retval = fun(*args, **kwargs)"]
    assert (first["type"], first["message"]) == ("KeyError", "'card'")
    assert (last["type"], last["message"], last["link"]) == ("shop.Declined", "no\nmore of it", "cause")
    assert run_js("task/frames.js", "parse(given)", "nothing of the kind") == []


def test_a_workflow_is_laid_out_without_overlaps(run_js: Do) -> None:
    nodes = [
        {"uuid": "r", "parent": None},
        *({"uuid": f"c{n}", "parent": "r"} for n in range(3)),
        {"uuid": "d", "parent": "c1"},
    ]
    found = run_js("task/layout.js", "(d => ({...d, places: Object.fromEntries(d.places)}))(tree(given))", nodes)
    places = found["places"]
    assert places["r"]["x"] == places["c1"]["x"] == places["d"]["x"]
    assert places["c0"]["x"] + 152 < places["c1"]["x"] < places["c2"]["x"] - 152
    assert found["edges"] == [["r", "c0"], ["r", "c1"], ["r", "c2"], ["c1", "d"]]


def test_a_task_as_code(run_js: Do) -> None:
    task = {
        "uuid": "u'1",
        "name": "a'b",
        "args": "(20.0,)",
        "kwargs": "{'x': 'it\\'s'}",
        "queue": "q",
        "state": "FAILURE",
        "started": 0,
        "timestamp": 1.5,
    }
    code = run_js("task/copying.js", "asPython(given)", task)
    calls: list[Any] = []
    eval(code, {"app": type("App", (), {"send_task": staticmethod(lambda *a, **k: calls.append((a, k)))})})
    assert calls == [(("a'b",), {"args": (20.0,), "kwargs": {"x": "it's"}, "queue": "q"})]
    assert '"args": [20.0]' in run_js("task/copying.js", "asCurl(given, 'http://h/x')", task)
    assert run_js("task/copying.js", "logAddress('https://l/{uuid}?a={start}&b={end}&c={odd}', given)", task) == (
        "https://l/u'1?a=1970-01-01T00%3A00%3A00.000Z&b=1970-01-01T00%3A00%3A01.500Z&c={odd}"
    )
    assert run_js("task/copying.js", "logAddress('javascript:alert(1)', given)", task) == ""


def test_no_more_rows_are_kept_back_than_anyone_looks_at(run_js: Do) -> None:
    given = {"first": [row(n, float(n)) for n in range(1100)], "again": [row(n, float(n)) for n in range(900, 1100)]}
    expression = """(rows => { rows.append([], null);
        rows.apply({tasks: given.first, gone: []}, true); rows.apply({tasks: given.again, gone: ['t0', 't1']}, true);
        return [rows.waiting, rows.overflowing, rows.canRelease]; })(new Rows())"""
    assert run_js("explorer/rows.js", expression, given) == [998, True, False]


def test_rows_lend_their_elements_while_the_table_is_scrolled(run_js: Do) -> None:
    steps: list[tuple[str, bool]] = [("abcd", False), ("cdef", True), ("cdefg", True), ("fg", True), ("fgh", False)]
    expression = "(places => given.map(([ids, moving]) => places.place([...ids], moving)))(new Places())"
    placed = run_js("explorer/places.js", expression, steps)
    shown = [[(each["key"], ids[each["at"]]) for each in step] for step, (ids, _) in zip(placed, steps, strict=True)]
    assert shown == [
        [(1, "a"), (2, "b"), (3, "c"), (4, "d")],
        [(1, "e"), (2, "f"), (3, "c"), (4, "d")],
        [(1, "e"), (2, "f"), (3, "c"), (4, "d"), (5, "g")],
        [(2, "f"), (5, "g")],
        [(2, "f"), (5, "g"), (6, "h")],
    ]


def test_only_a_movement_that_nobody_can_read_is_fast(run_js: Do) -> None:
    expression = "(pace => given.map(([top, time]) => pace.fast(top, 600, time)))(new Pace())"
    flying = [(700 * n, 16 * n) for n in range(1, 6)]
    assert run_js("explorer/pace.js", expression, flying) == [False, False, True, True, True]
    assert run_js("explorer/pace.js", expression, [(200 * n, 16 * n) for n in range(1, 9)]) == [False] * 8
    # the key for the next page, held down slowly
    assert run_js("explorer/pace.js", expression, [(580 * n, 200 * n) for n in range(1, 9)]) == [False] * 8
