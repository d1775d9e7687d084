"""Check of the application."""

from pathlib import Path

import pytest

from flower.celery_app import LazyApp, lazy_app
from flower.doctor.application import check_application
from flower.doctor.examination import Examination
from tests.doctor.conftest import RunCheck, make_examination


def examination(folder: Path, app: LazyApp) -> Examination:
    return Examination({}, {}, folder, app)


def test_an_application_is_loaded_and_its_tasks_are_counted(tmp_path: Path, run_check: RunCheck) -> None:
    (result,) = run_check(check_application, make_examination(tmp_path))
    assert (result.status, result.found[:5]) == ("ok", "shop:")


def test_a_missing_application_is_an_error(tmp_path: Path, run_check: RunCheck) -> None:
    (result,) = run_check(check_application, examination(tmp_path, lazy_app("no_such_module_of_tests", None)))
    assert result.status == "error"
    assert "Unable to load the Celery application 'no_such_module_of_tests'" in result.found
    assert "PYTHONPATH" in result.action


def test_a_missing_task_module_is_an_error(
    tmp_path: Path, run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctor_missing.py").write_text(
        "from celery import Celery\napp = Celery('x', include=['no_such_tasks'], set_as_current=False)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (result,) = run_check(check_application, examination(tmp_path, lazy_app("doctor_missing", None)))
    assert (result.status, result.found) == (
        "error",
        "A task module cannot be imported: No module named 'no_such_tasks'",
    )


def test_output_of_the_application_goes_to_standard_error(
    tmp_path: Path, run_check: RunCheck, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> None:
        print("loading")
        raise ImportError("no module")

    run_check(check_application, examination(tmp_path, LazyApp(load)))
    assert capsys.readouterr().out == ""
