"""Formats 1 and 2 of the store are frozen: their tables, that later versions read them, and that newer formats are
rejected."""

import inspect
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from flower.errors import StoreVersionMismatch
from flower.records import Task
from flower.store.factory import open_ledger, open_reader, open_writer
from flower.store.ledger import Ledger
from flower.store.ledger.audit import AuditFilter
from flower.store.protocols import Batch, Query, Reader, TaskChange
from flower.store.sqlite.file_header import is_compressed_file, read_file_header
from flower.store.sqlite.store_format import COLUMN_FORMAT, OLDEST_FORMAT, STORE_FORMAT
from tests.helpers import store_contents
from tests.helpers.sample_store import on_disk, run
from tests.helpers.store_contents import describe_store
from tests.helpers.task_factory import make
from tests.store.sqlite.format_1 import create as format_1
from tests.store.sqlite.format_2 import create as format_2

#: The frozen samples, by format.
FORMATS: dict[int, ModuleType] = {1: format_1, 2: format_2}


class Sample(NamedTuple):
    """A sample store and its answers."""

    path: Path
    expected: dict[str, Any]


@pytest.fixture(params=FORMATS)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    module = FORMATS[request.param]
    return Sample(module.extract_store(tmp_path / "sample"), module.read_expected())


def snapshot(path: Path) -> dict[str, tuple[bytes, int]]:
    """Name, content and time of change of all files."""
    return {
        str(file.relative_to(path)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_tables_of_format_2_do_not_change(path: Path) -> None:
    """If this fails, read "What may change without a new number" in docs/upgrade.md: a nullable column, a table or an
    index may be added, and schema.sql is then written again; everything else needs a new format and a migration."""
    format_1.create_store(path)
    assert format_1.read_schema(path) == (format_2.HERE / "schema.sql").read_text()
    assert (OLDEST_FORMAT, STORE_FORMAT) == (1, 2)


def test_sample_answers_as_the_version_that_wrote_it(sample: Sample) -> None:
    path, expected = sample
    found = describe_store(path)
    for part, answers in expected.items():
        if isinstance(answers, dict):
            for name, answer in answers.items():
                assert found[part][name] == answer, f"{part}: {name}"
    assert found == expected


def test_sample_of_format_1_contains_every_kind_of_data() -> None:
    expected = format_1.read_expected()
    tasks = expected["tasks"]
    unused = {field for field in Task.__struct_fields__ if all(task[field] in (None, [], {}) for task in tasks)}
    assert not unused
    assert {task["state"] for task in tasks} == {
        "SUCCESS", "FAILURE", "REVOKED", "REJECTED", "RETRY", "STARTED", "RECEIVED", "PENDING", "PROGRESS",
    }  # fmt: skip
    assert not [name for part in ("reader", "ledger") for name, answer in expected[part].items() if not answer]


#: Methods without content, and parts that were added after the sample was made.
NOT_COMPARED = {"change_signal_path", "close", "explain_missing", "sessions"}


def test_every_method_that_reads_is_compared() -> None:
    described = inspect.getsource(store_contents)
    assert not [
        name
        for protocol in (Reader, Ledger)
        for name in vars(protocol)
        if not name.startswith("_") and name not in NOT_COMPARED and f'"{name}"' not in described
    ]


def test_sample_can_be_written_to(sample: Sample) -> None:
    path, expected = sample
    with closing(open_writer(path, text_index=False)) as writer:
        assert [task.uuid for task in writer.parked_tasks()] == ["parked"]
        assert writer.capture_progress() == b'{"complete_until":1767234600.0}'
        known = writer.load([task["uuid"] for task in expected["tasks"]])
        assert len(known) == len(expected["tasks"])
        changed = known["order-150"]
        assert changed.key is not None
        after = replace(changed.task, result="'changed'")
        writer.write(Batch(new=[make(900)], changed=[TaskChange(changed.key, changed.task, after)]))
    with closing(open_reader(path)) as reader:
        assert reader.count() == len(expected["tasks"]) + 1
        assert reader.task("order-150") == after
    with closing(open_ledger(path)) as ledger:
        before = len(ledger.audit.entries(AuditFilter(), limit=100))
        ledger.audit.add("task.revoke", user="x", auth_method="cli")
        assert len(ledger.audit.entries(AuditFilter(), limit=100)) == before + 1


def test_column_files_of_another_layout_are_built_again(sample: Sample) -> None:
    path, expected = sample
    for file in path.glob("*.cols"):
        content = bytearray(file.read_bytes())
        content[8:12] = (COLUMN_FORMAT + 1).to_bytes(4, "little")
        file.write_bytes(content)
    assert describe_store(path) == expected
    with closing(open_writer(path, segment_tasks=format_1.SEGMENT_TASKS, text_index=False)) as writer:
        writer.finish_maintenance()  # type: ignore[attr-defined]
    assert {file.read_bytes()[8] for file in path.glob("*.cols")} == {COLUMN_FORMAT}


def test_store_of_format_1_is_converted(tmp_path: Path) -> None:
    path = format_1.extract_store(tmp_path / "sample")
    with closing(open_writer(path, segment_tasks=format_1.SEGMENT_TASKS, text_index=False)) as writer:
        writer.finish_maintenance()  # type: ignore[attr-defined]
    assert {read_file_header(file).format_number for file in path.glob("*.db")} == {1, STORE_FORMAT}
    with closing(open_ledger(path)) as ledger:
        ledger.audit.add("task.revoke", user="x", auth_method="cli")
    assert {read_file_header(file).format_number for file in path.glob("*.db")} == {STORE_FORMAT}


def test_segments_of_the_sample_of_format_2_are_compressed(tmp_path: Path) -> None:
    path = format_2.extract_store(tmp_path / "sample")
    assert [is_compressed_file(file) for file in sorted(path.glob("seg-*.db"))] == [True, True, True, False]


# --- newer formats

COMMANDS = (
    ("tasks",), ("task", "order-1"), ("stats",), ("failures",), ("gaps",), ("workers",), ("export", "-"),
    ("import", "tasks.ndjson"), ("token", "create", "CI"), ("token", "list"), ("audit",), ("jobs",),
    ("rerun", "order-1"), ("revoke", "order-1"), ("web", "--port=0"), ("record",), ("serve", "--port=0"),
)  # fmt: skip


@pytest.mark.parametrize("name", ["seg-000001.db", "meta.db", "ledger.db"])
def test_newer_format_is_rejected_by_every_way_to_open_a_store(tmp_path: Path, name: str) -> None:
    path = on_disk(tmp_path / "flower-data")
    with closing(open_ledger(path)) as ledger:
        ledger.audit.add("task.revoke", user="x", auth_method="cli")
    with closing(sqlite3.connect(path / name)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute(f"PRAGMA user_version={STORE_FORMAT + 1}")
    before = snapshot(path)
    for opening in (open_writer, open_reader, open_ledger):
        with pytest.raises(StoreVersionMismatch, match=f"{name} has store format 3, .* reads up to 2: a newer version"):
            opening(path)
    assert snapshot(path) == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_newer_format_is_rejected_by_every_command(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = on_disk(tmp_path / "flower-data")
    (tmp_path / "tasks.ndjson").write_text(json.dumps({"uuid": "x", "state": "SUCCESS"}) + "\n")
    with closing(sqlite3.connect(path / "meta.db")) as db:
        db.execute(f"PRAGMA user_version={STORE_FORMAT + 1}")
    before = snapshot(path)
    finished = run(*command, folder=tmp_path)
    assert finished.returncode in (1, 3)
    errors = [line for line in finished.stderr.splitlines() if "store format" in line]
    assert len(errors) == 1
    assert "a newer version wrote it. Nothing was changed" in errors[0]
    assert "install that version again" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert snapshot(path) == before


def test_format_that_becomes_newer_while_a_reader_is_open_is_rejected(tmp_path: Path) -> None:
    """Its number is still in the write-ahead log only, as after a migration that was killed."""
    path = on_disk(tmp_path / "flower-data")
    shutil.rmtree(path / "text", ignore_errors=True)
    with closing(open_reader(path)) as reader, closing(sqlite3.connect(path / "seg-000001.db")) as db:
        db.execute(f"PRAGMA user_version={STORE_FORMAT + 1}")
        db.commit()
        with pytest.raises(StoreVersionMismatch, match=r"seg-000001\.db has store format 3"):
            list(reader.tasks(Query(sort=())))
    with pytest.raises(StoreVersionMismatch):
        open_writer(path)
