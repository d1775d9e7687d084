"""Tests of dismissed gaps in a real file."""

from pathlib import Path

from flower.store.factory import open_ledger
from flower.store.ledger.gap_dismissals import GapDismissal


def test_dismissals_are_kept_until_they_are_deleted(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store")
    first = GapDismissal(gap="g1", dismissed_by="ann", dismissed_at=1.0)
    ledger.gap_dismissals.put(first)
    ledger.gap_dismissals.put(GapDismissal(gap="g2", dismissed_by="", dismissed_at=2.0))
    ledger.close()
    again = open_ledger(tmp_path / "store")
    assert again.gap_dismissals.dismissals()["g1"] == first
    assert again.gap_dismissals.delete("g1")
    assert not again.gap_dismissals.delete("g1")
    assert list(again.gap_dismissals.dismissals()) == ["g2"]
    again.close()
