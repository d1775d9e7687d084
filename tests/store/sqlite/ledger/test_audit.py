"""Tests of the audit log in a real file, with concurrent writers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.ledger.audit import MAX_STORED_TARGETS, AuditFilter


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path / "store")
    yield ledger
    ledger.close()


def test_entry_is_added_and_finished(ledger: Ledger) -> None:
    entry = ledger.audit.add(
        "task.apply", user="Zoë\ud800", auth_method="basic", outcome="in_progress", address="::1", targets=["shop.pay"],
        parameters={"queue": "q"},
    )  # fmt: skip
    [begun] = ledger.audit.entries(AuditFilter(), limit=10)
    assert (begun.id, begun.user, begun.outcome, begun.targets) == (entry, "Zoë\\ud800", "in_progress", ("shop.pay",))
    ledger.audit.finish(entry, "failed", "broker unreachable", targets=["some-id"])
    [ended] = ledger.audit.entries(AuditFilter(), limit=10)
    assert (ended.outcome, ended.message, ended.targets) == ("failed", "broker unreachable", ("shop.pay", "some-id"))
    assert (ended.target_count, ended.parameters, ended.created_at) == (2, {"queue": "q"}, begun.created_at)


def test_filters_and_pages(ledger: Ledger) -> None:
    for number in range(6):
        ledger.audit.add(
            "task.revoke" if number % 2 else "worker.pool", user=f"u{number % 3}", auth_method="token", token="t",
            targets=[f"id-{number}", "all"], outcome="refused" if number == 5 else "done",
        )  # fmt: skip

    def ids(limit: int = 10, before: int | None = None, **wanted: object) -> list[int]:
        found = ledger.audit.entries(AuditFilter(**wanted), limit=limit, before=before)  # type: ignore[arg-type]
        return [entry.id for entry in found]

    assert ids() == [6, 5, 4, 3, 2, 1]
    assert ids(limit=2) == [6, 5]
    assert ids(limit=2, before=5) == [4, 3]
    assert ids(action="task") == ids(action="task.revoke") == [6, 4, 2]
    assert ids(action="tas") == ids(action="task.") == []
    assert ids(user="u1") == [5, 2]
    assert ids(target="id-3") == [4]
    assert ids(target="all", outcome="refused") == [6]
    middle = ledger.audit.entries(AuditFilter(), limit=10)[3].created_at
    assert ids(start=middle) == [6, 5, 4, 3]
    assert ids(end=middle) == [3, 2, 1]
    assert ledger.audit.prune(middle) == 2
    assert ids() == [6, 5, 4, 3]
    assert ids(target="id-0") == []


def test_many_targets_are_counted(ledger: Ledger) -> None:
    ledger.audit.add("job", user="ann", auth_method="session", targets=[str(n) for n in range(MAX_STORED_TARGETS + 5)])
    [entry] = ledger.audit.entries(AuditFilter(), limit=1)
    assert (len(entry.targets), entry.target_count) == (MAX_STORED_TARGETS, MAX_STORED_TARGETS + 5)


def test_concurrent_writers(tmp_path: Path) -> None:
    ledgers = [open_ledger(tmp_path / "store") for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda n: ledgers[n % 4].audit.add("a", user=str(n), auth_method="cli"), range(80)))
        made = set(threads.map(lambda n: ledgers[n % 4].secrets.get_or_create("cookie"), range(16)))
    assert sorted(ids) == list(range(1, 81))
    assert len(made) == 1
    assert (tmp_path / "store" / "ledger.db").stat().st_mode & 0o777 == 0o600
    for each in ledgers:
        each.close()


def test_stored_outcomes_and_auth_methods_do_not_change(ledger: Ledger, tmp_path: Path) -> None:
    """Ledgers of earlier versions have these values."""
    ledger.audit.add("task.revoke", user="", auth_method="none", outcome="in_progress")
    database = apsw.Connection(str(tmp_path / "store" / "ledger.db"))
    assert database.execute("SELECT way, outcome FROM audit").fetchall() == [("nobody", "begun")]
    [entry] = ledger.audit.entries(AuditFilter(outcome="in_progress"), limit=10)
    assert (entry.auth_method, entry.outcome) == ("none", "in_progress")


@pytest.mark.parametrize(
    ("action", "stored"),
    [
        ("job.create", "job.start"),
        ("job.stop", "job.abort"),
        ("search.create", "search.save"),
        ("search.replace", "search.change"),
        ("search.delete", "search.remove"),
        ("job.end", "job.end"),
    ],
)
def test_stored_actions_do_not_change(ledger: Ledger, tmp_path: Path, action: str, stored: str) -> None:
    ledger.audit.add(action, user="ann", auth_method="session")
    database = apsw.Connection(str(tmp_path / "store" / "ledger.db"))
    assert database.execute("SELECT action FROM audit").fetchall() == [(stored,)]
    for wanted in (action, action.partition(".")[0]):
        [entry] = ledger.audit.entries(AuditFilter(action=wanted), limit=10)
        assert entry.action == action
