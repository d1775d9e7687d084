"""What the commands answer, and how they end."""

import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import Result

from flower.api.failures import reopen_failure_group, set_failure_status
from flower.errors import DeadlineExceeded
from flower.records import Task
from flower.store.ledger import Ledger
from flower.store.memory import MemoryReader, MemoryStore
from flower.store.protocols import Reader
from flower.store.query_results import Page
from tests.helpers.sample_store import HOSTILE, NOW, TASKS

Asks = Callable[..., Result]


def lines(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_a_line_of_a_pipe_is_a_task(ask: Asks) -> None:
    result = ask("tasks", "--limit", "3", "--utc")
    assert result.exit_code == 0
    assert [line[0] for line in lines(result)] == ["order-0", "order-1", "order-2"]
    assert [len(line) for line in lines(result)] == [6, 6, 6]
    assert lines(result)[1][1:4] == ["shop.order", "SUCCESS", "celery@w2"]
    assert lines(result)[1][4].endswith("+00:00")
    assert lines(result)[1][5] == "0.2"
    assert "--cursor" in result.stderr


def test_pages_by_cursor_are_all_tasks(ask: Asks) -> None:
    seen: list[str] = []
    more: tuple[str, ...] = ()
    for _ in TASKS:
        result = ask("tasks", "--limit", "7", "--columns", "uuid", *more)
        seen += result.stdout.split()
        if not result.stderr:
            break
        more = ("--cursor", result.stderr.split()[-1])
    assert len(seen) == len(set(seen)) == len(TASKS)


def test_offset_sort_and_all(ask: Asks) -> None:
    by_runtime = [task.uuid for task in sorted(TASKS, key=lambda task: task.runtime or 0, reverse=True)]
    chosen = ("tasks", "--sort", "-runtime", "--columns", "uuid")
    assert ask(*chosen, "--offset", "2", "--limit", "3").stdout.split() == by_runtime[2:5]
    assert ask(*chosen, "--all").stdout.split() == by_runtime


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (("state:FAILURE",), 7),
        (("state:FAILURE", "name:billing"), 2),
        (("-state:SUCCESS", "-evil"), 6),
        (("--", "-state:SUCCESS"), 7),
        (('"order 25 declined"',), 1),
    ],
)
def test_words_are_one_query_and_a_dash_says_not(ask: Asks, query: tuple[str, ...], count: int) -> None:
    result = ask("tasks", "--columns", "uuid", *query)
    assert (result.exit_code, len(lines(result))) == (0, count)


def test_columns_lead_into_arguments(ask: Asks) -> None:
    result = ask(
        "tasks", "--columns", "uuid,kwargs.order_id,kwargs.customer.id,args.1,args.9,wait", "name:shop", "--limit=1"
    )
    assert lines(result)[0] == ["order-1", "1", "7001", "ORD-00001", "", "0.75"]
    found = json.loads(
        ask("tasks", "--json", "--columns", "kwargs.order_id,data.task-progress.percent", "order-102").stdout
    )
    assert found == [{"kwargs.order_id": 102, "data.task-progress.percent": 40}]


def test_json_and_ndjson_are_whole_records(ask: Asks) -> None:
    assert msgspec.json.decode(ask("tasks", "--all", "--json", "--sort", "written").stdout, type=list[Task]) == TASKS
    ndjson = ask("tasks", "--all", "--ndjson", "--sort", "written").stdout.rstrip().split("\n")
    assert [msgspec.json.decode(line, type=Task) for line in ndjson] == TASKS


def test_csv_is_safe_for_spreadsheets(ask: Asks) -> None:
    text = ask("tasks", "--csv", "--columns", "uuid,exception,result", "order-90").stdout_bytes.decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["uuid", "exception", "result"],
        ["order-90", "'=cmd|' /C calc'!A0", "a\tb\nc"],
    ]


def test_hostile_text_is_shown_and_not_obeyed(ask: Asks) -> None:
    for words in (("tasks", "--columns", "name,args,exception,traceback,result", "order-90"), ("task", "order-90")):
        result = ask(*words)
        assert result.exit_code == 0
        shown = result.stdout
        assert "\\x1b" in shown
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2028"} & set(shown)
    line = ask("tasks", "--columns", "name,result,uuid", "order-90").stdout
    assert line == "evil\\x1b]0;owned\\x07\\x9b31m\\u202etask\ta\\tb\\nc\torder-90\n"


def test_a_task_tells_all(ask: Asks) -> None:
    text = ask("task", "order-100", "--utc").stdout
    for words in ("shop.order  SUCCESS", "celery@w1", "Attempts", "RETRY", "Busy()", "Family", "* shop.order"):
        assert words in text
    assert text.index("order-101") < text.index("order-102")
    failed = ask("task", "order-5").stdout
    assert "raise CardDeclined(order_id)" in failed
    assert "failure" in failed
    assert "task-progress.percent 40" in ask("task", "order-102").stdout


def test_a_task_as_json(ask: Asks) -> None:
    found = json.loads(ask("task", "order-100", "--json").stdout)
    assert msgspec.convert(found["task"], Task) == next(task for task in TASKS if task.uuid == "order-100")
    assert [attempt["state"] for attempt in found["attempts"]] == ["RETRY", "SUCCESS"]
    assert [node["uuid"] for node in found["family"]["nodes"]] == ["order-100", "order-101", "order-102"]
    assert found["wait"] == pytest.approx(0.75)


def test_an_id_that_is_not_there_offers_those_alike(ask: Asks) -> None:
    result = ask("task", "order-10")
    assert result.exit_code == 0  # it is one
    result = ask("task", "rder-10")
    assert result.exit_code == 1
    assert "Unknown task 'rder-10'" in result.stderr
    assert "order-10," in result.stderr


def test_stats(ask: Asks) -> None:
    (total,) = lines(ask("stats"))
    assert total[:2] == [str(len(TASKS)), "7"]
    groups = lines(ask("stats", "-evil", "--by", "name"))
    assert [group[:3] for group in groups] == [["shop.order", "22", "4"], ["billing.charge", "11", "2"]]
    document = json.loads(ask("stats", "--by", "worker", "--json").stdout)
    assert document["total"]["count"] == len(TASKS)
    assert {group["group"] for group in document["groups"]} == {"celery@w1", "celery@w2"}


def test_stats_over_time(ask: Asks) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("stats", "--over", "20m", "--every", "5m", "--csv").stdout)))
    assert 4 <= len(rows) <= 6
    assert 19 <= sum(int(row["tasks"]) for row in rows) <= 21
    assert {float(row["time"]) % 300 for row in rows} == {0.0}
    assert float(rows[1]["throughput"]) == pytest.approx(5 / 300)


def test_failures_are_grouped(ask: Asks) -> None:
    groups = lines(ask("failures"))
    assert [(group[2], group[6]) for group in groups] == [("6", "shop.billing.CardDeclined"), ("1", groups[1][6])]
    name = groups[0][0]
    detail = ask("failures", "--group", name).stdout
    for words in ("shop.billing.CardDeclined", "app/shop/billing.py:charge", "order-0", "shop.order (4)"):
        assert words in detail
    document = json.loads(ask("failures", "--group", name, "--json", "name:billing").stdout)
    assert document["group"]["count"] == 2
    assert ask("failures", "--group", "0" * 16).exit_code == 1


def test_failures_have_a_status(ask: Asks, shop: Reader, ledger: Ledger) -> None:
    (declined, _), (other, _) = ((group[0], group[1]) for group in lines(ask("failures")))
    set_failure_status(shop, ledger, declined, "resolved", by="ann", comment="SHOP-311")
    set_failure_status(shop, ledger, other, "muted", by="ben", expires_at=time.time() + 3600)
    try:
        assert {group[0]: group[1] for group in lines(ask("failures"))} == {declined: "resolved", other: "muted"}
        assert [group[0] for group in lines(ask("failures", "--status", "muted"))] == [other]
        assert ask("failures", "--status", "new", "--status", "returning").exit_code == 1
        for name, words in ((declined, "resolved (by ann, "), (declined, ": SHOP-311)"), (other, ", until ")):
            assert words in ask("failures", "--group", name).stdout
        assert json.loads(ask("failures", "--group", other, "--json").stdout)["group"]["note"]["by"] == "ben"
        assert {row["status"] for row in json.loads(ask("failures", "--json").stdout)["groups"]} == {
            "resolved",
            "muted",
        }
    finally:
        reopen_failure_group(shop, ledger, declined)
        reopen_failure_group(shop, ledger, other)


def test_workers(ask: Asks) -> None:
    assert [line[:2] for line in lines(ask("workers"))] == [["celery@w1", "online"], ["celery@w2", "offline"]]
    (moment,) = lines(ask("workers", "celery@w1"))
    assert moment[1:] == ["celery@w1", "online", "1", "10", "1.00 2.00 3.00", "31"]
    assert ask("workers", "nobody").exit_code == 1


def test_a_window_of_time(ask: Asks) -> None:
    result = ask("tasks", "--from", str(NOW - 90), "--columns", "uuid")
    assert result.stdout.split() == ["order-0", "order-1"]
    result = ask("tasks", "--to", str(NOW - 60.0 * 101), "--columns", "uuid")
    assert result.stdout.split() == ["order-101", "order-102"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tasks", "state:"), "Search qualifier requires a value"),
        (("tasks", "--columns", "uuid,nmae"), "did you mean name?"),
        (("tasks", "--sort", "length"), "cannot be sorted by 'length'"),
        (("tasks", "--cursor", "x", "--offset", "1"), "--cursor goes with neither"),
        (("tasks", "--cursor", "rubbish"), "cursor"),
        (("tasks", "--csv", "--json"), "do not go together"),
        (("tasks", "--lmit", "3"), "--limit"),
        (("tasks", "--limit", "0"), "--limit"),
        (("tasks", "--from", "soon"), "'soon' is not a time"),
        (("stats", "--by", "colour"), "cannot be grouped by 'colour'"),
        (("stats", "--by", "name", "--every", "1h"), "do not go together"),
        (("stats", "--over", "long"), "is not a duration"),
        (("stats", "--every", "1s"), "stretches of time"),
        (("failures", "--over", "1h", "--from", "today"), "--over goes with neither"),
        (("failures", "--status", "mutd"), "muted"),
        (("failures", "--status", "new", "--group", "0" * 16), "--status does not go with --group"),
        (("export", "tasks.xls"), "What shall tasks.xls be?"),
        (("export",), "FILE"),
        (("task",), "ID"),
    ],
)
def test_a_question_that_makes_no_sense(ask: Asks, words: tuple[str, ...], said: str) -> None:
    result = ask(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_caret_points_at_the_mistake(ask: Asks) -> None:
    shown = ask("tasks", "straße 漢字 state:FAILURE (name:x").stderr.splitlines()
    assert shown[0] == "  straße 漢字 state:FAILURE (name:x"
    assert shown[1].index("^") == len("  straße 漢字 state:FAILURE ") + 2  # two of them are two columns wide


def test_nothing_found_is_said_and_ends_with_1(ask: Asks) -> None:
    for words in (("tasks",), ("tasks", "--all"), ("stats",), ("failures",)):
        result = ask(*words, "nosuchthing")
        assert result.exit_code == 1
        assert "Nothing was found" in result.stderr
    assert ask("tasks", "--json", "nosuchthing").stdout == "[]\n"


class Slow(MemoryReader):
    """Answers in part, or not at all."""

    def page(self, *arguments: Any, **settings: Any) -> Page:
        return Page(tuple(TASKS[:2]), None, "the time was over; narrow it by a shorter time")

    def summaries(self, *arguments: Any, **settings: Any) -> Any:
        raise DeadlineExceeded("The answer took longer than 30 s", hint="narrow the question")


def test_part_of_an_answer_says_so(ask: Asks) -> None:
    result = ask("tasks", store=Slow(MemoryStore()))
    assert len(lines(result)) == 2
    assert "narrow it by a shorter time" in result.stderr
    assert result.exit_code == 3


def test_no_answer_in_time(ask: Asks) -> None:
    result = ask("stats", store=Slow(MemoryStore()))
    assert result.exit_code == 3
    assert result.stderr == "Error: The answer took longer than 30 s\nHint: narrow the question\n"


def test_hostile_is_really_hostile() -> None:
    assert "\x1b" in (HOSTILE.name or "")
