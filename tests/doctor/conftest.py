"""Examinations for the checks."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flower.celery_app import LazyApp
from flower.config import load_config
from flower.doctor.examination import Examination
from flower.doctor.models import DoctorCheck, DoctorResult, Outcome
from flower.doctor.runner import run_checks
from tests.helpers.celery_app import make

#: Runs one check; the results are those of the runner.
RunCheck = Callable[[Callable[[Examination], Iterable[Outcome]], Examination], list[DoctorResult]]


def make_examination(
    folder: Path,
    *,
    broker: str = "memory://",
    backend: str | None = None,
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    app: Any = None,
) -> Examination:
    """An examination whose configuration and application are loaded."""
    application = make(broker, backend) if app is None else app
    examination = Examination(
        command_line=options or {}, environment=environment or {}, folder=folder, load_app=LazyApp(lambda: application)
    )
    examination.loaded_config = load_config(examination.command_line, examination.environment, folder)
    examination.loaded_app = examination.load_app()
    return examination


@pytest.fixture
def run_check() -> RunCheck:
    def run(
        check: Callable[[Examination], Iterable[Outcome]], examination: Examination, time_limit: float = 60.0
    ) -> list[DoctorResult]:
        return list(run_checks([DoctorCheck("check", check, time_limit)], examination))

    return run
