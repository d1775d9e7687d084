"""The check finds every kind of damage and contradiction, names the file, and finds nothing in an intact store, also
beside a busy writer."""

import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flower.errors import StoreInUse
from flower.store.factory import open_ledger, open_writer
from flower.store.protocols import Batch, TaskChange
from flower.store.sqlite.check.findings import CheckResult, FindingList
from flower.store.sqlite.check.store_check import check_store
from flower.store.sqlite.columns.column_file import ColumnFile
from flower.store.sqlite.ledger import sessions
from flower.store.sqlite.text import template_builder
from flower.store.sqlite.text.template_file import read_templates, write_templates
from flower.store.sqlite.text.templates import ColumnTemplates
from tests.helpers.sample_store import on_disk, run
from tests.helpers.store_contents import describe_store
from tests.helpers.task_factory import make
from tests.store.sqlite.format_1.create import SEGMENT_TASKS, extract_store
from tests.store.sqlite.format_2 import create as format_2


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """An intact store with column files."""
    path = extract_store(tmp_path / "sample")
    with closing(open_writer(path, segment_tasks=SEGMENT_TASKS, text_index=False)) as writer:
        writer.finish_maintenance()  # type: ignore[attr-defined]
    with closing(open_ledger(path)) as ledger:
        ledger.sessions.prune(0.0)  # adds the tables that the sample was written without
    (path / "ledger.db").chmod(0o600)
    return path


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        for statement in statements:
            db.execute(statement)
        db.commit()


def overwrite(file: Path, position: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(position)
        opened.write(content)


def change_columns(file: Path, name: str) -> None:
    columns = ColumnFile(file, 1, SEGMENT_TASKS, writable=True)
    columns[name][3] += 1


def swap_order(file: Path) -> None:
    columns = ColumnFile(file, 1, SEGMENT_TASKS, writable=True)
    order = columns.orders["received"]
    order[2], order[3] = int(order[3]), int(order[2])


HARM: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "garbage": ("seg-000002.db", lambda file: file.write_bytes(b"garbage" * 2_000), "not a database"),
    "pages": ("seg-000002.db", lambda file: overwrite(file, 8_192, os.urandom(8_192)), ""),
    "truncated": ("seg-000002.db", lambda file: os.truncate(file, 8_192), ""),
    "missing segment": ("seg-000002.db", Path.unlink, "the file is missing, and with it 40 tasks"),
    "missing table": ("seg-000002.db", lambda file: change(file, "DROP TABLE word"), ""),
    "missing column": ("seg-000002.db", lambda file: change(
        file, "ALTER TABLE task DROP COLUMN pid"), "task lacks pid"),
    "row removed": ("seg-000002.db", lambda file: change(file, "DELETE FROM task WHERE id=50"), "contains 39 tasks"),
    "row outside": ("seg-000002.db", lambda file: change(
        file, "UPDATE task SET id=999 WHERE id=50"), "outside its keys"),
    "word removed": ("seg-000002.db", lambda file: change(file, "DELETE FROM word WHERE kind='name'"), "word"),
    "json": ("seg-000001.db", lambda file: change(file, "UPDATE task SET lost='{' WHERE id=11"), "cannot be decoded"),
    "bounds": ("seg-000002.db", lambda file: change(
        file, "UPDATE task SET received=9e9 WHERE id=50"), "outside the bounds"),
    "bloom": ("seg-000002.db", lambda file: change(
        file, "UPDATE info SET value=zeroblob(length(value)) WHERE key='bloom'"), "Bloom filter excludes"),
    "other number": ("seg-000002.db", lambda file: file.rename(file.with_name("seg-000009.db")), "missing"),
    "state numbers": ("seg-000002.db", lambda file: change(
        file, "UPDATE word SET value='X' WHERE value='FAILURE'"), "numbers of the states"),
    "catalog": ("meta.db", lambda file: change(
        file, "UPDATE segment SET data=replace(data, '\"rows\":40', '\"rows\":41') WHERE number=2"), "description of"),
    "meta missing": ("meta.db", Path.unlink, "the file is missing"),
    "meta garbage": ("meta.db", lambda file: file.write_bytes(b"garbage" * 2_000), "not a database"),
    "workers": ("meta.db", lambda file: change(file, "UPDATE worker SET data='[]'"), "workers cannot be decoded"),
    "counters": ("meta.db", lambda file: change(file, "UPDATE tally SET data=x'01'"), "counters cannot be decoded"),
    "counters twice": ("meta.db", lambda file: change(
        file, "INSERT INTO tally SELECT number + 100, sequence, data FROM tally"), "exist 2 times"),
    "ledger garbage": ("ledger.db", lambda file: file.write_bytes(b"garbage" * 2_000), "not a database"),
    "ledger table": ("ledger.db", lambda file: change(file, "DROP TABLE audit_target", "DROP TABLE token"), "token"),
    "ledger reference": ("ledger.db", lambda file: change(file, "DELETE FROM job"), "refers to a row of job"),
    "ledger mode": ("ledger.db", lambda file: file.chmod(0o644), "other users can read it"),
    "column value": ("seg-000001.cols", lambda file: change_columns(file, "received"), "its values of received differ"),
    "column words": ("seg-000001.cols", lambda file: change_columns(file, "name"), "its values of name differ"),
    "column rows": ("seg-000001.cols", lambda file: change_columns(file, "live"), "not those of the segment"),
    "column order": ("seg-000001.cols", swap_order, "its order by received is wrong"),
}  # fmt: skip


def test_tables_that_a_ledger_of_an_earlier_build_lacks_are_no_damage(tmp_path: Path) -> None:
    path = format_2.extract_store(tmp_path / "sample")
    with closing(sqlite3.connect(path / "ledger.db")) as db:
        for name in sessions.ADDED_TABLES:
            db.execute(f"DROP TABLE IF EXISTS {name}")
    (path / "ledger.db").chmod(0o600)
    result = check_store(path)
    found = {finding.problem for finding in result.findings if finding.file == "ledger.db"}
    assert found == {f"the table {name} is missing, which a later version has" for name in sessions.ADDED_TABLES}
    assert result.errors == 0


def test_intact_store_has_no_findings_and_is_not_changed(sample: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(sample.iterdir()) if path.suffix in (".db", ".cols")}
    result = check_store(sample)
    assert (result.findings, result.errors, result.in_use) == ((), 0, False)
    assert (result.tasks, result.files) == (152, 10)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("harm", HARM)
def test_damage_is_found_and_its_file_named(sample: Path, harm: str) -> None:
    name, damage, problem = HARM[harm]
    damage(sample / name)
    result = check_store(sample)
    found = [finding for finding in result.findings if finding.file == name and finding.severity == "error"]
    assert found, result.findings
    assert any(problem in finding.problem for finding in found), found
    assert all(finding.advice for finding in result.findings)
    # damage of one file is not reported for others, except for those that are derived from it
    stem = name.partition(".")[0]
    others = {finding.file for finding in result.findings if finding.severity == "error"} - {name}
    assert all(other.startswith(stem) or harm == "other number" for other in others), others


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (Path.unlink, "missing"),
        (lambda file: os.truncate(file, 100), "size"),
        (lambda file: overwrite(file, 0, b"XXXXXXXX"), "not a column file"),
    ],
    ids=["missing", "truncated", "header"],
)
def test_column_file_that_is_built_again_is_only_a_note(
    sample: Path, damage: Callable[[Path], object], problem: str
) -> None:
    damage(sample / "seg-000001.cols")
    (finding,) = check_store(sample).findings
    assert (finding.file, finding.severity) == ("seg-000001.cols", "note")
    assert problem in finding.problem


def test_repair_deletes_derived_files_only_and_the_recorder_builds_them_again(sample: Path) -> None:
    expected = describe_store(sample)
    change_columns(sample / "seg-000001.cols", "received")
    shutil.copy(sample / "seg-000001.cols", sample / "seg-000077.cols")
    result = check_store(sample, repair=True)
    assert result.repaired == ("seg-000001.cols", "seg-000077.cols")
    assert not (sample / "seg-000001.cols").exists()
    assert len(list(sample.glob("seg-*.db"))) == 4
    with closing(open_writer(sample, segment_tasks=SEGMENT_TASKS, text_index=False)) as writer:
        writer.finish_maintenance()  # type: ignore[attr-defined]
    assert check_store(sample).findings == ()
    assert describe_store(sample)["tasks"] == expected["tasks"]


def test_repair_is_rejected_while_a_recorder_uses_the_store(sample: Path) -> None:
    with closing(open_writer(sample, text_index=False)):
        with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
            check_store(sample, repair=True)
        assert check_store(sample).in_use


def test_text_index_is_compared_with_the_rows(path: Path) -> None:
    with closing(open_writer(path, segment_tasks=100)) as writer:
        writer.write(Batch(new=[make(number) for number in range(250)]))
        writer.finish_maintenance()  # type: ignore[attr-defined]
    assert check_store(path).findings == ()
    # the columns state that rows are indexed in a block that contains the texts of other rows
    with sqlite3.connect(path / "seg-000001.db") as db:
        db.execute("UPDATE task SET args='(''another text'',)'")
    db.close()
    findings = check_store(path).findings
    (block,) = {finding.file for finding in findings}
    assert block.startswith("text/")
    assert "does not contain the text of row" in findings[0].problem
    assert check_store(path, repair=True).repaired == (block,)
    assert not (path / block).exists()


def test_damaged_block_of_the_text_index_is_found(path: Path) -> None:
    with closing(open_writer(path, segment_tasks=100)) as writer:
        writer.write(Batch(new=[make(number) for number in range(250)]))
        writer.finish_maintenance()  # type: ignore[attr-defined]
    (file, *_) = path.glob("text/*/*.idx")
    overwrite(file, 10, b"\xff\xff")
    (finding,) = check_store(path).findings
    assert (finding.file, finding.severity, finding.repairable) == (f"text/{file.parent.name}", "error", True)
    assert "checksum" in finding.problem


@pytest.mark.parametrize("damage", ["changed byte", "other rows"])
def test_damaged_template_file_is_found(path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(template_builder, "MIN_CHANGED_ROWS", 1)
    with closing(open_writer(path, segment_tasks=100)) as writer:
        writer.write(Batch(new=[make(number) for number in range(250)]))
        writer.finish_maintenance()  # type: ignore[attr-defined]
    assert check_store(path).findings == ()
    file = path / "text" / "templates-000002"
    if damage == "changed byte":
        overwrite(file, 500, b"\xff")
    else:
        content = read_templates(file)
        shifted = {name: numbers[::-1] % 2 + 2 for name, numbers in content.numbers.items()}
        templates = {name: ColumnTemplates([b"a", b"b"]) for name in content.templates}
        write_templates(file, replace(content, numbers=shifted, templates=templates))
    (finding,) = check_store(path).findings
    assert (finding.file, finding.severity, finding.repairable) == ("text/templates-000002", "error", True)
    assert ("checksum" if damage == "changed byte" else "does not have the templates of row") in finding.problem
    assert check_store(path, repair=True).repaired == ("text/templates-000002",)
    assert not file.exists()


def test_store_is_intact_at_every_moment_beside_a_writer(path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with closing(open_writer(path, segment_tasks=500, text_index=False)) as writer:
            number = 0
            while not stop.is_set():
                tasks = [make(number + each, state="STARTED") for each in range(100)]
                keys = writer.write(Batch(new=tasks))
                number += 100
                changes = [
                    TaskChange(key, task, make(number - 100 + each)) for each, (key, task) in
                    enumerate(zip(keys, tasks, strict=True))
                ]  # fmt: skip
                writer.write(Batch(changed=changes))
                writer.maintain()
                stop.wait(0.02)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        checked = 0
        while checked < 3_000:
            if not (path / "meta.db").exists():
                continue
            result = check_store(path)
            assert [finding for finding in result.findings if finding.severity == "error"] == []
            checked = result.tasks
    finally:
        stop.set()
        thread.join()


def test_number_of_findings_per_file_is_limited() -> None:
    findings = FindingList()
    for number in range(50):
        findings.add("seg-000001.db", f"problem {number}", "advice")
    *first, last = findings.finish()
    assert (len(first), last.problem) == (10, "40 more problems")


def test_command_prints_what_is_wrong_where_and_what_to_do(tmp_path: Path) -> None:
    path = on_disk(tmp_path / "flower-data")
    intact = run("check", folder=tmp_path)
    assert (intact.returncode, intact.stdout) == (0, "")
    assert "0 errors, 0 notes" in intact.stderr
    change(path / "seg-000001.db", "DELETE FROM task WHERE id=5")
    finished = run("check", "flower-data", folder=tmp_path)
    assert finished.returncode == 1
    assert "error: seg-000001.db: it contains 19 tasks, and its description states 20" in finished.stdout
    assert "restore it from a backup" in finished.stdout
    result = json.loads(run("check", "--json", folder=tmp_path).stdout)
    assert result["findings"][0]["file"] == "seg-000001.db"
    assert set(result) == set(CheckResult.__struct_fields__)
    assert run("check", "elsewhere", folder=tmp_path).returncode == 3


def test_check_of_a_backup(sample: Path, tmp_path: Path) -> None:
    assert run("backup", "copy", "--db", str(sample), folder=tmp_path).returncode == 0
    finished = run("check", "copy", folder=tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert stat.S_IMODE((tmp_path / "copy" / "ledger.db").stat().st_mode) == 0o600
