"""Audit entries of failed sign-ins: limited per address and in all, and counted beyond that."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from flower.access.login_throttle import PAIR_LIMIT
from flower.api.background import record_unlisted_logins
from flower.api.login_audit import ADDRESS_LIMIT, COUNT_INTERVAL, TOTAL_LIMIT, LoginAudit
from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditEntry, AuditFilter
from tests.helpers.web_server import WebServer


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def live() -> Iterator[WebServer]:
    with WebServer(example_store(), basic_auth=("ann:secret",)) as server:
        yield server


def login_entries(live: WebServer) -> list[AuditEntry]:
    return list(live.ledger.audit.entries(AuditFilter(action="login"), limit=1000))


def test_rejected_sign_ins_are_one_entry_with_a_count(live: WebServer) -> None:
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', live.http.get("/login").text))
    wrong = {**form, "name": "ann", "password": "x"}
    statuses = [live.http.post("/login", data=wrong).status_code for _ in range(200)]
    assert statuses == [403] * PAIR_LIMIT.amount + [429] * (200 - PAIR_LIMIT.amount)
    assert len(login_entries(live)) == PAIR_LIMIT.amount
    asyncio.run(record_unlisted_logins(live.context))
    assert len(login_entries(live)) == PAIR_LIMIT.amount
    asyncio.run(record_unlisted_logins(live.context, all_of_them=True))
    asyncio.run(record_unlisted_logins(live.context, all_of_them=True))
    count, *others = login_entries(live)
    assert len(others) == PAIR_LIMIT.amount
    assert (count.user, count.address, count.outcome) == ("", "127.0.0.1", "refused")
    assert count.message == (
        "190 more failed sign-ins without entries of their own: 0 failed, 190 rejected as too many"
    )
    assert count.parameters["rejected"] == 190
    assert count.parameters["addresses"] == {"127.0.0.1": 190}


def test_recorded_names_are_short(live: WebServer) -> None:
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', live.http.get("/login").text))
    assert live.http.post("/login", data={**form, "name": "花" * 3000, "password": "x"}).status_code == 403
    [entry] = login_entries(live)
    assert entry.user == "花" * 64


def test_entries_of_one_address_are_limited() -> None:
    audit = LoginAudit()
    admitted = [audit.admit_failure("10.0.0.1", "basic") for _ in range(100)]
    assert admitted == [True] * ADDRESS_LIMIT.amount + [False] * (100 - ADDRESS_LIMIT.amount)
    assert audit.admit_failure("10.0.0.2", "basic")
    # one client has all addresses of its IPv6 network
    assert sum(audit.admit_failure(f"2001:db8::{number:x}", "basic") for number in range(100)) == ADDRESS_LIMIT.amount


def test_entries_of_all_addresses_are_limited() -> None:
    audit = LoginAudit()
    assert sum(audit.admit_failure(f"10.0.{n // 250}.{n % 250}", "basic") for n in range(5000)) == TOTAL_LIMIT.amount
    unlisted = audit.take_unlisted(all_of_them=True)
    assert unlisted is not None
    assert (unlisted.failed, unlisted.rejected) == (5000 - TOTAL_LIMIT.amount, 0)
    assert len(unlisted.addresses) == 1001
    assert unlisted.addresses["other"] == 5000 - TOTAL_LIMIT.amount - 1000


def test_counts_are_taken_once_per_interval() -> None:
    clock = Clock()
    audit = LoginAudit(clock)
    assert audit.take_unlisted(all_of_them=True) is None
    audit.admit_failure("10.0.0.1", "basic", rejected=True)
    clock.now += COUNT_INTERVAL - 1
    assert audit.take_unlisted() is None
    clock.now += 1
    unlisted = audit.take_unlisted()
    assert unlisted is not None
    assert (unlisted.since, unlisted.rejected) == (Clock.now, 1)
    assert audit.take_unlisted(all_of_them=True) is None
