"""Output and exit status of the commands."""

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from flower.api.columns import RECORD_COLUMNS
from flower.api.exporter import to_column_values
from flower.api.failures import reopen_failure_group, set_failure_status
from flower.api.json_encoder import dump_json
from flower.cli.main import QUERY_COMMANDS
from flower.errors import DeadlineExceeded
from flower.records import Attempt, Lost, Task
from flower.store.ledger import Ledger
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Reader
from flower.store.query_results import Page
from tests.helpers.sample_store import HOSTILE, NOW, TASKS

RunCommand = Callable[..., Result]


def as_record(task: Task) -> Any:
    """The record of a task in JSON and NDJSON."""
    return json.loads(dump_json(to_column_values(task, RECORD_COLUMNS)))


def lines(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_a_line_of_a_pipe_is_a_trun_command(run_command: RunCommand) -> None:
    result = run_command("tasks", "--limit", "3", "--utc")
    assert result.exit_code == 0
    assert [line[0] for line in lines(result)] == ["order-0", "order-1", "order-2"]
    assert [len(line) for line in lines(result)] == [7, 7, 7]
    assert lines(result)[1][1:4] == ["shop.order", "SUCCESS", "celery@w2"]
    assert lines(result)[1][4].endswith("+00:00")
    assert lines(result)[1][5] == "0.2"
    assert "--cursor" in result.stderr


LOST = Task(
    uuid="lost-1", name="shop.order", state="STARTED", hostname="celery@w1", sent=NOW - 90, received=NOW - 90,
    started=NOW - 89, timestamp=NOW - 89,
    lost=Lost(NOW - 40, "worker_offline", "celery@w1 stopped while it had the task.", ("workers", "result backend")),
)  # fmt: skip
TWICE = Task(
    uuid="twice-1", name="shop.order", state="STARTED", hostname="celery@w2", sent=NOW - 90, received=NOW - 50,
    started=NOW - 49, timestamp=NOW - 49, source="worker", clock_offset=3600.0,
    earlier=(Attempt(0, hostname="celery@w1", received=NOW - 90, started=NOW - 89),),
)  # fmt: skip
REDELIVERED = Task(
    uuid="again-1", name="shop.order", state="SUCCESS", hostname="celery@w2", received=NOW - 50, started=NOW - 49,
    succeeded=NOW - 48, timestamp=NOW - 48,
    earlier=(Attempt(0, hostname="celery@w1", started=NOW - 89, ended=NOW - 60, lost="worker_offline"),),
)  # fmt: skip


@pytest.fixture
def unproven() -> Reader:
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=[LOST, TWICE, REDELIVERED]))
    return MemoryReader(store)


def test_tasks_shows_which_states_are_not_known(run_command: RunCommand, unproven: Reader) -> None:
    rows = {line[0]: line for line in lines(run_command("tasks", store=unproven))}
    assert rows["lost-1"][2::4] == ["STARTED", "worker_offline"]
    assert rows["twice-1"][2::4] == ["STARTED", ""]
    assert [line[0] for line in lines(run_command("tasks", "is:lost", store=unproven))] == ["lost-1"]


def test_task_shows_why_its_state_is_not_known(run_command: RunCommand, unproven: Reader) -> None:
    text = run_command("task", "lost-1", "--utc", store=unproven).stdout
    assert text.startswith("shop.order  STARTED (lost)")
    assert "State not known since" in text
    assert "celery@w1 stopped while it had the task." in text
    assert "Queried: workers, result backend" in text


def test_task_shows_double_runs_clocks_and_the_source_of_the_state(run_command: RunCommand, unproven: Reader) -> None:
    text = run_command("task", "twice-1", store=unproven).stdout
    assert "State from the worker" in text
    assert "Runs twice at the same time" in text
    assert "The clock of celery@w2 is 1" in text
    assert "1.  running" in text
    assert "outcome not known (worker_offline)" in run_command("task", "again-1", store=unproven).stdout


def test_cursor_visits_all_tasks(run_command: RunCommand) -> None:
    seen: list[str] = []
    more: tuple[str, ...] = ()
    for _ in TASKS:
        result = run_command("tasks", "--limit", "7", "--columns", "uuid", *more)
        seen += result.stdout.split()
        if not result.stderr:
            break
        more = ("--cursor", result.stderr.split()[-1])
    assert len(seen) == len(set(seen)) == len(TASKS)


def test_offset_sort_and_all(run_command: RunCommand) -> None:
    by_runtime = [task.uuid for task in sorted(TASKS, key=lambda task: task.runtime or 0, reverse=True)]
    options = ("tasks", "--sort", "-runtime", "--columns", "uuid")
    assert run_command(*options, "--offset", "2", "--limit", "3").stdout.split() == by_runtime[2:5]
    assert run_command(*options, "--all").stdout.split() == by_runtime


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
def test_words_are_one_query_and_a_dash_negates(run_command: RunCommand, query: tuple[str, ...], count: int) -> None:
    result = run_command("tasks", "--columns", "uuid", *query)
    assert (result.exit_code, len(lines(result))) == (0, count)


def test_columns_of_arguments(run_command: RunCommand) -> None:
    result = run_command(
        "tasks", "--columns", "uuid,kwargs.order_id,kwargs.customer.id,args.1,args.9,wait", "name:shop", "--limit=1"
    )
    assert lines(result)[0] == ["order-1", "1", "7001", "ORD-00001", "", "0.75"]
    found = json.loads(
        run_command("tasks", "--json", "--columns", "kwargs.order_id,data.task-progress.percent", "order-102").stdout
    )
    assert found == [{"kwargs.order_id": 102, "data.task-progress.percent": 40}]


def test_json_and_ndjson_are_complete_records(run_command: RunCommand) -> None:
    records = [as_record(task) for task in TASKS]
    assert json.loads(run_command("tasks", "--all", "--json", "--sort", "written").stdout) == records
    ndjson = run_command("tasks", "--all", "--ndjson", "--sort", "written").stdout.rstrip().split("\n")
    assert [json.loads(line) for line in ndjson] == records


def test_csv_is_safe_for_spreadsheets(run_command: RunCommand) -> None:
    text = run_command("tasks", "--csv", "--columns", "uuid,exception,result", "order-90").stdout_bytes.decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["uuid", "exception", "result"],
        ["order-90", "'=cmd|' /C calc'!A0", "a\tb\nc"],
    ]


def test_control_characters_are_escaped(run_command: RunCommand) -> None:
    for words in (("tasks", "--columns", "name,args,exception,traceback,result", "order-90"), ("task", "order-90")):
        result = run_command(*words)
        assert result.exit_code == 0
        output = result.stdout
        assert "\\x1b" in output
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2028"} & set(output)
    line = run_command("tasks", "--columns", "name,result,uuid", "order-90").stdout
    assert line == "evil\\x1b]0;owned\\x07\\x9b31m\\u202etask\ta\\tb\\nc\torder-90\n"


def test_task_details(run_command: RunCommand) -> None:
    text = run_command("task", "order-100", "--utc").stdout
    for words in ("shop.order  SUCCESS", "celery@w1", "Attempts", "RETRY", "Busy()", "Workflow", "* shop.order"):
        assert words in text
    assert text.index("order-101") < text.index("order-102")
    failed = run_command("task", "order-5").stdout
    assert "raise CardDeclined(order_id)" in failed
    assert "failure" in failed
    assert "task-progress.percent 40" in run_command("task", "order-102").stdout


def test_task_as_json(run_command: RunCommand) -> None:
    found = json.loads(run_command("task", "order-100", "--json").stdout)
    assert found["task"] == next(as_record(task) for task in TASKS if task.uuid == "order-100")
    assert [attempt["state"] for attempt in found["attempts"]] == ["RETRY", "SUCCESS"]
    assert [node["uuid"] for node in found["workflow"]["nodes"]] == ["order-100", "order-101", "order-102"]
    assert found["wait"] == pytest.approx(0.75)


def test_unknown_id_lists_similar_ids(run_command: RunCommand) -> None:
    result = run_command("task", "order-10")
    assert result.exit_code == 0  # a complete id
    result = run_command("task", "rder-10")
    assert result.exit_code == 1
    assert "Unknown task 'rder-10'" in result.stderr
    assert "order-10," in result.stderr


def test_stats(run_command: RunCommand) -> None:
    (total,) = lines(run_command("stats"))
    assert total[:2] == [str(len(TASKS)), "7"]
    groups = lines(run_command("stats", "-evil", "--by", "name"))
    assert [group[:3] for group in groups] == [["shop.order", "22", "4"], ["billing.charge", "11", "2"]]
    document = json.loads(run_command("stats", "--by", "worker", "--json").stdout)
    assert document["total"]["count"] == len(TASKS)
    assert {group["group"] for group in document["groups"]} == {"celery@w1", "celery@w2"}


def test_stats_over_time(run_command: RunCommand) -> None:
    rows = list(csv.DictReader(io.StringIO(run_command("stats", "--since", "20m", "--interval", "5m", "--csv").stdout)))
    assert 4 <= len(rows) <= 6
    assert 19 <= sum(int(row["tasks"]) for row in rows) <= 21
    assert {float(row["time"]) % 300 for row in rows} == {0.0}
    assert float(rows[1]["throughput"]) == pytest.approx(5 / 300)


def test_former_option_names_still_work(run_command: RunCommand) -> None:
    expected = run_command("stats", "--since", "1d", "--interval=5m").stdout
    assert run_command("stats", "--over", "1d", "--every=5m").stdout == expected
    assert "--over" not in run_command("stats", "--help").stdout
    for name in ("tasks", "gaps", "failures", "export", "audit"):
        text = run_command(name, "--help").stdout
        assert "--since" in text
        assert "--from" not in text
    assert run_command("tasks", "--from", "-1h", "--to=now").stdout == run_command("tasks", "--since", "1h").stdout


def test_short_options(run_command: RunCommand) -> None:
    expected = run_command("tasks", "--limit", "2", "--json").stdout
    for words in (("-n", "2", "-o", "json"), ("-n2", "-o=json"), ("-n=2", "--output", "json")):
        assert run_command("tasks", *words).stdout == expected


def test_a_negated_word_is_not_a_short_option(run_command: RunCommand) -> None:
    """`-name:shop` begins like `-n`, `-order` like `-o`."""
    assert len(lines(run_command("tasks", "-name:shop.order", "-order-100"))) == 12


def test_exit_zero(run_command: RunCommand) -> None:
    result = run_command("tasks", "nosuchthing", "--exit-zero")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No results.\n")
    assert run_command("tasks", "state:", "--exit-zero").exit_code == 2


def test_help_states_the_exit_statuses(run_command: RunCommand) -> None:
    for name in QUERY_COMMANDS:
        assert "Exit status: 0 success, 1 no results" in run_command(name, "-h").stdout


def test_a_usage_error_names_the_help(run_command: RunCommand) -> None:
    assert "Try 'flower tasks --help' for help." in run_command("tasks", "--sort", "length").stderr


def test_failures_are_grouped(run_command: RunCommand) -> None:
    groups = lines(run_command("failures"))
    assert [(group[2], group[6]) for group in groups] == [("6", "shop.billing.CardDeclined"), ("1", groups[1][6])]
    name = groups[0][0]
    detail = run_command("failures", "--group", name).stdout
    for words in ("shop.billing.CardDeclined", "app/shop/billing.py:charge", "order-0", "shop.order (4)"):
        assert words in detail
    document = json.loads(run_command("failures", "--group", name, "--json", "name:billing").stdout)
    assert document["failure"]["count"] == 2
    assert run_command("failures", "--group", "0" * 16).exit_code == 1


def test_failures_have_a_status(run_command: RunCommand, shop: Reader, ledger: Ledger) -> None:
    (declined, _), (other, _) = ((group[0], group[1]) for group in lines(run_command("failures")))
    set_failure_status(shop, ledger, declined, "resolved", by="ann", comment="SHOP-311")
    set_failure_status(shop, ledger, other, "muted", by="ben", expires_at=time.time() + 3600)
    try:
        assert {group[0]: group[1] for group in lines(run_command("failures"))} == {
            declined: "resolved",
            other: "muted",
        }
        assert [group[0] for group in lines(run_command("failures", "--status", "muted"))] == [other]
        assert run_command("failures", "--status", "new", "--status", "regressed").exit_code == 1
        for name, words in ((declined, "resolved (by ann, "), (declined, ": SHOP-311)"), (other, ", until ")):
            assert words in run_command("failures", "--group", name).stdout
        assert (
            json.loads(run_command("failures", "--group", other, "--json").stdout)["failure"]["note"]["created_by"]
            == "ben"
        )
        assert {row["status"] for row in json.loads(run_command("failures", "--json").stdout)["failures"]} == {
            "resolved",
            "muted",
        }
    finally:
        reopen_failure_group(shop, ledger, declined)
        reopen_failure_group(shop, ledger, other)


def test_workers(run_command: RunCommand) -> None:
    assert [line[:2] for line in lines(run_command("workers"))] == [["celery@w1", "online"], ["celery@w2", "offline"]]
    (entry,) = lines(run_command("workers", "celery@w1"))
    assert entry[1:] == ["celery@w1", "online", "1", "10", "1.00 2.00 3.00", "31"]
    assert run_command("workers", "nobody").exit_code == 1


def test_time_window(run_command: RunCommand) -> None:
    result = run_command("tasks", "--from", str(NOW - 90), "--columns", "uuid")
    assert result.stdout.split() == ["order-0", "order-1"]
    result = run_command("tasks", "--to", str(NOW - 60.0 * 101), "--columns", "uuid")
    assert result.stdout.split() == ["order-101", "order-102"]


def test_waiting_tasks_are_in_windows_by_the_time_they_were_sent(run_command: RunCommand) -> None:
    store = MemoryStore()
    waiting = Task(uuid="waiting-1", name="shop.order", state="PENDING", sent=NOW - 600, timestamp=NOW - 600)
    MemoryWriter(store).write(Batch(new=[waiting]))
    found = run_command("tasks", "state:PENDING", "--from", "-1h", "--columns", "uuid", store=MemoryReader(store))
    assert found.stdout.split() == ["waiting-1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tasks", "state:"), "Search qualifier requires a value"),
        (("tasks", "--columns", "uuid,nmae"), "did you mean name"),
        (("tasks", "--sort", "length"), "Invalid sort 'length'"),
        (("tasks", "--cursor", "x", "--offset", "1"), "--cursor is mutually exclusive"),
        (("tasks", "--cursor", "rubbish"), "cursor"),
        (("tasks", "--csv", "--json"), "mutually exclusive"),
        (("tasks", "--lmit", "3"), "--limit"),
        (("tasks", "--limit", "0"), "--limit"),
        (("tasks", "--from", "soon"), "Invalid start time: 'soon'"),
        (("stats", "--by", "colour"), "Unknown facet 'colour'"),
        (("stats", "--by", "name", "--interval", "1h"), "mutually exclusive"),
        (("stats", "--since", "long"), "Invalid start time: 'long'"),
        (("stats", "--interval", "1s"), "buckets"),
        (("failures", "--status", "mutd"), "muted"),
        (("failures", "--status", "new", "--group", "0" * 16), "--status and --group are mutually exclusive"),
        (("export", "tasks.xls"), "Unknown file type: tasks.xls"),
        (("export",), "FILE"),
        (("task",), "ID"),
    ],
)
def test_usage_errors(run_command: RunCommand, words: tuple[str, ...], message: str) -> None:
    result = run_command(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_export_to_a_missing_directory(run_command: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "tasks.csv"
    result = run_command("export", str(file))
    assert result.exit_code == 3
    assert f"Cannot write {file}: No such file or directory" in result.stderr


def test_a_probable_mistake_in_a_query_is_noted(run_command: RunCommand) -> None:
    result = run_command("tasks", "status:FAILURE")
    assert "Note: unknown field 'status': searched as text; did you mean state:?" in result.stderr
    assert result.exit_code == 1
    assert "did you mean runtime:>2?" in run_command("stats", "runtime>2").stderr
    assert run_command("tasks", "state:FAILURE", "--limit", "99").stderr == ""


def test_caret_marks_the_position_of_an_error(run_command: RunCommand) -> None:
    output = run_command("tasks", "straße 漢字 state:FAILURE (name:x").stderr.splitlines()
    assert output[0] == "  straße 漢字 state:FAILURE (name:x"
    assert output[1].index("^") == len("  straße 漢字 state:FAILURE ") + 2  # two of them are two columns wide


def test_no_results(run_command: RunCommand) -> None:
    for words in (("tasks",), ("tasks", "--all"), ("stats",), ("failures",)):
        result = run_command(*words, "nosuchthing")
        assert result.exit_code == 1
        assert "No results." in result.stderr
    assert run_command("tasks", "--json", "nosuchthing").stdout == "[]\n"


class SlowReader(MemoryReader):
    """Returns partial results or raises DeadlineExceeded."""

    def task_page(self, *arguments: Any, **settings: Any) -> Page:
        return Page(tuple(TASKS[:2]), None, "time limit reached; narrow the time window")

    def summaries(self, *arguments: Any, **settings: Any) -> Any:
        raise DeadlineExceeded("The query took longer than 30 s", hint="narrow the query")


def test_partial_results(run_command: RunCommand) -> None:
    result = run_command("tasks", store=SlowReader(MemoryStore()))
    assert len(lines(result)) == 2
    assert "narrow the time window" in result.stderr
    assert result.exit_code == 3


def test_time_limit(run_command: RunCommand) -> None:
    result = run_command("stats", store=SlowReader(MemoryStore()))
    assert result.exit_code == 3
    assert result.stderr == "Error: The query took longer than 30 s\nHint: narrow the query\n"


def test_sample_has_control_characters() -> None:
    assert "\x1b" in (HOSTILE.name or "")
