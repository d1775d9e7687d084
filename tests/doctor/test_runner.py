"""The runner of the checks."""

import time
from collections.abc import Iterable
from pathlib import Path

from flower.doctor.examination import Examination
from flower.doctor.models import DoctorCheck, Outcome
from flower.doctor.runner import run_checks
from tests.doctor.conftest import make_examination


def hang(examination: Examination) -> Iterable[Outcome]:
    yield Outcome("ok", "first")
    time.sleep(30)


def fail(examination: Examination) -> Iterable[Outcome]:
    raise RuntimeError("cannot use redis://ann:topsecret@host/0")


def succeed(examination: Examination) -> Iterable[Outcome]:
    return [Outcome("ok", "hunter22 and ann:hunter22")]


def test_a_check_that_hangs_or_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    examination = make_examination(tmp_path, options={"basic_auth": "ann:hunter22"})
    checks = [DoctorCheck("hang", hang, 0.2), DoctorCheck("fail", fail, 5), DoctorCheck("succeed", succeed, 5)]
    results = [(result.check, result.status, result.found) for result in run_checks(checks, examination)]
    assert results == [
        ("hang", "ok", "first"),
        ("hang", "error", "No result within 0.2 s"),
        ("fail", "error", "RuntimeError: cannot use redis://ann:**@host/0"),
        ("succeed", "ok", "** and **"),
    ]
