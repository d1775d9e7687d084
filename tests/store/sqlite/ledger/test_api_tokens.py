"""Tests of API tokens in a real file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.ledger.api_tokens import ApiToken


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path / "store")
    yield ledger
    ledger.close()


def test_tokens(ledger: Ledger) -> None:
    token = ApiToken(
        id="t1", name="script", owner="ann", auth_method="basic", permissions=("view",), created_at=1.0, expires_at=9.0
    )
    ledger.tokens.add(token, b"digest")
    assert ledger.tokens.find_by_digest(b"digest") == ledger.tokens.token("t1") == token
    assert ledger.tokens.find_by_digest(b"other") is ledger.tokens.token("t2") is None
    ledger.tokens.record_use("t1", 5.0, "10.0.0.1")
    assert ledger.tokens.revoke("t1", 6.0, "bob")
    assert not ledger.tokens.revoke("t1", 7.0, "eve")
    [found] = ledger.tokens.tokens("ann")
    assert (found.last_used_at, found.last_used_from, found.revoked_at, found.revoked_by) == (
        5.0,
        "10.0.0.1",
        6.0,
        "bob",
    )
    assert ledger.tokens.tokens("bob") == []
