"""`flower` as people and scripts run it: a process of its own, on a real store."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
from tests.helpers.paths import ROOT
from tests.helpers.pseudo_terminal import run_on_terminal
from tests.helpers.sample_store import TASKS, on_disk, run
from tests.helpers.task_factory import make

#: Escape sequences that rich writes.
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store where `flower` looks for it."""
    on_disk(tmp_path / "flower-data")
    return tmp_path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough that no pipe holds all of it."""
    folder = tmp_path_factory.mktemp("large")
    writer = open_writer(folder / "flower-data")
    for part in range(10):
        writer.write(Batch(new=[make(part * 5_000 + number) for number in range(5_000)]))
    writer.close()
    return folder


def test_the_store_is_found_as_by_serve(tmp_path: Path) -> None:
    on_disk(tmp_path / "elsewhere")
    words = ("tasks", "--all", "--columns", "uuid")
    ended = run(*words, folder=tmp_path)
    assert ended.returncode == 3
    assert "There is no store in flower-data" in ended.stderr
    assert not (tmp_path / "flower-data").exists()
    assert run(*words, "--db=elsewhere", folder=tmp_path).returncode == 0
    assert run(*words, folder=tmp_path, FLOWER_DB="elsewhere").returncode == 0
    (tmp_path / "flowerconfig.py").write_text("db = 'elsewhere'\n")
    assert len(run(*words, folder=tmp_path).stdout.splitlines()) == len(TASKS)


def test_a_folder_of_something_else_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    ended = run("tasks", f"--db={tmp_path}", folder=tmp_path)
    assert ended.returncode == 3
    assert "holds something else" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_behind_celery_it_needs_no_broker(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tests.helpers.celery_app", "flower",
         "tasks", "--all", "--columns", "uuid"],
        capture_output=True, text=True, timeout=60, cwd=folder, check=False,
        env={"PYTHONPATH": str(ROOT), "SHOP_BROKER": "redis://127.0.0.1:1/0"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == len(TASKS)


@pytest.mark.parametrize("name", ["tasks.ndjson", "tasks.parquet"])
def test_what_is_exported_is_imported_into_an_equal_store(name: str, folder: Path) -> None:
    ended = run("export", name, folder=folder)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert f"{len(TASKS)} tasks" in ended.stderr
    ended = run("import", name, "--db=copy", folder=folder)
    assert ended.returncode == 0
    assert f"{len(TASKS)} new tasks" in ended.stderr
    with_ids = [list(open_reader(folder / db).tasks(Query(sort=()))) for db in ("flower-data", "copy")]
    assert with_ids[0] == with_ids[1] == TASKS
    again = run("import", name, "--db=copy", folder=folder)
    assert f"0 new tasks, 0 in a newer version, {len(TASKS)} as they were" in again.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(["flower-data", "copy", name])


def test_down_a_pipe_from_store_to_store(folder: Path) -> None:
    for form in ("ndjson", "parquet"):
        done = subprocess.run(
            [sys.executable, "-m", "flower", "export", "--format", form, "state:FAILURE", "-"],
            capture_output=True, cwd=folder, check=True, timeout=60,
        )  # fmt: skip
        ended = run("import", "-", f"--db={form}", folder=folder, given=done.stdout)
        assert "7 new tasks" in ended.stderr


def test_a_list_of_records_can_be_imported(folder: Path) -> None:
    listed = run("tasks", "--all", "--ndjson", folder=folder).stdout
    ended = run("import", "-", "--db=copy", folder=folder, given=listed.encode())
    assert f"{len(TASKS)} new tasks" in ended.stderr


def test_import_waits_for_nobody_who_records(folder: Path) -> None:
    run("export", "tasks.ndjson", folder=folder)
    writer = open_writer(folder / "flower-data")
    try:
        ended = run("import", "tasks.ndjson", folder=folder)
    finally:
        writer.close()
    assert ended.returncode == 3
    assert ended.stderr.startswith("Error: ")
    assert str(os.getpid()) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_reading_goes_on_while_it_is_written(folder: Path) -> None:
    writer = open_writer(folder / "flower-data")
    try:
        writer.write(Batch(new=[make(1)]))
        assert len(run("tasks", "--all", folder=folder).stdout.splitlines()) == len(TASKS) + 1
    finally:
        writer.close()


def test_refused_lines_are_named(folder: Path) -> None:
    lines = b'{"uuid": "good"}\nrubbish \x1b[31m\n' + b"[]\n" * 30
    ended = run("import", "-", folder=folder, given=lines)
    assert ended.returncode == 3
    assert "Line 2 was skipped: not JSON" in ended.stderr
    assert "... and 11 more lines were skipped" in ended.stderr
    assert "1 new tasks" in ended.stderr
    assert "\x1b" not in ended.stderr


def test_files_that_cannot_be(folder: Path) -> None:
    for words in (("import", "none.ndjson"), ("export", "none/tasks.csv")):
        ended = run(*words, folder=folder)
        assert ended.returncode in (2, 3)
        assert "No such file" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert run("import", "-", folder=folder, given=b"PAR1 no").returncode == 2


def test_an_export_that_fails_leaves_what_was_there(folder: Path) -> None:
    (folder / "tasks.csv").write_text("precious")
    ended = run("export", "tasks.csv", "state:", folder=folder)
    assert ended.returncode == 2
    assert (folder / "tasks.csv").read_text() == "precious"
    assert sorted(path.name for path in folder.iterdir()) == ["flower-data", "tasks.csv"]


@pytest.mark.parametrize("words", [("tasks", "--all"), ("tasks", "--all", "--json"), ("export", "-")])
def test_a_reader_that_goes_away_is_no_error(words: tuple[str, ...], large: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flower", *words], cwd=large, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == b""


def test_ctrl_c_is_quiet_and_leaves_no_half_file(large: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flower", "export", "tasks.csv"], cwd=large, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not list(large.glob(".tasks.csv.*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert [path.name for path in large.iterdir()] == ["flower-data"]


def test_a_terminal_gets_a_table_that_fits(folder: Path) -> None:
    words = ("tasks", "--all", "--utc", "-evil")
    for width in (50, 80, 120, 200):
        lines = _STYLE.sub("", run_on_terminal(*words, folder=folder, width=width)).splitlines()
        assert len(lines) == len(TASKS)  # without the hostile one, with a heading
        assert max(map(len, lines)) <= width
        assert {"state", "name"} <= set(lines[0].split())
        assert ("worker" in lines[0]) == (width >= 120)
        assert ("uuid" in lines[0]) == (width >= 80)


def test_colours_are_for_terminals_that_want_them(folder: Path) -> None:
    words = ("tasks", "--all", "state:FAILURE")
    assert "\x1b[31mFAILURE" in run_on_terminal(*words, folder=folder)
    assert "\x1b[31m" not in run_on_terminal(*words, folder=folder, NO_COLOR="1")
    assert "\x1b" not in run(*words, folder=folder).stdout


@pytest.mark.parametrize("form", [(), ("--json",), ("--ndjson",), ("--csv",)])
def test_hostile_text_does_nothing_to_a_terminal(form: tuple[str, ...], folder: Path) -> None:
    shown = run_on_terminal("tasks", "--all", "name:evil", *form, folder=folder, width=200)
    assert "owned" in shown
    rest = _STYLE.sub("", shown) if not form else shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2028"} & set(rest)
    if form == ("--json",):
        assert json.loads(shown)[0]["name"] == "evil\x1b]0;owned\x07\x9b31m\u202etask"


def test_parquet_is_kept_off_terminals(folder: Path) -> None:
    shown = run_on_terminal("export", "-", "--format", "parquet", folder=folder)
    assert "not for a terminal" in shown


def test_progress_is_shown_on_a_terminal_only(large: Path, tmp_path: Path) -> None:
    target = tmp_path / "tasks.ndjson"
    assert "Exporting" in run_on_terminal("export", "name:order", str(target), folder=large)
    assert "Exporting" not in run("export", "name:order", str(target), folder=large).stderr


def test_help_brings_in_only_what_it_needs(tmp_path: Path) -> None:
    for words in (["--help"], ["tasks", "--help"], ["export", "--help"], ["serve", "--help"]):
        program = (
            "import sys\nfrom flower.cli import main\n"
            f"sys.argv = ['flower', *{words}]\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "heavy = {'celery', 'kombu', 'starlette', 'uvicorn', 'numpy', 'apsw', 'tantivy', 'rich', 'pyarrow'}\n"
            "print(heavy & set(sys.modules), file=sys.stderr)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert ended.stderr.strip() == "set()", words
        assert "Usage: flower" in ended.stdout
