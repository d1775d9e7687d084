"""Tests of saved searches in a real file."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.ledger.saved_searches import SavedSearch
from flower.store.sqlite.connection import create_database
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.ledger.saved_searches import TABLES
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path / "store")
    yield ledger
    ledger.close()


def search(number: int, owner: str = "ann", *, shared: bool = False) -> SavedSearch:
    return SavedSearch(
        id=f"s{number}", name=f"Search {number}", query="state:FAILURE", start="-1h", time="sent",
        columns=("name", "kwargs.id"), sort=("-runtime",), owner=owner, shared=shared, updated_at=float(number),
    )  # fmt: skip


def test_own_and_shared_searches_are_listed(ledger: Ledger) -> None:
    for made in (search(2), search(1, "bob", shared=True), search(3, "bob")):
        assert ledger.saved_searches.add(made, limit=10)
    assert ledger.saved_searches.searches("ann") == [search(1, "bob", shared=True), search(2)]
    assert [found.id for found in ledger.saved_searches.searches("bob")] == ["s1", "s3"]
    assert [found.id for found in ledger.saved_searches.searches("eve")] == ["s1"]
    assert ledger.saved_searches.search("s3") == search(3, "bob")
    assert ledger.saved_searches.search("s9") is None


def test_update_does_not_change_the_owner(ledger: Ledger) -> None:
    ledger.saved_searches.add(search(1), limit=10)
    changed = msgspec.structs.replace(
        search(1), name="Zoë\ud800", query="", owner="bob", columns=(), shared=True, updated_at=9.0
    )
    assert ledger.saved_searches.update(changed)
    found = ledger.saved_searches.search("s1")
    assert found == msgspec.structs.replace(changed, name="Zoë\\ud800", owner="ann")
    assert not ledger.saved_searches.update(search(2))
    assert ledger.saved_searches.delete("s1")
    assert not ledger.saved_searches.delete("s1")
    assert ledger.saved_searches.searches("ann") == []


def test_column_names_of_earlier_versions_are_converted(ledger: Ledger) -> None:
    old = msgspec.structs.replace(search(1), columns=("name", "received", "timestamp", "kwargs.received"))
    ledger.saved_searches.add(old, limit=10)
    found = ledger.saved_searches.search("s1")
    assert found is not None
    assert found.columns == ("name", "received_at", "last_event_at", "kwargs.received")


def test_ledger_of_an_earlier_version_gets_the_time_of_searches(tmp_path: Path) -> None:
    directory = StoreDirectory(tmp_path)
    table = TABLES[0].replace(",\n        time TEXT NOT NULL DEFAULT ''", "")
    assert "time TEXT" not in table
    insert = (
        "INSERT INTO search VALUES ('s1', 'Old', 'state:FAILURE', '-1h', '', '[]', '[\"-received\"]', 'ann', 0, 1.0)"
    )
    create_database(directory.ledger_path, (table, insert), APPLICATION_ID, STORE_FORMAT)
    ledger = open_ledger(tmp_path)
    found = ledger.saved_searches.search("s1")
    assert found is not None
    assert (found.name, found.start, found.time, found.sort) == ("Old", "-1h", "", ("-received",))
    assert ledger.saved_searches.update(search(1))
    assert ledger.saved_searches.search("s1") == search(1)
    ledger.close()


def test_number_of_searches_is_limited(ledger: Ledger) -> None:
    assert [ledger.saved_searches.add(search(number), limit=2) for number in range(3)] == [True, True, False]
    assert ledger.saved_searches.add(search(7, "bob"), limit=2)
