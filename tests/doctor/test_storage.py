"""Checks of the data directory."""

from pathlib import Path

from flower.doctor.storage import check_disk, check_store
from tests.doctor.conftest import RunCheck, make_examination
from tests.helpers.sample_store import on_disk


def test_a_private_directory_with_space_is_ok(tmp_path: Path, run_check: RunCheck) -> None:
    on_disk(tmp_path / "flower-data")
    examination = make_examination(tmp_path)
    assert [result.status for result in run_check(check_disk, examination)] == ["ok"]
    (store,) = run_check(check_store, examination)
    assert store.status == "ok"
    assert "34 tasks" in store.found


def test_a_directory_that_does_not_exist_is_ok_and_is_not_created(tmp_path: Path, run_check: RunCheck) -> None:
    examination = make_examination(tmp_path)
    statuses = [result.status for check in (check_disk, check_store) for result in run_check(check, examination)]
    assert statuses == ["ok", "ok"]
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path, run_check: RunCheck) -> None:
    results = run_check(check_disk, make_examination(tmp_path, options={"db": "/proc/flower-data"}))
    assert results[0].status == "error"
    assert "/proc cannot be written" in results[0].found


def test_a_directory_that_others_can_read_is_a_warning(tmp_path: Path, run_check: RunCheck) -> None:
    (on_disk(tmp_path / "flower-data")).chmod(0o755)
    results = run_check(check_disk, make_examination(tmp_path))
    assert [result.status for result in results] == ["warning", "ok"]
    assert "mode 0755" in results[0].found
    assert results[0].action == f"Run: chmod 700 {tmp_path / 'flower-data'}"


def test_a_directory_with_other_files_is_an_error(tmp_path: Path, run_check: RunCheck) -> None:
    (tmp_path / "flower-data").mkdir()
    (tmp_path / "flower-data" / "notes.txt").write_text("notes")
    (result,) = run_check(check_store, make_examination(tmp_path))
    assert result.status == "error"
    assert "is not a store" in result.found
