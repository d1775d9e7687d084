"""`flower` as users and scripts run it: a separate process, on a store on disk."""

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
    """A folder with a store in the default data directory."""
    on_disk(tmp_path / "flower-data")
    return tmp_path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose output is larger than the buffer of a pipe."""
    folder = tmp_path_factory.mktemp("large")
    writer = open_writer(folder / "flower-data")
    for part in range(10):
        writer.write(Batch(new=[make(part * 5_000 + number) for number in range(5_000)]))
    writer.close()
    return folder


def test_data_directory_is_that_of_serve(tmp_path: Path) -> None:
    on_disk(tmp_path / "elsewhere")
    words = ("tasks", "--all", "--columns", "uuid")
    finished = run(*words, folder=tmp_path)
    assert finished.returncode == 3
    assert f"No data in {tmp_path / 'flower-data'}" in finished.stderr
    assert not (tmp_path / "flower-data").exists()
    assert run(*words, "--db=elsewhere", folder=tmp_path).returncode == 0
    assert run(*words, folder=tmp_path, FLOWER_DB="elsewhere").returncode == 0
    (tmp_path / "flowerconfig.py").write_text("db = 'elsewhere'\n")
    assert len(run(*words, folder=tmp_path).stdout.splitlines()) == len(TASKS)


def test_directory_with_other_files_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    finished = run("tasks", f"--db={tmp_path}", folder=tmp_path)
    assert finished.returncode == 3
    assert "is not a store" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_celery_flower_reads_the_store_without_a_broker(folder: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tests.helpers.celery_app", "flower",
         "tasks", "--all", "--columns", "uuid"],
        capture_output=True, text=True, timeout=60, cwd=folder, check=False,
        env={"PYTHONPATH": str(ROOT), "SHOP_BROKER": "redis://127.0.0.1:1/0"},
    )  # fmt: skip
    assert (finished.returncode, finished.stderr) == (0, "")
    assert len(finished.stdout.splitlines()) == len(TASKS)


@pytest.mark.parametrize("name", ["tasks.ndjson", "tasks.parquet"])
def test_export_and_import_give_an_equal_store(name: str, folder: Path) -> None:
    finished = run("export", name, folder=folder)
    assert (finished.returncode, finished.stdout) == (0, "")
    assert f"{len(TASKS)} tasks" in finished.stderr
    finished = run("import", name, "--db=copy", folder=folder)
    assert finished.returncode == 0
    assert f"{len(TASKS)} imported" in finished.stderr
    with_ids = [list(open_reader(folder / db).tasks(Query(sort=()))) for db in ("flower-data", "copy")]
    assert with_ids[0] == with_ids[1] == TASKS
    again = run("import", name, "--db=copy", folder=folder)
    assert f"0 imported, 0 updated, {len(TASKS)} unchanged" in again.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(["flower-data", "copy", name])


def test_export_through_a_pipe(folder: Path) -> None:
    for export_format in ("ndjson", "parquet"):
        done = subprocess.run(
            [sys.executable, "-m", "flower", "export", "--format", export_format, "state:FAILURE", "-"],
            capture_output=True, cwd=folder, check=True, timeout=60,
        )  # fmt: skip
        finished = run("import", "-", f"--db={export_format}", folder=folder, given=done.stdout)
        assert "7 imported" in finished.stderr


def test_ndjson_of_tasks_can_be_imported(folder: Path) -> None:
    listed = run("tasks", "--all", "--ndjson", folder=folder).stdout
    finished = run("import", "-", "--db=copy", folder=folder, given=listed.encode())
    assert f"{len(TASKS)} imported" in finished.stderr


def test_import_fails_while_a_recorder_is_running(folder: Path) -> None:
    run("export", "tasks.ndjson", folder=folder)
    writer = open_writer(folder / "flower-data")
    try:
        finished = run("import", "tasks.ndjson", folder=folder)
    finally:
        writer.close()
    assert finished.returncode == 3
    assert finished.stderr.startswith("Error: ")
    assert str(os.getpid()) in finished.stderr
    assert "Traceback" not in finished.stderr


def test_store_can_be_read_while_it_is_written(folder: Path) -> None:
    writer = open_writer(folder / "flower-data")
    try:
        writer.write(Batch(new=[make(1)]))
        assert len(run("tasks", "--all", folder=folder).stdout.splitlines()) == len(TASKS) + 1
    finally:
        writer.close()


def test_rejected_lines_are_reported(folder: Path) -> None:
    lines = b'{"uuid": "good"}\nrubbish \x1b[31m\n' + b"[]\n" * 30
    finished = run("import", "-", folder=folder, given=lines)
    assert finished.returncode == 3
    assert "Line 2 rejected: not JSON" in finished.stderr
    assert "... and 11 more lines rejected" in finished.stderr
    assert "1 imported" in finished.stderr
    assert "\x1b" not in finished.stderr


def test_files_that_do_not_exist(folder: Path) -> None:
    for words in (("import", "none.ndjson"), ("export", "none/tasks.csv")):
        finished = run(*words, folder=folder)
        assert finished.returncode in (2, 3)
        assert "No such file" in finished.stderr
        assert "Traceback" not in finished.stderr
    assert run("import", "-", folder=folder, given=b"PAR1 no").returncode == 2


def test_failed_export_keeps_the_existing_file(folder: Path) -> None:
    (folder / "tasks.csv").write_text("precious")
    finished = run("export", "tasks.csv", "state:", folder=folder)
    assert finished.returncode == 2
    assert (folder / "tasks.csv").read_text() == "precious"
    assert sorted(path.name for path in folder.iterdir()) == ["flower-data", "tasks.csv"]


@pytest.mark.parametrize("words", [("tasks", "--all"), ("tasks", "--all", "--json"), ("export", "-")])
def test_closed_pipe_is_not_an_error(words: tuple[str, ...], large: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flower", *words], cwd=large, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""


def test_ctrl_c_leaves_no_partial_file(large: Path) -> None:
    # An export that ends before it receives the signal proves nothing: it gets less processor time than this process.
    export = ["nice", "-n", "19", sys.executable, "-m", "flower", "export", "tasks.csv"]
    for _ in range(50):
        process = subprocess.Popen(export, cwd=large, stderr=subprocess.PIPE)
        while not list(large.glob(".tasks.csv.*")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        if process.wait(60) == 0:
            (large / "tasks.csv").unlink()
        else:
            break
    assert process.returncode == 130
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert [path.name for path in large.iterdir()] == ["flower-data"]


def test_table_fits_the_terminal(folder: Path) -> None:
    words = ("tasks", "--all", "--utc", "-evil")
    for width in (50, 80, 120, 200):
        lines = _STYLE.sub("", run_on_terminal(*words, folder=folder, width=width)).splitlines()
        assert len(lines) == len(TASKS)  # without the task with control characters, with a header
        assert max(map(len, lines)) <= width
        assert {"state", "name"} <= set(lines[0].split())
        assert ("worker" in lines[0]) == (width >= 80)
        assert ("id" in lines[0].split()) == (width >= 50)


def test_headers_are_complete_at_every_width(folder: Path) -> None:
    for width in (60, 80, 100):
        for words in (("stats", "--by", "name"), ("gaps",)):
            lines = _STYLE.sub("", run_on_terminal(*words, folder=folder, width=width)).splitlines()
            assert "…" not in lines[0]
            assert max(map(len, lines)) <= width


def test_columns_suit_the_query(folder: Path) -> None:
    def header(*words: str, width: int = 100) -> list[str]:
        return _STYLE.sub("", run_on_terminal("tasks", *words, folder=folder, width=width)).splitlines()[0].split()

    failures = header("state:FAILURE")
    assert {"exception", "worker", "id"} <= set(failures)
    assert "wait" not in failures
    assert {"runtime", "id"} <= set(header("state:SUCCESS"))
    assert "exception" not in header("state:SUCCESS", width=200)  # no task has one
    assert "runtime" in header("runtime:>1s", width=60)
    assert header("kwargs.order_id:5", "queue:celery")[3:5] == ["queue", "kwargs.order_id"]


def test_colours_require_a_terminal_without_no_color(folder: Path) -> None:
    words = ("tasks", "--all", "state:FAILURE")
    assert "\x1b[31mFAILURE" in run_on_terminal(*words, folder=folder)
    assert "\x1b[31m" not in run_on_terminal(*words, folder=folder, NO_COLOR="1")
    assert "\x1b" not in run(*words, folder=folder).stdout


@pytest.mark.parametrize("format_option", [(), ("--json",), ("--ndjson",), ("--csv",)])
def test_control_characters_are_not_written_to_a_terminal(format_option: tuple[str, ...], folder: Path) -> None:
    shown = run_on_terminal("tasks", "--all", "name:evil", *format_option, folder=folder, width=200)
    assert "owned" in shown
    rest = _STYLE.sub("", shown) if not format_option else shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2028"} & set(rest)
    if format_option == ("--json",):
        assert json.loads(shown)[0]["name"] == "evil\x1b]0;owned\x07\x9b31m\u202etask"


def test_parquet_is_not_written_to_a_terminal(folder: Path) -> None:
    shown = run_on_terminal("export", "-", "--format", "parquet", folder=folder)
    assert "cannot be written to a terminal" in shown


def test_progress_requires_a_terminal(large: Path, tmp_path: Path) -> None:
    target = tmp_path / "tasks.ndjson"
    assert "Exporting" in run_on_terminal("export", "name:order", str(target), folder=large)
    assert "Exporting" not in run("export", "name:order", str(target), folder=large).stderr


def test_help_imports_no_large_module(tmp_path: Path) -> None:
    for words in (["--help"], ["tasks", "--help"], ["export", "--help"], ["serve", "--help"]):
        program = (
            "import sys\nfrom flower.cli import main\n"
            f"sys.argv = ['flower', *{words}]\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "heavy = {'celery', 'kombu', 'starlette', 'uvicorn', 'numpy', 'apsw', 'tantivy', 'rich', 'pyarrow'}\n"
            "print(heavy & set(sys.modules), file=sys.stderr)"
        )
        finished = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert finished.stderr.strip() == "set()", words
        assert "Usage: flower" in finished.stdout
