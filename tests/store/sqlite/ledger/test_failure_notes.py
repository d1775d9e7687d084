"""Tests of failure notes in a real file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.ledger.failure_notes import FailureNote


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path / "store")
    yield ledger
    ledger.close()


def test_latest_note_replaces_the_previous_one(ledger: Ledger, tmp_path: Path) -> None:
    muted = FailureNote(
        failure="f1", decision="muted", created_by="ann", created_at=1.0, expires_at=9.0, comment="known"
    )
    resolved = FailureNote(failure="f1", decision="resolved", created_by="bob", created_at=2.0)
    other = FailureNote(failure="f2", decision="muted", created_by="", created_at=3.0)
    for note in (muted, other):
        ledger.failure_notes.put(note)
    assert ledger.failure_notes.notes() == {"f1": muted, "f2": other}
    ledger.failure_notes.put(resolved)
    again = open_ledger(tmp_path / "store")
    assert again.failure_notes.notes() == {"f1": resolved, "f2": other}
    assert again.failure_notes.delete("f1")
    again.close()
    assert not ledger.failure_notes.delete("f1")
    assert ledger.failure_notes.notes() == {"f2": other}


def test_earliest_time_is_retained(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.failure_notes.record_first_seen({"f1": 5.0, "f2": 6.0})
    ledger.failure_notes.record_first_seen({"f1": 7.0, "f2": 4.0, "f3": 1.0})
    ledger.failure_notes.record_first_seen({})
    assert ledger.failure_notes.first_seen() == {"f1": 5.0, "f2": 4.0, "f3": 1.0}
    assert ledger.failure_notes.first_seen(["f2", "f9"]) == {"f2": 4.0}
    monkeypatch.setattr("flower.store.sqlite.ledger.failure_notes.MAX_FIRST_SEEN", 2)
    ledger.failure_notes.record_first_seen({"f4": 8.0})
    assert ledger.failure_notes.first_seen() == {"f1": 5.0, "f4": 8.0}
