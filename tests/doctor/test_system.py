"""Checks of the environment of the process."""

import resource
from pathlib import Path

import pytest

import bellflower_entry
from flower.doctor import system
from flower.doctor.system import check_address, check_descriptors, check_installation
from tests.doctor.conftest import RunCheck, make_examination


def test_the_installation_of_the_tests_is_ok(tmp_path: Path, run_check: RunCheck) -> None:
    assert [result.status for result in run_check(check_installation, make_examination(tmp_path))] == ["ok"]


def test_both_packages_in_one_environment_are_a_warning(
    tmp_path: Path, run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flower-2.0.1", "bellflower-1.0.0"):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "RECORD").write_text("")
    monkeypatch.setattr(bellflower_entry, "__file__", str(tmp_path / "bellflower_entry.py"))
    (result,) = run_check(check_installation, make_examination(tmp_path))
    assert result.status == "warning"
    assert result.action == f"Run: {bellflower_entry.REMEDY}"


def test_a_loopback_address_in_a_container_is_a_warning(tmp_path: Path, run_check: RunCheck) -> None:
    examination = make_examination(tmp_path)
    examination.in_container = True
    (result,) = run_check(check_address, examination)
    assert result.status == "warning"
    assert "FLOWER_ADDRESS=0.0.0.0" in result.action
    outside = make_examination(tmp_path, options={"address": "0.0.0.0"})
    outside.in_container = True
    assert run_check(check_address, outside)[0].status == "ok"


def test_few_descriptors_are_a_warning(tmp_path: Path, run_check: RunCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_check(check_descriptors, make_examination(tmp_path))[0].status == "ok"
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(system, "raise_descriptor_limit", lambda: 256)
    (result,) = run_check(check_descriptors, make_examination(tmp_path))
    assert result.status == "warning"
    assert result.found.startswith("256 open files: at most 128 connections")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before[1]
