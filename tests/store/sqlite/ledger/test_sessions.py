"""Tests of ended sessions in a real file."""

import os
import subprocess
from pathlib import Path

import pytest

from flower.store.factory import open_ledger


def test_ended_sessions_are_kept(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store")
    sessions = ledger.sessions
    sessions.end("first", expires_at=100.0)
    sessions.end("first", expires_at=100.0)
    sessions.end_all("ann", at=50.0, expires_at=200.0)
    sessions.end_all("ann", at=60.0, expires_at=210.0)
    sessions.end_all("", at=10.0, expires_at=160.0)
    ledger.close()
    ledger = open_ledger(tmp_path / "store")
    sessions = ledger.sessions
    assert sessions.is_ended("first", "bob", 90.0)
    assert not sessions.is_ended("second", "bob", 90.0)
    assert sessions.is_ended("second", "ann", 60.0)
    assert not sessions.is_ended("second", "ann", 60.1)
    # the user without a name is not all users
    assert sessions.is_ended("second", "", 10.0)
    assert not sessions.is_ended("second", "bob", 10.0)
    sessions.end_all(None, at=70.0, expires_at=220.0)
    assert sessions.is_ended("second", "bob", 70.0)
    assert not sessions.is_ended("second", "bob", 70.1)
    assert sessions.prune(105.0) == 1
    assert not sessions.is_ended("first", "bob", 90.0)
    assert sessions.prune(300.0) == 3
    ledger.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system that is read-only")
@pytest.mark.parametrize("with_table", [True, False])
def test_ended_sessions_are_read_from_a_read_only_disk(tmp_path: Path, with_table: bool) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", tmp_path], check=True)
    try:
        ledger = open_ledger(tmp_path / "store")
        ledger.sessions.end("first", expires_at=9e9)
        if not with_table:
            ledger.sessions._database.write(lambda db: db.execute("DROP TABLE ended_session"))  # type: ignore[attr-defined]
        ledger.close()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        ledger = open_ledger(tmp_path / "store")
        assert ledger.sessions.is_ended("first", "ann", 1.0) is with_table
        assert not ledger.sessions.is_ended("second", "ann", 1.0)
        ledger.close()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
