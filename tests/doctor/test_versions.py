"""Check of versions."""

import sys
from pathlib import Path

import pytest

from flower.doctor import versions
from tests.doctor.conftest import RunCheck, make_examination


def test_the_installed_versions_are_listed(tmp_path: Path, run_check: RunCheck) -> None:
    result = run_check(versions.check_versions, make_examination(tmp_path))[-1]
    assert result.status == "ok"
    assert "celery 5." in result.found


def test_the_version_of_a_worker_is_compared(
    tmp_path: Path, run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    examination = make_examination(tmp_path)
    examination.worker_versions = {"celery@w1": "5.4.0"}
    results = run_check(versions.check_versions, examination)
    assert results[0].status == "warning"
    assert "Celery before 5.6.0 loses memory" in results[0].found
    assert "https://" in results[0].action
    assert "workers: Celery 5.4.0" in results[-1].found
